//! How a block's power spreads over the telephone band.
//!
//! From the correlations of a block at eleven lags, by Blackman and Tukey: the power in a band is
//! a weighted sum of them. That is a tenth of the work of a Fourier transform, and as fine as a
//! voice has to be looked at.

use std::sync::OnceLock;

use super::window::{Window, BLOCK};

/// Lags of the correlation, 0 included.
pub(super) const LAGS: usize = 11;
/// Bands of the spectrum.
pub(super) const BANDS: usize = 6;
/// Their edges in Hz.
const EDGES_HZ: [f32; BANDS + 1] = [100.0, 400.0, 800.0, 1_300.0, 2_000.0, 2_900.0, 3_900.0];
const RATE_HZ: f32 = 8_000.0;

/// One block.
#[derive(Clone, Copy)]
pub(super) struct Spectrum {
    /// Mean product of samples so far apart; at lag 0 the power.
    pub(super) correlations: [f32; LAGS],
    /// Power in each band.
    pub(super) bands: [f32; BANDS],
}

impl Spectrum {
    /// Kept apart: merged with what surrounds it, it runs at half the speed.
    #[inline(never)]
    pub(super) fn of(window: &Window) -> Self {
        let mut correlations = [0.0; LAGS];
        for (lag, correlation) in correlations.iter_mut().enumerate() {
            *correlation = window.correlation(lag) / BLOCK as f32;
        }
        let weights = WEIGHTS.get_or_init(weights);
        let mut bands = [0.0; BANDS];
        for (correlation, weights) in correlations.iter().zip(weights) {
            for (band, weight) in bands.iter_mut().zip(weights) {
                *band += correlation * weight;
            }
        }
        Self { correlations, bands: bands.map(|band| band.max(0.0)) }
    }
}

/// By lag and band: the integral of the lag's cosine over the band, under a Parzen window, whose
/// transform is nowhere negative.
fn weights() -> [[f32; BANDS]; LAGS] {
    let mut weights = [[0.0; BANDS]; LAGS];
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

static WEIGHTS: OnceLock<[[f32; BANDS]; LAGS]> = OnceLock::new();
