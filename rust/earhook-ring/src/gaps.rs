//! The gaps of a call: where there is no audio, and why.

use std::collections::VecDeque;

use crate::GapReason;

/// How many gaps a ring remembers.
///
/// Of more, the oldest is forgotten *together with all audio before it*: a reader that has not
/// got that far is told of one overrun up to the end of the forgotten gap. So a flood of gaps
/// costs bounded memory, and never a wrong position.
pub const MAX_GAPS: usize = 1024;

/// A span of positions without audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first position without audio.
    pub position: u64,
    /// How many positions.
    pub samples: u64,
    /// Why.
    pub reason: GapReason,
}

impl Gap {
    /// The first position after the gap.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + self.samples
    }
}

/// A gap and the number of samples stored before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) stored: u64,
    pub(crate) gap: Gap,
}

/// A position, and the number of samples stored before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) stored: u64,
    pub(crate) position: u64,
}

/// The gaps that are remembered, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    placed: VecDeque<Placed>,
    /// Where memory begins: nothing before it can be told apart any more.
    floor: Place,
    total_samples: u64,
}

impl Gaps {
    /// Positions of all gaps there ever were.
    pub(crate) fn total_samples(&self) -> u64 {
        self.total_samples
    }

    pub(crate) fn floor(&self) -> Place {
        self.floor
    }

    pub(crate) fn recent(&self) -> impl Iterator<Item = Gap> + '_ {
        self.placed.iter().map(|placed| placed.gap)
    }

    /// Adds a gap at the end; it joins the last one if that has the same reason and no audio
    /// lies between.
    pub(crate) fn push(&mut self, stored: u64, gap: Gap) {
        self.total_samples += gap.samples;
        if let Some(last) = self.placed.back_mut() {
            if last.stored == stored && last.gap.reason == gap.reason {
                last.gap.samples += gap.samples;
                return;
            }
        }
        self.placed.push_back(Placed { stored, gap });
        if self.placed.len() > MAX_GAPS {
            self.forget_oldest();
        }
    }

    /// The first gap that ends after `position`.
    pub(crate) fn first_ending_after(&self, position: u64) -> Option<&Placed> {
        self.placed.get(self.count_ending_by(position))
    }

    /// How many samples lie before `position`, which must not be before the floor.
    pub(crate) fn stored_before(&self, position: u64) -> u64 {
        let index = self.count_ending_by(position);
        if let Some(placed) = self.placed.get(index) {
            if placed.gap.position <= position {
                return placed.stored;
            }
        }
        let (stored, end) = match index.checked_sub(1).and_then(|last| self.placed.get(last)) {
            Some(placed) => (placed.stored, placed.gap.end()),
            None => (self.floor.stored, self.floor.position),
        };
        stored + (position - end)
    }

    /// The position of a sample by the number of those stored before it, not less than the floor's.
    pub(crate) fn position_of(&self, stored: u64) -> u64 {
        let index = self.placed.partition_point(|placed| placed.stored <= stored);
        let (before, end) = match index.checked_sub(1).and_then(|last| self.placed.get(last)) {
            Some(placed) => (placed.stored, placed.gap.end()),
            None => (self.floor.stored, self.floor.position),
        };
        end + (stored - before)
    }

    fn count_ending_by(&self, position: u64) -> usize {
        // Readers live near the end: the last gap answers nearly always.
        match self.placed.back() {
            Some(last) if last.gap.end() > position => {
                self.placed.partition_point(|placed| placed.gap.end() <= position)
            }
            _ => self.placed.len(),
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.placed.pop_front() {
            self.floor = Place { stored: oldest.stored, position: oldest.gap.end() };
        }
    }
}
