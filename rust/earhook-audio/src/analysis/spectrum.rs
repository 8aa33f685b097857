//! How a block's power spreads over the telephone band.
//!
//! From the correlations of a block at eleven lags, by Blackman and Tukey: the power in a band is
//! a weighted sum of them. That is a tenth of the work of a Fourier transform, and as fine as a
//! voice has to be looked at.

use std::sync::OnceLock;

use fearless_simd::{dispatch, Level};

use super::projection::RATE_HZ;
use super::window::{dot, Scaled, Window, BLOCK};

/// Lags of the correlation, 0 included.
pub(super) const LAGS: usize = 11;
/// Bands of the spectrum.
pub(super) const BANDS: usize = 6;
/// Their edges in Hz.
const EDGES_HZ: [f32; BANDS + 1] = [100.0, 400.0, 800.0, 1_300.0, 2_000.0, 2_900.0, 3_900.0];

/// One block.
pub(super) struct Spectrum {
    /// The block.
    pub(super) scaled: Scaled,
    /// Mean product of samples so far apart; at lag 0 the power.
    pub(super) correlations: [f32; LAGS],
    /// Power in each band.
    pub(super) bands: [f32; BANDS],
}

impl Spectrum {
    /// Moves a window on by a block, whose largest sample is `peak`, and looks at it.
    pub(super) fn of(window: &mut Window, block: &[i16], peak: u16) -> Self {
        let weights = WEIGHTS.get_or_init(weights);
        let mut spectrum =
            Self { scaled: Scaled::nothing(), correlations: [0.0; LAGS], bands: [0.0; BANDS] };
        dispatch!(Level::new(), _ => {
            window.take(block, peak, &mut spectrum.scaled);
            spectrum.work_out(weights);
        });
        spectrum
    }

    #[inline(always)]
    fn work_out(&mut self, weights: &Weights) {
        let unit = self.scaled.factor * self.scaled.factor / BLOCK as f32;
        let mut bands = [0.0; WIDTH];
        let block = self.scaled.ending::<BLOCK>(0);
        for (lag, (correlation, weights)) in self.correlations.iter_mut().zip(weights).enumerate() {
            *correlation = dot(block, self.scaled.ending::<BLOCK>(lag)) as f32 * unit;
            for (band, weight) in bands.iter_mut().zip(weights) {
                *band += *correlation * weight;
            }
        }
        for (kept, band) in self.bands.iter_mut().zip(bands) {
            *kept = band.max(0.0);
        }
    }
}

/// By lag and band: the integral of the lag's cosine over the band, under a Parzen window, whose
/// transform is nowhere negative. Filled up to a vector's width.
type Weights = [[f32; WIDTH]; LAGS];
const WIDTH: usize = 8;

fn weights() -> Weights {
    let mut weights = [[0.0; WIDTH]; LAGS];
    for (lag, weights) in weights.iter_mut().enumerate() {
        for (weight, edges) in weights.iter_mut().zip(EDGES_HZ.windows(2)) {
            let part = |hz: f32| {
                if lag == 0 {
                    return hz * 2.0 / RATE_HZ;
                }
                let turn = std::f32::consts::PI * lag as f32;
                (2.0 * turn * hz / RATE_HZ).sin() * 2.0 / turn
            };
            *weight = (part(edges[1]) - part(edges[0])) * parzen(lag as f32 / LAGS as f32);
        }
    }
    weights
}

fn parzen(place: f32) -> f32 {
    if place <= 0.5 {
        1.0 - 6.0 * place.powi(2) + 6.0 * place.powi(3)
    } else {
        2.0 * (1.0 - place).powi(3)
    }
}

static WEIGHTS: OnceLock<Weights> = OnceLock::new();
