//! `Budget`.

use pyo3::prelude::*;

/// The byte budget of all rings together.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Budget {
    pub(crate) budget: earhook_ring::Budget,
}

#[pymethods]
impl Budget {
    #[new]
    fn new(limit_bytes: u64) -> Self {
        Self { budget: earhook_ring::Budget::new(limit_bytes) }
    }

    #[getter]
    fn limit_bytes(&self) -> u64 {
        self.budget.limit_bytes()
    }

    #[getter]
    fn used_bytes(&self) -> u64 {
        self.budget.used_bytes()
    }
}
