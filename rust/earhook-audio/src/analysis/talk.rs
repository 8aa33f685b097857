//! From blocks with and without voice to the spans in which somebody speaks.

use super::fact::Span;

/// What a lane's speaker does.
pub(super) struct Talk {
    pause_samples: u64,
    least_samples: u64,
    /// From the first to the last block with voice so far.
    open: Option<Span>,
}

/// Shorter than any word: a click.
const LEAST_SECONDS: f64 = 0.08;

impl Talk {
    pub(super) fn new(rate: u32, pause_seconds: f64) -> Self {
        let samples = |seconds| in_samples(rate, seconds);
        Self {
            pause_samples: samples(pause_seconds),
            least_samples: samples(LEAST_SECONDS),
            open: None,
        }
    }

    /// Takes one block; gives the span that has ended for good.
    pub(super) fn take(&mut self, block: Span, voiced: bool) -> Option<Span> {
        if voiced {
            self.open.get_or_insert(block).end = block.end;
            return None;
        }
        let open = self.open?;
        let pause = if self.is_word(open) { self.pause_samples } else { self.least_samples };
        (block.end - open.end >= pause).then(|| self.end()).flatten()
    }

    /// Ends the span now: what comes next is not its continuation.
    pub(super) fn end(&mut self) -> Option<Span> {
        self.open.take().filter(|open| self.is_word(*open))
    }

    /// What began at `from` was no voice after all.
    pub(super) fn retract(&mut self, from: u64) {
        self.open = self.open.and_then(|open| {
            let kept = Span { start: open.start, end: open.end.min(from.max(open.start)) };
            self.is_word(kept).then_some(kept)
        });
    }

    /// The span that goes on, once it is long enough to be one; up to its last voice.
    pub(super) fn open(&self) -> Option<Span> {
        self.open.filter(|open| self.is_word(*open))
    }

    /// Whether there is voice that is too short yet to be told from a click.
    pub(super) fn is_undecided(&self) -> bool {
        self.open.is_some_and(|open| !self.is_word(open))
    }

    fn is_word(&self, span: Span) -> bool {
        span.samples() >= self.least_samples
    }
}

/// A time as samples per channel; of a time that is none, 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) fn in_samples(rate: u32, seconds: f64) -> u64 {
    (seconds * f64::from(rate)).round() as u64
}
