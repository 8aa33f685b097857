//! How often something may happen in a second.

use std::collections::VecDeque;

/// Marks on the clock that are kept for a second's worth of frames.
const MARKS: usize = 20;
const SECOND: f64 = 1.0;

/// Lets a number of events a second through; looks at the clock once in a block of them.
#[derive(Debug)]
pub struct Pace {
    block: usize,
    left: usize,
    room: usize,
    marks: VecDeque<f64>,
}

impl Pace {
    /// At most so many in any second, counted in blocks of a twentieth.
    #[must_use]
    pub fn in_blocks(per_second: usize) -> Self {
        Self::new(per_second, (per_second / MARKS).max(1))
    }

    /// At most so many in any second, counted one by one: for few.
    #[must_use]
    pub fn one_by_one(per_second: usize) -> Self {
        Self::new(per_second, 1)
    }

    fn new(per_second: usize, block: usize) -> Self {
        Self { block, left: 1, room: (per_second / block).max(1), marks: VecDeque::new() }
    }

    /// One more, at `now` seconds; false if that is too many.
    pub fn admits(&mut self, now: f64) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return true;
        }
        if self.marks.len() == self.room {
            if self.marks.front().is_some_and(|first| now - first < SECOND) {
                self.left = 1;
                return false;
            }
            self.marks.pop_front();
        }
        self.marks.push_back(now);
        self.left = self.block;
        true
    }
}
