//! The one way bytes come in.

use pyo3::buffer::{PyBuffer, PyUntypedBuffer};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;

use crate::error::Refusal;

/// Contiguous bytes that a Python object lends: `bytes`, `bytearray`, a `memoryview` of either.
///
/// They are copied out before anything is done with them. To borrow them would need unsafe code
/// that nobody can justify: Python may change a bytearray, or reuse the memory under a view, at
/// any moment in which another thread runs. The copy goes into memory that is kept for the
/// purpose and costs some tens of nanoseconds for a frame.
pub(crate) struct Lent {
    buffer: PyBuffer<u8>,
}

impl Lent {
    /// Asks the object for its bytes. May run Python code, so hold no lock; likewise on drop.
    ///
    /// # Errors
    /// `TypeError` if it lends nothing, `BufferError` if what it lends is not plain bytes.
    pub(crate) fn by(object: &Bound<'_, PyAny>) -> Result<Self, Refusal> {
        let buffer = PyUntypedBuffer::get(object).map_err(|error| {
            match error.is_instance_of::<PyBufferError>(object.py()) {
                true => Refusal::Buffer("the buffer has no layout; wrap it in a memoryview"),
                false => Refusal::Python(error),
            }
        })?;
        let buffer = buffer.into_typed().map_err(|_| {
            Refusal::Buffer("the buffer holds items other than bytes; cast it to format 'B'")
        })?;
        let lent = Self { buffer };
        if !lent.buffer.is_c_contiguous() {
            return Err(Refusal::Buffer("the buffer is not contiguous; copy it first"));
        }
        Ok(lent)
    }

    /// Replaces the contents of `scratch` by the bytes. Runs no Python code.
    pub(crate) fn copy_to(&self, py: Python<'_>, scratch: &mut Vec<u8>) -> Result<(), Refusal> {
        scratch.resize(self.buffer.len_bytes(), 0);
        Ok(self.buffer.copy_to_slice(py, scratch)?)
    }

    /// A copy of its own.
    pub(crate) fn to_vec(&self, py: Python<'_>) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        self.copy_to(py, &mut bytes)?;
        Ok(bytes)
    }
}
