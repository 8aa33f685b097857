//! A reader's place in a ring, and its books.

use crate::gaps::Place;

/// A reader's place. The ring it reads knows what lies there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    /// The next position to be read.
    pub(crate) position: u64,
    /// Samples stored before that position.
    pub(crate) stored: u64,
    /// From here on it gets everything, or has it dropped. What lies before was gone when it came.
    pub(crate) owed: Place,
    /// Samples between where it began and there.
    pub(crate) late: u64,
    pub(crate) forwarded: u64,
    pub(crate) dropped: Dropped,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// The first position; the end of what is written for `None`, or if it is past that.
    pub position: Option<u64>,
    /// The oldest position that the ring held when the reader came ([`crate::Ring::oldest_position`]):
    /// what is gone before it was gone by then and is no loss. `None` is a reader that was there
    /// all the time: it is owed everything from `position` on.
    pub owed_from: Option<u64>,
}

/// Samples per channel that a reader did not get, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Overwritten before the reader got that far.
    pub overrun: u64,
    /// Left unread when the reader was detached.
    pub detached: u64,
    /// Left unread when the call was ended by a defect of ours.
    pub fault: u64,
}

impl Dropped {
    /// All reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.overrun + self.detached + self.fault
    }
}

/// The books of a reader, in samples per channel: `received = forwarded + buffered + dropped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Samples from the reader's start to the end of the ring, less those that are late.
    pub received: u64,
    /// Samples handed out.
    pub forwarded: u64,
    /// Samples that can still be read.
    pub buffered: u64,
    /// Samples that never will be.
    pub dropped: Dropped,
    /// Samples that were gone before the reader came, and are in no other figure.
    pub late: u64,
    /// The next position to be read.
    pub position: u64,
}

impl Books {
    /// Whether the law of the books holds.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.received == self.forwarded + self.buffered + self.dropped.total()
    }
}
