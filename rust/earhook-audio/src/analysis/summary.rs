//! A call in figures.

use super::loudness::{dbfs, SILENCE_DBFS};

/// All of a call, or what there has been of it so far. Counts are in samples per channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// In the order of the lanes.
    pub lanes: Vec<LaneSummary>,
    /// Positions with audio. Gaps are no part of anything here.
    pub samples: u64,
    /// While both spoke.
    pub talk_over_samples: u64,
    /// All dead air that was told of.
    pub dead_air_samples: u64,
    /// The longest stretch of it.
    pub longest_dead_air_samples: u64,
    /// The lane that had no sound, if there was one-way audio at any time; the last such lane.
    pub one_way: Option<usize>,
}

/// One lane in figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneSummary {
    /// Sum of the squares of all samples.
    pub energy: u64,
    /// Sum of all samples.
    pub sum: i64,
    /// Largest distance from zero.
    pub peak: u16,
    /// How many samples.
    pub samples: u64,
    /// Samples in talk spans.
    pub talk_samples: u64,
    /// Talk spans.
    pub spans: u64,
    /// Samples in tones, DTMF included.
    pub tone_samples: u64,
    /// Samples in music.
    pub music_samples: u64,
    /// Samples at the end of the scale, in a row.
    pub clipped_samples: u64,
    /// Keys pressed.
    pub digits: u64,
    /// How often this lane interrupted the other.
    pub interruptions: u64,
}

impl LaneSummary {
    /// Root mean square; see [`dbfs`].
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a level has no 16th digit")]
    pub fn rms_dbfs(&self) -> f64 {
        if self.samples == 0 {
            return SILENCE_DBFS;
        }
        dbfs((self.energy as f64 / self.samples as f64).sqrt())
    }

    /// The loudest sample; see [`dbfs`].
    #[must_use]
    pub fn peak_dbfs(&self) -> f64 {
        dbfs(f64::from(self.peak))
    }

    /// The mean of all samples: what a faulty line adds to them, -32,768 to 32,767.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean has no 16th digit")]
    pub fn dc(&self) -> f64 {
        if self.samples == 0 {
            return 0.0;
        }
        self.sum as f64 / self.samples as f64
    }
}

/// How loud a lane has been in its last 100 ms, for meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneLevel {
    /// Root mean square; see [`dbfs`].
    pub rms_dbfs: f64,
    /// The loudest sample.
    pub peak_dbfs: f64,
    /// Whether somebody speaks, pauses between words included.
    pub speaking: bool,
}
