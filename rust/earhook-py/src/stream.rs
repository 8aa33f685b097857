//! The PCM stream from the other side: `FrameDecoder`, `encode_frame`, `encode_ack`.

use std::sync::{Mutex, TryLockError};

use earhook_wire::{Decoder, Frame, Kind, WireError, MAX_GATEWAY_FRAME_BYTES};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Lent;
use crate::detach::guarded;
use crate::error::Refusal;

const DOING: &str = "decoding the PCM stream";

type FrameTuple<'py> = (u8, u32, u8, u64, u64, u32, Bound<'py, PyBytes>);

/// Incremental decoder of the PCM stream.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct FrameDecoder {
    state: Mutex<State>,
}

struct State {
    decoder: Decoder,
    chunk: Vec<u8>,
    broken: Option<WireError>,
}

#[pymethods]
impl FrameDecoder {
    #[new]
    #[pyo3(
        signature = (max_frame_bytes = MAX_GATEWAY_FRAME_BYTES),
        text_signature = "(max_frame_bytes=1048576)"
    )]
    fn new(max_frame_bytes: usize) -> Self {
        let decoder = Decoder::with_limit(max_frame_bytes);
        Self { state: Mutex::new(State { decoder, chunk: Vec::new(), broken: None }) }
    }

    #[pyo3(signature = (chunk, /))]
    fn feed<'py>(&self, chunk: &Bound<'py, PyAny>) -> Result<Vec<FrameTuple<'py>>, Refusal> {
        let lent = Lent::by(chunk)?;
        self.with_state(|state| state.feed(chunk.py(), &lent))
    }

    #[getter]
    fn broken(&self) -> Result<Option<String>, Refusal> {
        self.with_state(|state| Ok(state.broken.map(|rule| rule.to_string())))
    }

    #[getter]
    fn buffered_bytes(&self) -> Result<usize, Refusal> {
        self.with_state(|state| Ok(state.decoder.buffered_bytes()))
    }
}

impl FrameDecoder {
    /// Frames become Python objects under the lock, so Python code can run under it (a garbage
    /// collection). Whoever comes back here meanwhile is told, instead of waiting for himself.
    fn with_state<T>(
        &self,
        action: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        guarded(DOING, || match self.state.try_lock() {
            Ok(mut state) => action(&mut state),
            Err(TryLockError::WouldBlock) => {
                Err(Refusal::Argument("the decoder is in use by another thread".to_owned()))
            }
            Err(TryLockError::Poisoned(_)) => Err(Refusal::Panic(DOING)),
        })
    }
}

impl State {
    /// Frames that ended before a broken rule are given first; then the rule is raised.
    fn feed<'py>(&mut self, py: Python<'py>, lent: &Lent) -> Result<Vec<FrameTuple<'py>>, Refusal> {
        lent.copy_to(py, &mut self.chunk)?;
        let outcome = self.decoder.feed(&self.chunk);
        let mut frames = Vec::new();
        while let Some(frame) = self.decoder.next_frame() {
            frames.push(frame_tuple(py, frame));
        }
        self.broken = outcome.err();
        match self.broken {
            Some(rule) if frames.is_empty() => Err(Refusal::Stream(rule)),
            _ => Ok(frames),
        }
    }
}

fn frame_tuple<'py>(py: Python<'py>, frame: Frame<'_>) -> FrameTuple<'py> {
    let body = |bytes: &[u8]| PyBytes::new(py, bytes);
    match frame {
        Frame::Audio(audio) => {
            let samples = (audio.pcm.len() / 2) as u64;
            let kind = Kind::Audio.number();
            (kind, audio.call, audio.channel, audio.position, samples, 0, body(audio.pcm))
        }
        Frame::Gap(gap) => {
            let kind = Kind::Gap.number();
            (kind, gap.call, gap.channel, gap.position, gap.samples, gap.reason, body(b""))
        }
        Frame::Ack(ack) => {
            (Kind::Ack.number(), ack.call, ack.channel, ack.position, 0, 0, body(b""))
        }
        Frame::Json(json) => {
            (json.kind.number(), json.call, 0, 0, 0, 0, body(json.body.as_bytes()))
        }
    }
}

#[pyfunction]
pub(crate) fn encode_frame<'py>(
    kind: u8,
    call: u32,
    body: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyBytes>, Refusal> {
    let py = body.py();
    let kind = Kind::from_number(kind)
        .ok_or_else(|| Refusal::Argument(format!("{kind} is not a kind of frame")))?;
    let body = Lent::by(body)?.to_vec(py)?;
    let mut frame = Vec::new();
    earhook_wire::write_json(&mut frame, kind, call, &body)
        .map_err(|error| Refusal::Argument(error.to_string()))?;
    Ok(PyBytes::new(py, &frame))
}

#[pyfunction]
pub(crate) fn encode_ack(
    py: Python<'_>,
    call: u32,
    channel: u8,
    position: u64,
) -> Bound<'_, PyBytes> {
    let mut frame = Vec::new();
    earhook_wire::write_ack(&mut frame, call, channel, position);
    PyBytes::new(py, &frame)
}
