//! `Word`: what a line has for its listener.

use earhook_line::{Event, Rule};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::Refusal;
use crate::pipeline::Pipeline;

/// What Python is told.
pub(crate) enum Word {
    Text(Vec<u8>),
    Audio(Vec<u8>),
    Ping(Vec<u8>),
    Close(u16),
    Broken(Rule),
    Fault(Refusal, Py<Pipeline>),
}

impl From<Event<'_>> for Word {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(payload) => Self::Text(payload.to_vec()),
            Event::Binary(payload) => Self::Audio(payload.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Close(code) => Self::Close(code.unwrap_or(0)),
            Event::Broken(rule) => Self::Broken(rule),
        }
    }
}

impl Word {
    /// Calls the listener. Hold no lock.
    pub(crate) fn tell(self, listener: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = listener.py();
        match self {
            Self::Text(payload) => {
                listener.call_method1(intern!(py, "hear_text"), (PyBytes::new(py, &payload),))
            }
            Self::Audio(payload) => {
                listener.call_method1(intern!(py, "hear_audio"), (PyBytes::new(py, &payload),))
            }
            Self::Ping(payload) => {
                listener.call_method1(intern!(py, "hear_ping"), (PyBytes::new(py, &payload),))
            }
            Self::Close(code) => listener.call_method1(intern!(py, "hear_close"), (code,)),
            Self::Broken(rule) => {
                let code = rule.close_code().unwrap_or(0);
                listener.call_method1(intern!(py, "hear_broken"), (rule.word(), code))
            }
            Self::Fault(refusal, pipeline) => {
                pipeline.get().give_up();
                listener.call_method1(intern!(py, "hear_fault"), (PyErr::from(refusal),))
            }
        }
        .map(|_| ())
    }
}
