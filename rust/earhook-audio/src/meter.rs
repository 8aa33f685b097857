//! How loud a lane is.

/// Peak and energy of a stretch of one lane. Energies of stretches add up, RMS figures do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Largest distance from zero, 0 to 32,768.
    pub peak: u16,
    /// Sum of the squares of all samples, in squared quantisation steps.
    pub energy: u64,
    /// How many samples there were.
    pub samples: usize,
}

impl Level {
    /// Measures samples; of none, all figures are zero.
    #[must_use]
    pub fn of(samples: &[i16]) -> Self {
        let (mut peak, mut energy) = (0, 0);
        for block in samples.chunks(BLOCK_SAMPLES) {
            energy += energy_of(block);
            peak = peak_of(block).max(peak);
        }
        Self { peak, energy, samples: samples.len() }
    }

    /// Root mean square in units of one quantisation step, 0.0 to 32,768.0; of nothing 0.0.
    ///
    /// An energy of more than 2^53 is rounded, by less than one part in 2^52.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rms(&self) -> f64 {
        if self.samples == 0 {
            return 0.0;
        }
        (self.energy as f64 / self.samples as f64).sqrt()
    }
}

/// The largest distance from zero.
pub(crate) fn peak_of(block: &[i16]) -> u16 {
    let (mut highest, mut lowest) = (0, 0);
    for &sample in block {
        highest = highest.max(sample);
        lowest = lowest.min(sample);
    }
    highest.unsigned_abs().max(lowest.unsigned_abs())
}

/// Sum of squares of at most [`BLOCK_SAMPLES`]. A square has up to 31 bits, so its halves are summed
/// apart: 32-bit sums fill a vector register twice as full as 64-bit ones. Neither half can
/// overflow; the wrapping only tells the compiler so.
pub(crate) fn energy_of(block: &[i16]) -> u64 {
    let (mut low, mut high) = (0_u32, 0_u32);
    for &sample in block {
        let wide = i32::from(sample);
        let square = wide.wrapping_mul(wide) as u32;
        low = low.wrapping_add(square & 0xFFFF);
        high = high.wrapping_add(square >> 16);
    }
    u64::from(low) + (u64::from(high) << 16)
}

/// As many 16-bit halves as a 32-bit sum holds.
const BLOCK_SAMPLES: usize = 1 << 16;
