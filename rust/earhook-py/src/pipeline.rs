//! `Pipeline`: from a payload to the ring.

use std::sync::{Mutex, MutexGuard, PoisonError};

use earhook_audio::{Codec, Decoder, FrameError, Level};
use earhook_intake::WireCodec;
use earhook_ring::{Gap, GapReason, News, Ring, RingShape};
use pyo3::prelude::*;

use crate::budget::Budget;
use crate::buffer::Lent;
use crate::detach::guarded;
use crate::error::Refusal;

/// Decode of one call into its ring.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Pipeline {
    pub(crate) ring: Ring,
    desk: Mutex<Desk>,
}

/// What a push works with; kept so that a frame allocates nothing.
struct Desk {
    /// None if the call's audio comes through an intake.
    decoder: Option<Decoder>,
    payload: Vec<u8>,
    lanes: Vec<Vec<i16>>,
    frames: u64,
}

#[pymethods]
impl Pipeline {
    #[new]
    #[pyo3(signature = (budget, *, codec, channels, capacity_samples))]
    fn new(
        budget: &Budget,
        codec: &str,
        channels: Vec<u8>,
        capacity_samples: usize,
    ) -> Result<Self, Refusal> {
        guarded("opening a call", || {
            let decoder = match framed_codec(codec)? {
                Some(codec) => Some(Decoder::new(codec, channels.len())?),
                None => None,
            };
            let lanes = channels.iter().map(|_| Vec::new()).collect();
            let shape = RingShape { channels: known_channels(channels)?, capacity_samples };
            let desk = Desk { decoder, payload: Vec::new(), lanes, frames: 0 };
            Ok(Self { ring: Ring::new(&budget.budget, &shape)?, desk: Mutex::new(desk) })
        })
    }

    #[pyo3(signature = (view, /))]
    fn push(&self, view: &Bound<'_, PyAny>) -> Result<usize, Refusal> {
        let lent = Lent::by(view)?;
        self.guarded("decoding a frame", || {
            let (samples, news) = self.desk().take(view.py(), &lent, &self.ring)?;
            news.announce();
            Ok(samples)
        })
    }

    fn gap(&self, samples: u64, reason: u32) -> Result<(), Refusal> {
        let reason = GapReason::from_number(reason)
            .ok_or_else(|| Refusal::Argument(format!("{reason} is not a reason for a gap")))?;
        self.guarded("writing a gap", || {
            self.ring.gap(samples, reason)?.announce();
            Ok(())
        })
    }

    fn end(&self) -> Result<(), Refusal> {
        guarded("ending a call", || {
            self.ring.end().announce();
            Ok(())
        })
    }

    #[getter]
    fn position(&self) -> Result<u64, Refusal> {
        self.guarded("telling a position", || Ok(self.ring.position()))
    }

    #[getter]
    fn written_samples(&self) -> Result<u64, Refusal> {
        self.guarded("counting samples", || Ok(self.ring.written_samples()))
    }

    #[getter]
    fn frames(&self) -> Result<u64, Refusal> {
        self.guarded("counting frames", || Ok(self.desk().frames))
    }

    #[getter]
    fn ended(&self) -> Result<bool, Refusal> {
        self.guarded("looking for the end", || Ok(self.ring.is_ended()))
    }

    fn gaps(&self) -> Result<Vec<(u64, u64, u32)>, Refusal> {
        let numbers = |gap: &Gap| (gap.position, gap.samples, gap.reason.number());
        self.guarded("listing gaps", || Ok(self.ring.gaps().iter().map(numbers).collect()))
    }

    fn levels(&self) -> Result<Vec<(u8, u16, f64)>, Refusal> {
        let level = |(channel, samples): (u8, Vec<i16>)| {
            let level = Level::of(&samples);
            (channel, level.peak, level.rms())
        };
        self.guarded("measuring levels", || {
            Ok(self.ring.last_write().into_iter().map(level).collect())
        })
    }
}

impl Pipeline {
    /// A panic ends this call, and only this one.
    pub(crate) fn guarded<T>(
        &self,
        doing: &'static str,
        action: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let outcome = guarded(doing, action);
        if matches!(outcome, Err(Refusal::Panic(_))) {
            self.end()?;
        }
        outcome
    }

    /// How many channels the ring has.
    pub(crate) fn lanes(&self) -> usize {
        self.desk().lanes.len()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // After a panic the call has ended, and nothing half-done is used again.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Nobody can push any more: readers must not wait for what cannot come.
        let _ = self.end();
    }
}

impl Desk {
    fn take(&mut self, py: Python<'_>, lent: &Lent, ring: &Ring) -> Result<(usize, News), Refusal> {
        if ring.is_ended() {
            return Ok((0, News::default()));
        }
        let Some(decoder) = &self.decoder else {
            let text = "the audio of this call has no frames: push it into an Intake";
            return Err(Refusal::Argument(text.to_owned()));
        };
        lent.copy_to(py, &mut self.payload)?;
        let samples = decoder.samples_in(self.payload.len())?;
        for lane in &mut self.lanes {
            lane.resize(samples, 0);
        }
        match self.lanes.as_mut_slice() {
            [only] => decoder.decode_planar(&self.payload, &mut [only])?,
            [first, second] => decoder.decode_planar(&self.payload, &mut [first, second])?,
            others => return Err(FrameError::ChannelCount { channels: others.len() }.into()),
        };
        let (written, news) = ring.write(&self.lanes)?;
        self.frames += 1;
        Ok((written, news))
    }
}

/// The codec of a name if its frames can be decoded one by one; none for `OPUS` and `OGG`.
fn framed_codec(name: &str) -> Result<Option<Codec>, Refusal> {
    match WireCodec::from_name(name) {
        Some(WireCodec::Raw(codec)) => Ok(Some(codec)),
        Some(WireCodec::Opus | WireCodec::Ogg) => Ok(None),
        None => Err(Refusal::Argument(format!(
            "unknown codec {name:?}: PCMU, PCMA, L16, L16BE, OPUS or OGG"
        ))),
    }
}

/// The codec of a name, or a refusal that lists the names.
pub(crate) fn codec_named(name: &str) -> Result<Codec, Refusal> {
    Codec::from_name(name).ok_or_else(|| {
        Refusal::Argument(format!("unknown codec {name:?}: PCMU, PCMA, L16 or L16BE"))
    })
}

/// Channels 0 (external) and 1 (internal), each at most once.
pub(crate) fn known_channels(channels: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    match channels.as_slice() {
        [0] | [1] | [0, 1] | [1, 0] => Ok(channels),
        _ => Err(Refusal::Argument(format!(
            "channels {channels:?}: one or both of 0 (external) and 1 (internal), each once"
        ))),
    }
}
