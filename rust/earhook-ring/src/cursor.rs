//! A reader's place in a ring, and its books.

/// A reader's place. The ring it reads knows what lies there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    /// The next position to be read.
    pub(crate) position: u64,
    /// Samples stored before that position.
    pub(crate) stored: u64,
    /// Samples stored before the position where the reader began.
    pub(crate) start: u64,
    pub(crate) forwarded: u64,
    pub(crate) dropped: Dropped,
}

/// Samples per channel that a reader did not get, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Overwritten before the reader came.
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
    /// Samples from the reader's start to the end of the ring.
    pub received: u64,
    /// Samples handed out.
    pub forwarded: u64,
    /// Samples that can still be read.
    pub buffered: u64,
    /// Samples that never will be.
    pub dropped: Dropped,
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
