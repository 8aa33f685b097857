//! `Books`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The books of one reader, in samples per channel.
#[pyclass(frozen, eq, module = "earhook._core")]
#[derive(PartialEq)]
pub(crate) struct Books {
    books: earhook_ring::Books,
}

impl From<earhook_ring::Books> for Books {
    fn from(books: earhook_ring::Books) -> Self {
        Self { books }
    }
}

#[pymethods]
impl Books {
    #[getter]
    fn received(&self) -> u64 {
        self.books.received
    }

    #[getter]
    fn forwarded(&self) -> u64 {
        self.books.forwarded
    }

    #[getter]
    fn buffered(&self) -> u64 {
        self.books.buffered
    }

    #[getter]
    fn dropped<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let by_reason = PyDict::new(py);
        by_reason.set_item("overrun", self.books.dropped.overrun)?;
        by_reason.set_item("detached", self.books.dropped.detached)?;
        by_reason.set_item("fault", self.books.dropped.fault)?;
        Ok(by_reason)
    }

    #[getter]
    fn late(&self) -> u64 {
        self.books.late
    }

    #[getter]
    fn position(&self) -> u64 {
        self.books.position
    }

    fn __repr__(&self) -> String {
        let earhook_ring::Books { received, forwarded, buffered, dropped, late, position } =
            self.books;
        format!(
            "Books(received={received}, forwarded={forwarded}, buffered={buffered}, \
             dropped={{'overrun': {}, 'detached': {}, 'fault': {}}}, late={late}, position={position})",
            dropped.overrun, dropped.detached, dropped.fault
        )
    }
}
