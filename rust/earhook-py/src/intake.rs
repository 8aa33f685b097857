//! `Intake`: from bodies, however they are cut, to the ring.

use std::sync::{Mutex, PoisonError};

use earhook_intake::{Destination, Format, IntakeError, WireCodec};
use earhook_ring::{GapReason, News, Ring, RingError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::buffer::Lent;
use crate::detach::detached;
use crate::encryption::EncryptionKeys;
use crate::error::Refusal;
use crate::pipeline::Pipeline;

/// The bodies of one call on their way into its ring.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Intake {
    ring: Ring,
    intake: Mutex<earhook_intake::Intake>,
    /// The memory of the last chunk, for the next one.
    spare: Mutex<Vec<u8>>,
}

const TAKING: &str = "taking a body in";

#[pymethods]
impl Intake {
    #[new]
    #[pyo3(signature = (pipeline, *, codec, channels, wire_rate, rate))]
    fn new(
        pipeline: &Pipeline,
        codec: &str,
        channels: usize,
        wire_rate: u32,
        rate: u32,
    ) -> Result<Self, Refusal> {
        let codec = WireCodec::from_name(codec).ok_or_else(|| {
            let known = "PCMU, PCMA, L16, L16BE, OPUS or OGG";
            Refusal::Argument(format!("unknown codec {codec:?}: {known}"))
        })?;
        let lanes = pipeline.lanes();
        if channels != lanes {
            let text = format!("{channels} channels for a pipeline of {lanes}");
            return Err(Refusal::Argument(text));
        }
        let format = Format { codec, channels, wire_rate, rate };
        let intake = Mutex::new(earhook_intake::Intake::new(format)?);
        Ok(Self { ring: pipeline.ring.clone(), intake, spare: Mutex::default() })
    }

    #[pyo3(signature = (keys = None))]
    fn begin(&self, py: Python<'_>, keys: Option<&EncryptionKeys>) -> Result<(), Refusal> {
        let keys = keys.map(|keys| keys.keys.clone());
        self.work(py, |intake, _| {
            intake.begin(keys);
            Ok(())
        })?;
        Ok(())
    }

    #[pyo3(signature = (chunk, /))]
    fn push(&self, chunk: &Bound<'_, PyAny>) -> Result<u64, Refusal> {
        let py = chunk.py();
        let lent = Lent::by(chunk)?;
        let mut bytes = self.take_spare();
        lent.copy_to(py, &mut bytes)?;
        let outcome = self.work(py, |intake, ring| intake.push(&bytes, ring));
        self.give_spare(bytes);
        outcome
    }

    #[getter]
    fn is_behind(&self, py: Python<'_>) -> Result<bool, Refusal> {
        self.look(py, earhook_intake::Intake::is_behind)
    }

    fn go_on(&self, py: Python<'_>) -> Result<u64, Refusal> {
        self.work(py, |intake, ring| intake.go_on(ring))
    }

    fn end(&self, py: Python<'_>) -> Result<u64, Refusal> {
        self.work(py, |intake, ring| intake.end(ring))
    }

    #[pyo3(signature = (samples, /))]
    fn lose(&self, py: Python<'_>, samples: u64) -> Result<u64, Refusal> {
        self.work(py, |intake, ring| {
            intake.lose(samples, ring);
            Ok(())
        })
    }

    fn finish(&self, py: Python<'_>) -> Result<u64, Refusal> {
        self.work(py, |intake, ring| {
            intake.finish(ring);
            Ok(())
        })
    }

    #[getter]
    fn position(&self, py: Python<'_>) -> Result<u64, Refusal> {
        self.look(py, |intake| self.ring.position() + intake.held_samples())
    }

    #[getter]
    fn suspicion(&self, py: Python<'_>) -> Result<Option<&'static str>, Refusal> {
        self.look(py, |intake| intake.suspicion())
    }

    fn tally<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        for (name, count) in self.look(py, |intake| intake.tally())?.counts() {
            counts.set_item(name, count)?;
        }
        Ok(counts)
    }
}

impl Intake {
    /// Lets the intake write to the ring, with the interpreter released, and gives the samples
    /// that it wrote. Feeds are told afterwards: their wake functions want the interpreter.
    fn work(
        &self,
        py: Python<'_>,
        action: impl FnOnce(&mut earhook_intake::Intake, &mut IntoRing<'_>) -> Result<(), IntakeError>
            + Send,
    ) -> Result<u64, Refusal> {
        let mut way =
            IntoRing { ring: &self.ring, samples: 0, news: News::default(), refused: None };
        let outcome = detached(py, TAKING, || {
            // After a panic the call has ended, and nothing half-done is used again.
            let mut intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(action(&mut intake, &mut way)?)
        });
        if matches!(outcome, Err(Refusal::Panic(_))) {
            self.ring.end().announce();
        }
        way.news.announce();
        outcome?;
        match way.refused {
            Some(refused) => Err(refused.into()),
            None => Ok(way.samples),
        }
    }

    fn look<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&earhook_intake::Intake) -> T + Send,
    ) -> Result<T, Refusal> {
        detached(py, TAKING, || {
            Ok(question(&self.intake.lock().unwrap_or_else(PoisonError::into_inner)))
        })
    }

    fn take_spare(&self) -> Vec<u8> {
        std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_spare(&self, memory: Vec<u8>) {
        if memory.capacity() <= KEPT_BYTES {
            *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = memory;
        }
    }
}

/// What is kept of memory between two chunks; a block of seconds gives its memory back.
const KEPT_BYTES: usize = 16 << 10;

/// A ring at the end of an intake's way.
struct IntoRing<'a> {
    ring: &'a Ring,
    samples: u64,
    news: News,
    refused: Option<RingError>,
}

impl IntoRing<'_> {
    fn note(&mut self, outcome: Result<(usize, News), RingError>) {
        match outcome {
            Ok((samples, news)) => {
                self.samples += samples as u64;
                self.news = news;
            }
            Err(error) => self.refused = Some(error),
        }
    }
}

impl Destination for IntoRing<'_> {
    fn audio(&mut self, lanes: &[Vec<i16>]) {
        let outcome = self.ring.write(lanes);
        self.note(outcome);
    }

    fn missing(&mut self, samples: u64) {
        let outcome = self.ring.gap(samples, GapReason::Missing).map(|news| (0, news));
        self.note(outcome);
    }
}
