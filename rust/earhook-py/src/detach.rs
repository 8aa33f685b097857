//! The one way to leave the interpreter, and the one place where a panic stops.

use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::prelude::*;

use crate::error::Refusal;

/// Runs `action`; a panic in it becomes a refusal that says what was being done.
///
/// pyo3 would let a panic through as a `BaseException`, which passes every `except Exception` of
/// the gateway and would end the process. The caller ends whatever `action` was working on.
pub(crate) fn guarded<T>(
    doing: &'static str,
    action: impl FnOnce() -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or(Err(Refusal::Panic(doing)))
}

/// Runs `action`, guarded, with the interpreter released: other Python threads run meanwhile.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    doing: &'static str,
    action: impl FnOnce() -> Result<T, Refusal> + Send,
) -> Result<T, Refusal> {
    py.detach(|| guarded(doing, action))
}
