//! Whether a block holds voice.
//!
//! A likelihood ratio after Sohn, Kim and Sung ("A statistical model-based voice activity
//! detection", 1999), over bands instead of lines of a Fourier transform: how much better does
//! noise with a voice explain the power in each band than noise alone?

use super::floor::Floor;
use super::spectrum::{Spectrum, BANDS};

/// Follows one lane.
pub(super) struct Voice {
    noise: Floor<BANDS>,
    /// The smoothed evidence.
    evidence: f32,
}

/// A line's own noise, squared: no less counts as noise. What G.711 leaves of silence is less.
const LINE_NOISE: f32 = 60.0;
/// How much of the last evidence stays.
const MEMORY: f32 = 0.75;
/// No band and no block is more evidence than this, so that a loud word is not remembered longer.
const BAND_LIMIT: f32 = 8.0;
const LIMIT: f32 = 0.7;
/// From this ratio on it is the limit.
const RATIO_LIMIT: f32 = 11.5;
/// Evidence that is enough: of the blocks so far, and of one to be the last with voice.
const ENOUGH: f32 = 0.1;
const LAST: f32 = 0.01;

impl Voice {
    pub(super) const fn new() -> Self {
        Self { noise: Floor::new(), evidence: 0.0 }
    }

    /// Takes a block; `None` for one without any sound.
    pub(super) fn hears(&mut self, spectrum: Option<&Spectrum>) -> bool {
        let Some(spectrum) = spectrum else {
            // No louder than the floor, whatever that is.
            self.noise.follow(&[LINE_NOISE; BANDS]);
            self.evidence *= MEMORY;
            return false;
        };
        let powers = spectrum.bands.map(|power| power + LINE_NOISE);
        let noise = self.noise.follow(&powers);
        let of_band = |(power, noise): (f32, f32)| evidence(power / noise);
        let evidence = powers.into_iter().zip(noise).map(of_band).sum::<f32>() / BANDS as f32;
        self.evidence = (self.evidence * MEMORY + evidence * (1.0 - MEMORY)).min(LIMIT);
        self.evidence > ENOUGH && evidence > LAST
    }

    /// Takes it that a block was noise like the blocks before it.
    pub(super) fn hears_noise(&mut self) {
        self.evidence *= MEMORY;
    }

    /// Whether there may be a voice: every block counts then.
    pub(super) fn is_watching(&self) -> bool {
        self.evidence > LAST
    }

    /// What was heard was no voice: forgets the evidence, and keeps the noise.
    pub(super) fn dismiss(&mut self) {
        self.evidence = 0.0;
    }
}

/// The logarithm of how likely so much more power than noise has is, with a voice and without.
fn evidence(ratio: f32) -> f32 {
    if ratio >= RATIO_LIMIT {
        BAND_LIMIT
    } else if ratio > 1.0 {
        ratio - 1.0 - ratio.ln()
    } else {
        0.0
    }
}
