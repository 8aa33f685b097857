//! `Pipeline`: from a payload to the ring.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use earhook_audio::{Codec, Decoder, Level, MAX_CHANNELS};
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
    /// None if the call's audio comes through an intake.
    decoder: Option<Decoder>,
    lanes: usize,
    frames: AtomicU64,
}

/// What a push works with. One for all calls of a thread: it stays in the processor's cache, and
/// a frame allocates nothing.
#[derive(Default)]
struct Desk {
    payload: Vec<u8>,
    lanes: [Vec<i16>; MAX_CHANNELS],
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
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
            let lanes = channels.len();
            let shape = RingShape { channels: known_channels(channels)?, capacity_samples };
            let ring = Ring::new(&budget.budget, &shape)?;
            Ok(Self { ring, decoder, lanes, frames: AtomicU64::new(0) })
        })
    }

    #[pyo3(signature = (view, /))]
    fn push(&self, view: &Bound<'_, PyAny>) -> Result<usize, Refusal> {
        let lent = Lent::by(view)?;
        self.guarded("decoding a frame", || {
            // Readers are told when the desk is free: they may run Python code.
            let (samples, news) = DESK.with_borrow_mut(|desk| {
                lent.copy_to(view.py(), &mut desk.payload)?;
                self.take(&desk.payload, &mut desk.lanes)
            })?;
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
    fn oldest_position(&self) -> Result<u64, Refusal> {
        self.guarded("telling a position", || Ok(self.ring.oldest_position()))
    }

    #[getter]
    fn written_samples(&self) -> Result<u64, Refusal> {
        self.guarded("counting samples", || Ok(self.ring.written_samples()))
    }

    #[getter]
    fn frames(&self) -> Result<u64, Refusal> {
        self.guarded("counting frames", || Ok(self.frames.load(Ordering::Relaxed)))
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
        self.lanes
    }

    /// Brings a frame into the ring. Its readers are told by the caller, who holds locks now.
    /// After a panic the call is to be given up.
    pub(crate) fn take_frame(&self, payload: &[u8]) -> Result<News, Refusal> {
        guarded("decoding a frame", || {
            Ok(DESK.with_borrow_mut(|desk| self.take(payload, &mut desk.lanes))?.1)
        })
    }

    /// Ends the call after a defect. Hold no lock.
    pub(crate) fn give_up(&self) {
        let _ = self.end();
    }

    /// Brings a frame into the ring. G.711 is kept as it came, and decoded by whoever reads it.
    fn take(
        &self,
        payload: &[u8],
        lanes: &mut [Vec<i16>; MAX_CHANNELS],
    ) -> Result<(usize, News), Refusal> {
        if self.ring.is_ended() {
            return Ok((0, News::default()));
        }
        let Some(decoder) = &self.decoder else {
            let text = "the audio of this call has no frames: push it into an Intake";
            return Err(Refusal::Argument(text.to_owned()));
        };
        let samples = decoder.samples_in(payload.len())?;
        let written = match decoder.law() {
            Some(law) => self.ring.write_codes(payload, law)?,
            None => self.ring.write(decode(decoder, payload, samples, lanes)?)?,
        };
        self.frames.fetch_add(1, Ordering::Relaxed);
        Ok(written)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Nobody can push any more: readers must not wait for what cannot come. They are not woken
        // by this: the collector may be at work, and what they want called half taken apart by it.
        self.ring.end().leave();
    }
}

fn decode<'desk>(
    decoder: &Decoder,
    payload: &[u8],
    samples: usize,
    lanes: &'desk mut [Vec<i16>; MAX_CHANNELS],
) -> Result<&'desk [Vec<i16>], Refusal> {
    for lane in &mut *lanes {
        lane.resize(samples, 0);
    }
    let [first, second] = lanes;
    match decoder.channels() {
        1 => decoder.decode_planar(payload, &mut [first])?,
        _ => decoder.decode_planar(payload, &mut [first, second])?,
    };
    Ok(&lanes[..decoder.channels()])
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
