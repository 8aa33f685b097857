//! Ways to make the core fail on purpose: built with the feature `testing` only.

#![allow(clippy::panic)]

use earhook_ring::{Item, Outlet};
use pyo3::prelude::*;

use crate::detach::detached;
use crate::error::Refusal;
use crate::feed::{report, Feed};
use crate::pipeline::Pipeline;

/// Panics where a push would decode.
#[pyfunction]
pub(crate) fn fail_in_push(pipeline: &Pipeline) -> Result<(), Refusal> {
    pipeline.guarded("decoding a frame", || panic!("provoked"))
}

/// Drains, and panics at the items of one call. Gives the calls whose items were taken.
#[pyfunction]
pub(crate) fn fail_in_drain(py: Python<'_>, feed: &Feed, call: u32) -> Result<Vec<u32>, Refusal> {
    let mut outlet = Allergic { call, taken: Vec::new() };
    let faults = detached(py, "draining a feed", || Ok(feed.feed.drain(usize::MAX, &mut outlet)))?;
    report(py, &faults);
    Ok(outlet.taken)
}

/// Panics where nothing catches it before it has come to Python and back.
#[pyfunction]
pub(crate) fn fail() {
    panic!("provoked")
}

struct Allergic {
    call: u32,
    taken: Vec<u32>,
}

impl Outlet for Allergic {
    fn bytes(&self) -> usize {
        self.taken.len()
    }

    fn take(&mut self, call: u32, _channels: &[u8], _item: &Item<'_>) {
        self.taken.push(call);
        assert!(call != self.call, "provoked");
    }

    fn mark(&self) -> usize {
        self.taken.len()
    }

    fn rewind(&mut self, mark: usize) {
        self.taken.truncate(mark);
    }
}
