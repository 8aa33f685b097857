//! `Merger`: the streams of several workers as one.

use std::sync::Mutex;

use earhook_wire::Merger as Core;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Lent;
use crate::detach::guarded;
use crate::error::Refusal;

const DOING: &str = "merging PCM streams";

type Merged<'py> = (Bound<'py, PyBytes>, Vec<(u8, Bound<'py, PyBytes>)>);

/// Merges what several workers send to one consumer.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Merger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    core: Core,
    chunk: Vec<u8>,
    out: Vec<u8>,
}

#[pymethods]
impl Merger {
    #[new]
    fn new() -> Self {
        Self { state: Mutex::default() }
    }

    #[pyo3(signature = (source, /))]
    fn add(&self, source: u32) -> Result<(), Refusal> {
        self.with_state(|state| {
            state.core.add(source);
            Ok(())
        })
    }

    #[pyo3(signature = (source, chunk, /))]
    fn feed<'py>(&self, source: u32, chunk: &Bound<'py, PyAny>) -> Result<Merged<'py>, Refusal> {
        let py = chunk.py();
        let lent = Lent::by(chunk)?;
        let (out, notes) = self.with_state(|state| {
            lent.copy_to(py, &mut state.chunk)?;
            let outcome = state.core.feed(source, &state.chunk, &mut state.out);
            let out = std::mem::take(&mut state.out);
            outcome.map(|notes| (out, notes)).map_err(Refusal::Stream)
        })?;
        let merged = PyBytes::new(py, &out);
        self.with_state(|state| {
            state.keep(out);
            Ok(())
        })?;
        let note = |body: String| PyBytes::new(py, body.as_bytes());
        Ok((merged, notes.into_iter().map(|one| (one.kind.number(), note(one.body))).collect()))
    }

    #[pyo3(signature = (source, /))]
    fn lose<'py>(
        &self,
        py: Python<'py>,
        source: u32,
    ) -> Result<(Bound<'py, PyBytes>, usize), Refusal> {
        let mut out = Vec::new();
        let calls = self.with_state(|state| Ok(state.core.lose(source, &mut out)))?;
        Ok((PyBytes::new(py, &out), calls))
    }

    #[pyo3(signature = (call, /))]
    fn route(&self, call: u32) -> Result<Option<(u32, u32)>, Refusal> {
        self.with_state(|state| {
            Ok(state.core.route(call).map(|route| (route.source, route.number)))
        })
    }

    #[pyo3(signature = (call, position, /))]
    fn acknowledge(&self, call: u32, position: u64) -> Result<Option<(u32, u32)>, Refusal> {
        self.with_state(|state| {
            let route = state.core.acknowledge(call, position);
            Ok(route.map(|route| (route.source, route.number)))
        })
    }

    #[pyo3(signature = (session, /))]
    fn find(&self, session: &str) -> Result<Option<u32>, Refusal> {
        self.with_state(|state| Ok(state.core.find(session)))
    }

    #[pyo3(signature = (session, /))]
    fn closed_by(&self, session: &str) -> Result<Option<u32>, Refusal> {
        self.with_state(|state| Ok(state.core.closed_by(session)))
    }

    #[getter]
    fn calls(&self) -> Result<usize, Refusal> {
        self.with_state(|state| Ok(state.core.calls()))
    }

    #[getter]
    fn audio_frames(&self) -> Result<u64, Refusal> {
        self.with_state(|state| Ok(state.core.audio_frames()))
    }

    #[getter]
    fn held_bytes(&self) -> Result<usize, Refusal> {
        self.with_state(|state| Ok(state.core.held_bytes()))
    }
}

impl Merger {
    /// No Python code runs under the lock.
    fn with_state<T>(
        &self,
        action: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        guarded(DOING, || {
            let mut state = self.state.lock().map_err(|_| Refusal::Panic(DOING))?;
            action(&mut state)
        })
    }
}

impl State {
    /// Keeps the memory for the next time.
    fn keep(&mut self, mut out: Vec<u8>) {
        out.clear();
        self.out = out;
    }
}
