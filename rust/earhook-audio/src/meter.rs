//! How loud a lane is.

/// Peak and RMS of a stretch of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Largest distance from zero, 0 to 32,768.
    pub peak: u16,
    /// Root mean square in units of one quantisation step, 0.0 to 32,768.0.
    pub rms: f64,
}

impl Level {
    /// Measures samples; of none, both figures are zero.
    #[must_use]
    pub fn of(samples: &[i16]) -> Self {
        let mut peak = 0;
        let mut energy = 0_u64;
        for &sample in samples {
            peak = peak.max(sample.unsigned_abs());
            let distance = u32::from(sample.unsigned_abs());
            energy = energy.wrapping_add(u64::from(distance.wrapping_mul(distance)));
        }
        Self { peak, rms: root_mean(energy, samples.len()) }
    }
}

/// Both conversions are exact below 2^53, which no lane that fits in memory as a frame exceeds.
#[allow(clippy::cast_precision_loss)]
fn root_mean(energy: u64, samples: usize) -> f64 {
    if samples == 0 {
        return 0.0;
    }
    (energy as f64 / samples as f64).sqrt()
}
