//! The one way errors go out. The classes live in `earhook.errors`; they are imported when the
//! first of each kind is raised, so that importing the core imports nothing else.

use earhook_audio::FrameError;
use earhook_intake::IntakeError;
use earhook_ring::RingError;
use earhook_wire::WireError;
use pyo3::exceptions::{PyBufferError, PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Everything that can be refused at the wall.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A ring or a feed says no.
    Ring(RingError),
    /// A payload is not audio of the negotiated format.
    Frame(FrameError),
    /// A body is not what was announced.
    Intake(IntakeError),
    /// Bytes break a rule of the PCM stream.
    Stream(WireError),
    /// An argument makes no sense.
    Argument(String),
    /// A buffer is not plain bytes.
    Buffer(&'static str),
    /// A panic was caught: a defect of ours.
    Panic(&'static str),
    /// Python raised something itself.
    Python(PyErr),
}

impl From<RingError> for Refusal {
    fn from(error: RingError) -> Self {
        Self::Ring(error)
    }
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Self {
        Self::Intake(error)
    }
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ring(error) => from_ring(&error),
            Refusal::Frame(error) => from_frame(error),
            Refusal::Intake(error) => from_intake(&error),
            Refusal::Stream(error) => STREAM_ERROR.raise(error.to_string()),
            Refusal::Argument(text) => PyValueError::new_err(text),
            Refusal::Buffer(text) => PyBufferError::new_err(text),
            Refusal::Panic(doing) => CORE_FAULT.raise(format!(
                "the native core failed while {doing}; the call is ended, please report this"
            )),
            Refusal::Python(error) => error,
        }
    }
}

fn from_ring(error: &RingError) -> PyErr {
    let text = error.to_string();
    match error {
        RingError::BudgetExhausted { .. } | RingError::Memory => BUDGET_EXHAUSTED.raise(text),
        RingError::NotAttached(_) => PyKeyError::new_err(text),
        RingError::Shape
        | RingError::Coded
        | RingError::PositionLimit { .. }
        | RingError::AlreadyAttached(_) => PyValueError::new_err(text),
        RingError::Lanes => CORE_FAULT.raise(text),
    }
}

fn from_frame(error: FrameError) -> PyErr {
    let text = error.to_string();
    match error {
        FrameError::PartialGroup { .. } => MALFORMED_FRAME.raise(text),
        FrameError::ChannelCount { .. } => PyValueError::new_err(text),
        _ => CORE_FAULT.raise(text),
    }
}

fn from_intake(error: &IntakeError) -> PyErr {
    let text = error.to_string();
    match error {
        IntakeError::Malformed(_) => MALFORMED_FRAME.raise(text),
        IntakeError::Encryption(_) => ENCRYPTION_ERROR.raise(text),
        _ => PyValueError::new_err(text),
    }
}

/// A class of `earhook.errors`.
struct ErrorClass {
    name: &'static str,
    class: PyOnceLock<Py<PyType>>,
}

static BUDGET_EXHAUSTED: ErrorClass = ErrorClass::named("BudgetExhausted");
static CORE_FAULT: ErrorClass = ErrorClass::named("CoreFault");
static ENCRYPTION_ERROR: ErrorClass = ErrorClass::named("EncryptionError");
static MALFORMED_FRAME: ErrorClass = ErrorClass::named("MalformedFrame");
static STREAM_ERROR: ErrorClass = ErrorClass::named("StreamError");

impl ErrorClass {
    const fn named(name: &'static str) -> Self {
        let class = PyOnceLock::new();
        Self { name, class }
    }

    fn raise(&self, text: String) -> PyErr {
        Python::attach(|py| match self.class.import(py, "earhook.errors", self.name) {
            Ok(class) => PyErr::from_type(class.clone(), (text,)),
            Err(error) => error,
        })
    }
}
