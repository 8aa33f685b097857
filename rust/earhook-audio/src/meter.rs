//! How loud a lane is.

use fearless_simd::{dispatch, Level as Vectors};

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
        dispatch!(Vectors::new(), _ => measure(samples))
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

#[inline(always)]
pub(crate) fn measure(samples: &[i16]) -> Level {
    let peak = samples.iter().fold(0, |peak: u16, sample| peak.max(sample.unsigned_abs()));
    let energy = if peak > SMALL {
        samples.iter().map(|&sample| u64::from(square(sample))).fold(0, u64::wrapping_add)
    } else {
        let sum = |piece: &[i16]| piece.iter().copied().map(square).fold(0, u32::wrapping_add);
        samples.chunks(SMALL_SAMPLES).map(|piece| u64::from(sum(piece))).fold(0, u64::wrapping_add)
    };
    Level { peak, energy, samples: samples.len() }
}

#[inline(always)]
fn square(sample: i16) -> u32 {
    let sample = i32::from(sample);
    sample.wrapping_mul(sample) as u32
}

/// So many squares of at most this fit 32 bits, which fill a vector register twice as full as 64
/// do: 80 x 7,300 x 7,300 < 2^32.
const SMALL: u16 = 7_300;
const SMALL_SAMPLES: usize = 80;
