//! Whether a block holds voice.
//!
//! A likelihood ratio after Sohn, Kim and Sung ("A statistical model-based voice activity
//! detection", 1999), over bands instead of lines of a Fourier transform: how much better does
//! noise with a voice explain the power in each band than noise alone? The noise of each band is
//! followed by the minimum of its smoothed power over some seconds (Martin, 2001), so it is learnt
//! while somebody speaks, too.

use super::spectrum::{Spectrum, BANDS};

/// Follows one lane.
pub(super) struct Voice {
    /// Smoothed power of each band.
    smooth: [f32; BANDS],
    /// How much of it stays; none of what was before the first block.
    smoothing: f32,
    /// Its minima: of the stretch that goes on, and of those before it.
    lowest: [f32; BANDS],
    before: [[f32; BANDS]; STRETCHES],
    /// The least of those before.
    least: [f32; BANDS],
    blocks: u32,
    /// The smoothed evidence.
    evidence: f32,
}

/// How many stretches of how many blocks the noise is the minimum of: 3.2 to 4 s.
const STRETCHES: usize = 4;
const STRETCH_BLOCKS: u32 = 40;
/// How much of the last smoothed power stays.
const SMOOTHING: f32 = 0.7;
/// A minimum lies below the mean by so much.
const MINIMUM_BIAS: f32 = 1.6;
/// A line's own noise, squared: no less counts as noise. What G.711 leaves of silence is less.
const FLOOR: f32 = 60.0;
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
        Self {
            smooth: [0.0; BANDS],
            smoothing: 0.0,
            lowest: [f32::MAX; BANDS],
            before: [[f32::MAX; BANDS]; STRETCHES],
            least: [f32::MAX; BANDS],
            blocks: 0,
            evidence: 0.0,
        }
    }

    /// Takes a block; `None` for one without any sound.
    pub(super) fn hears(&mut self, spectrum: Option<&Spectrum>) -> bool {
        let power = spectrum.map_or([0.0; BANDS], |spectrum| spectrum.bands).map(|one| one + FLOOR);
        let noise = self.follow_noise(&power);
        let of_band = |(power, noise): (&f32, f32)| evidence(power / (noise * MINIMUM_BIAS));
        let evidence = power.iter().zip(noise).map(of_band).sum::<f32>() / BANDS as f32;
        self.evidence = (self.evidence * MEMORY + evidence * (1.0 - MEMORY)).min(LIMIT);
        self.evidence > ENOUGH && evidence > LAST
    }

    /// What was heard was no voice: forgets the evidence, and keeps the noise.
    pub(super) fn dismiss(&mut self) {
        self.evidence = 0.0;
    }

    fn follow_noise(&mut self, power: &[f32; BANDS]) -> [f32; BANDS] {
        let mut noise = [0.0; BANDS];
        for band in 0..BANDS {
            let before = self.smooth[band];
            self.smooth[band] = power[band] + (before - power[band]) * self.smoothing;
            self.lowest[band] = self.lowest[band].min(self.smooth[band]);
            noise[band] = self.lowest[band].min(self.least[band]);
        }
        self.smoothing = SMOOTHING;
        self.blocks += 1;
        if self.blocks == STRETCH_BLOCKS {
            self.next_stretch();
        }
        noise
    }

    fn next_stretch(&mut self) {
        self.blocks = 0;
        self.before.rotate_left(1);
        self.before[STRETCHES - 1] = self.lowest;
        self.lowest = self.smooth;
        self.least = [f32::MAX; BANDS];
        for before in &self.before {
            for (least, before) in self.least.iter_mut().zip(before) {
                *least = least.min(*before);
            }
        }
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
