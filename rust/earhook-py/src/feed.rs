//! `Feed`: the readers of one sink or one subscriber, drained together.

use std::sync::{Arc, Mutex, PoisonError};

use earhook_ring::{Feed as RingFeed, Start};
use earhook_wire::CONNECTION;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::blocks::{Block, BlockCodec, BlockOutlet, FrameOutlet};
use crate::books::Books;
use crate::detach::{detached, guarded};
use crate::error::Refusal;
use crate::pipeline::{codec_named, known_channels, Pipeline};

/// The readers of one sink or one subscriber.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Feed {
    pub(crate) feed: RingFeed,
    on_ready: Arc<Callback>,
    /// The memory of the last drain, for the next one.
    spare: Mutex<Vec<u8>>,
}

const DRAINING: &str = "draining a feed";

type BlockTuple<'py> = (u32, u64, u64, u32, Bound<'py, PyBytes>);

#[pymethods]
impl Feed {
    #[new]
    #[pyo3(signature = (on_ready = None))]
    fn new(on_ready: Option<Py<PyAny>>) -> Self {
        let on_ready = Arc::new(Callback(Mutex::new(on_ready)));
        // Rings outlive feeds: they hold the callback weakly, so that it cannot keep its owner,
        // the owner's calls and their rings alive in a circle that Python does not see.
        let weak = Arc::downgrade(&on_ready);
        let wake = move || weak.upgrade().into_iter().for_each(|callback| callback.call());
        Self { feed: RingFeed::new(wake), on_ready, spare: Mutex::default() }
    }

    #[pyo3(
        signature = (call, pipeline, *, channels = vec![0, 1], position = Some(0), owed_from = None),
        text_signature = "($self, call, pipeline, *, channels=(0, 1), position=0, owed_from=None)"
    )]
    fn attach(
        &self,
        call: u32,
        pipeline: &Pipeline,
        channels: Vec<u8>,
        position: Option<u64>,
        owed_from: Option<u64>,
    ) -> Result<(), Refusal> {
        let channels = known_channels(channels)?;
        if call == CONNECTION {
            return Err(Refusal::Argument("calls are numbered from 1".to_owned()));
        }
        guarded("attaching a call", || {
            let start = Start { position, owed_from };
            Ok(self.feed.attach_late(call, &pipeline.ring, &channels, start)?)
        })
    }

    fn detach(&self, call: u32) -> Result<Books, Refusal> {
        guarded("detaching a call", || Ok(self.feed.detach(call)?.into()))
    }

    fn drain<'py>(
        &self,
        py: Python<'py>,
        max_bytes: usize,
    ) -> Result<Bound<'py, PyBytes>, Refusal> {
        let mut outlet = FrameOutlet(self.take_spare());
        let faults = detached(py, DRAINING, || Ok(self.feed.drain(max_bytes, &mut outlet)))?;
        report(py, &faults);
        let frames = guarded(DRAINING, || Ok(PyBytes::new(py, &outlet.0)));
        self.give_spare(outlet.0);
        frames
    }

    #[pyo3(signature = (max_bytes, *, codec = "L16"))]
    fn drain_blocks<'py>(
        &self,
        py: Python<'py>,
        max_bytes: usize,
        codec: &str,
    ) -> Result<Vec<BlockTuple<'py>>, Refusal> {
        let codec = BlockCodec::of(codec_named(codec)?)?;
        let mut outlet = BlockOutlet::new(codec, self.take_spare());
        let faults = detached(py, DRAINING, || Ok(self.feed.drain(max_bytes, &mut outlet)))?;
        report(py, &faults);
        let BlockOutlet { blocks, payload, .. } = outlet;
        let tuples = guarded(DRAINING, || {
            Ok(blocks.iter().map(|block| block_tuple(py, block, &payload)).collect())
        });
        self.give_spare(payload);
        tuples
    }

    fn finished(&self) -> Result<Vec<u32>, Refusal> {
        guarded("listing finished calls", || Ok(self.feed.finished()))
    }

    fn books(&self, call: u32) -> Result<Books, Refusal> {
        guarded("reading books", || Ok(self.feed.books(call)?.into()))
    }

    fn lag_samples(&self, call: u32) -> Result<u64, Refusal> {
        guarded("reading books", || Ok(self.feed.books(call)?.buffered))
    }

    #[getter]
    fn pending(&self) -> Result<bool, Refusal> {
        guarded("looking for news", || Ok(self.feed.is_pending()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.on_ready.traverse(visit)
    }

    fn __clear__(&self) {
        drop(self.on_ready.take());
    }
}

impl Feed {
    fn take_spare(&self) -> Vec<u8> {
        std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_spare(&self, mut memory: Vec<u8>) {
        memory.clear();
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }
}

/// What Python wants to be called when a feed becomes pending.
struct Callback(Mutex<Option<Py<PyAny>>>);

impl Callback {
    /// Calls it. What it raises is nobody's to catch: it goes to `sys.unraisablehook`.
    fn call(&self) {
        // The interpreter may be shutting down, when nobody waits any more.
        Python::try_attach(|py| {
            let Some(callable) = self.get(py) else { return };
            if let Err(error) = callable.call0(py) {
                error.write_unraisable(py, Some(callable.bind(py)));
            }
        });
    }

    fn get(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|callable| callable.clone_ref(py))
    }

    fn take(&self) -> Option<Py<PyAny>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(slot) => visit.call(&*slot),
            // Locked by a thread that the collector has stopped: it is in use, so it is alive.
            Err(_) => Ok(()),
        }
    }
}

/// Calls that a defect has ended while others were served: not an error of this drain.
pub(crate) fn report(py: Python<'_>, faults: &[u32]) {
    for _ in faults {
        PyErr::from(Refusal::Panic("draining a call")).write_unraisable(py, None);
    }
}

fn block_tuple<'py>(py: Python<'py>, block: &Block, payload: &[u8]) -> BlockTuple<'py> {
    let (gap_samples, gap_reason) =
        block.gap.map_or((0, 0), |(samples, reason)| (samples, reason.number()));
    let audio = PyBytes::new(py, &payload[block.payload.clone()]);
    (block.call, block.position, gap_samples, gap_reason, audio)
}
