//! All samples of a lane in a few sums.

use fearless_simd::{dispatch, Level as Vectors};

use super::fact::{Fact, Span};
use super::summary::{LaneLevel, LaneSummary};
use crate::meter::{measure, Level};

/// The level of digital silence, and the lowest there is.
pub const SILENCE_DBFS: f64 = -100.0;

/// A value of samples, 0 to 32,768, in decibels of full scale: a square wave that fills the range
/// has 0 dBFS, the loudest sine has a peak of 0 and a root mean square of -3. At least
/// [`SILENCE_DBFS`].
#[must_use]
pub fn dbfs(value: f64) -> f64 {
    (20.0 * (value / 32_768.0).log10()).max(SILENCE_DBFS)
}

/// Sums up a lane, block by block, and finds clipping.
pub(super) struct Loudness {
    total: LaneSummary,
    recent: Level,
    shown: Level,
    clipping: Option<Clipping>,
}

struct Clipping {
    span: Span,
    samples: u64,
}

/// Of at most a few hundred samples; the wrapping only tells the compiler that it fits.
#[inline(always)]
fn sum(block: &[i16]) -> i32 {
    block.iter().fold(0, |sum: i32, &sample| sum.wrapping_add(i32::from(sample)))
}

/// G.711 ends at 32,124 and 32,256; a sample this large stands at the end of the scale.
const CLIPPED: u16 = 32_000;
/// One sample may be a peak; a plateau is cut off.
const PLATEAU_SAMPLES: u64 = 3;
/// So many blocks without a plateau end a span of clipping.
const QUIET_BLOCKS: u64 = 50;
/// Blocks that a meter shows.
const SHOWN_BLOCKS: usize = 5;

impl Loudness {
    pub(super) fn new() -> Self {
        Self {
            total: LaneSummary::default(),
            recent: Level::default(),
            shown: Level::default(),
            clipping: None,
        }
    }

    /// Takes a block, or a piece of one before a gap.
    pub(super) fn take(
        &mut self,
        lane: usize,
        start: u64,
        block: &[i16],
        out: &mut Vec<Fact>,
    ) -> Level {
        let (level, sum) = dispatch!(Vectors::new(), _ => (measure(block), sum(block)));
        let total = &mut self.total;
        total.energy = total.energy.saturating_add(level.energy);
        total.sum += i64::from(sum);
        total.peak = total.peak.max(level.peak);
        total.samples += level.samples as u64;
        self.show(level, block.len());
        if level.peak >= CLIPPED {
            self.clip(start, block);
        }
        let quiet = QUIET_BLOCKS * block.len() as u64;
        if self.clipping.as_ref().is_some_and(|clipping| clipping.span.end + quiet <= start) {
            self.end_clipping(lane, out);
        }
        level
    }

    fn show(&mut self, level: Level, block_samples: usize) {
        self.recent.energy += level.energy;
        self.recent.peak = self.recent.peak.max(level.peak);
        self.recent.samples += level.samples;
        if self.recent.samples >= SHOWN_BLOCKS * block_samples {
            self.shown = std::mem::take(&mut self.recent);
        }
    }

    fn clip(&mut self, start: u64, block: &[i16]) {
        let mut run = 0;
        for (place, &sample) in (start..).zip(block) {
            if sample.unsigned_abs() < CLIPPED {
                run = 0;
                continue;
            }
            run += 1;
            if run < PLATEAU_SAMPLES {
                continue;
            }
            let clipped = if run == PLATEAU_SAMPLES { PLATEAU_SAMPLES } else { 1 };
            let first = place + 1 - run;
            let clipping = self
                .clipping
                .get_or_insert(Clipping { span: Span { start: first, end: first }, samples: 0 });
            clipping.span.end = place + 1;
            clipping.samples += clipped;
            self.total.clipped_samples += clipped;
        }
    }

    pub(super) fn end_clipping(&mut self, lane: usize, out: &mut Vec<Fact>) {
        if let Some(Clipping { span, samples }) = self.clipping.take() {
            out.push(Fact::Clipping { lane, span, samples });
        }
    }

    pub(super) fn summary(&self) -> &LaneSummary {
        &self.total
    }

    pub(super) fn shown(&self, speaking: bool) -> LaneLevel {
        LaneLevel {
            rms_dbfs: dbfs(self.shown.rms()),
            peak_dbfs: dbfs(f64::from(self.shown.peak)),
            speaking,
        }
    }
}
