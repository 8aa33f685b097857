//! How much of a chosen frequency there is in samples, and at which phase.

use super::window::dot;

/// A point of the complex plane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spin {
    pub(super) real: f32,
    pub(super) imaginary: f32,
}

impl Spin {
    /// The point of the unit circle after so many turns.
    pub(super) fn turned(turns: f32) -> Self {
        let (imaginary, real) = (std::f32::consts::TAU * turns).sin_cos();
        Self { real, imaginary }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self {
            real: self.real * other.real - self.imaginary * other.imaginary,
            imaginary: self.real * other.imaginary + self.imaginary * other.real,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { real: self.real + other.real, imaginary: self.imaginary + other.imaginary }
    }

    pub(super) fn scaled(self, factor: f32) -> Self {
        Self { real: self.real * factor, imaginary: self.imaginary * factor }
    }

    pub(super) fn conjugate(self) -> Self {
        Self { imaginary: -self.imaginary, ..self }
    }

    /// The square of its distance from zero.
    pub(super) fn power(self) -> f32 {
        self.real * self.real + self.imaginary * self.imaginary
    }

    /// Its direction, -0.5 to 0.5 turns.
    pub(super) fn turns(self) -> f32 {
        self.imaginary.atan2(self.real) / std::f32::consts::TAU
    }
}

/// One frequency over `SAMPLES` samples at 8,000 Hz.
#[derive(Clone)]
pub(super) struct Projection<const SAMPLES: usize> {
    cosine: [i16; SAMPLES],
    sine: [i16; SAMPLES],
}

/// With scaled samples, the sum over a block fits 32 bits.
const AMPLITUDE: f32 = 2_047.0;
pub(super) const RATE_HZ: f32 = 8_000.0;

impl<const SAMPLES: usize> Projection<SAMPLES> {
    pub(super) fn of(hz: f32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "within the amplitude")]
        let steps = |value: f32| (value * AMPLITUDE).round() as i16;
        let spin = |sample: usize| Spin::turned(hz * sample as f32 / RATE_HZ);
        Self {
            cosine: std::array::from_fn(|sample| steps(spin(sample).real)),
            sine: std::array::from_fn(|sample| steps(spin(sample).imaginary)),
        }
    }

    /// Mean of the samples turned back by the frequency. Of a sine of amplitude 2 it has length 1.
    #[inline(always)]
    pub(super) fn apply(&self, scaled: &[i16]) -> Spin {
        let unit = 1.0 / (AMPLITUDE * SAMPLES as f32);
        Spin {
            real: dot(scaled, &self.cosine) as f32 * unit,
            imaginary: dot(scaled, &self.sine) as f32 * -unit,
        }
    }
}
