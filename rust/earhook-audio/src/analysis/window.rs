//! The block that is looked at and the one before it, at 8,000 samples a second.

/// Samples of a block at the rate at which everything is looked at.
pub(super) const BLOCK: usize = 160;

/// Two blocks, scaled down so far that a product sum over a block fits 32 bits.
pub(super) struct Window {
    raw: [i16; 2 * BLOCK],
    scaled: [i16; 2 * BLOCK],
    /// The bits of each block's peak.
    bits: [u32; 2],
    /// What a scaled sample has been divided by.
    factor: f32,
}

/// Bits of a scaled sample without its sign: 2 x 11 + log2(160) < 31.
const SCALED_BITS: u32 = 11;

impl Window {
    pub(super) const fn new() -> Self {
        Self { raw: [0; 2 * BLOCK], scaled: [0; 2 * BLOCK], bits: [0; 2], factor: 1.0 }
    }

    /// Moves on by a block of 8,000 or 16,000 samples a second, whose largest sample is `peak`.
    pub(super) fn take(&mut self, samples: &[i16], peak: u16) {
        self.raw.copy_within(BLOCK.., 0);
        let newest = &mut self.raw[BLOCK..];
        if samples.len() == BLOCK {
            newest.copy_from_slice(samples);
        } else {
            halve(samples, newest);
        }
        self.bits = [self.bits[1], u16::BITS - peak.leading_zeros()];
    }

    /// Makes the scaled samples; what only keeps time need not.
    pub(super) fn scale(&mut self) {
        let shift = self.bits[0].max(self.bits[1]).saturating_sub(SCALED_BITS);
        for (scaled, raw) in self.scaled.iter_mut().zip(&self.raw) {
            *scaled = raw >> shift;
        }
        self.factor = (1_u32 << shift) as f32;
    }

    /// Scaled samples from a place in the window.
    pub(super) fn scaled(&self, from: usize, samples: usize) -> &[i16] {
        &self.scaled[from..from + samples]
    }

    /// The newest block, scaled.
    pub(super) fn newest(&self) -> &[i16] {
        &self.scaled[BLOCK..]
    }

    /// What scaled samples have been divided by.
    pub(super) const fn factor(&self) -> f32 {
        self.factor
    }

    /// A block's product sum with itself `lag` samples before.
    pub(super) fn correlation(&self, lag: usize) -> f32 {
        let (now, before) = (&self.scaled[BLOCK..], &self.scaled[BLOCK - lag..2 * BLOCK - lag]);
        dot(now, before) as f32 * self.factor * self.factor
    }
}

/// Half the rate: each pair, smoothed by its neighbours. What lies above 4,000 Hz and is folded
/// down is of little power in speech, and of none in tones.
fn halve(samples: &[i16], out: &mut [i16]) {
    for (out, pair) in out.iter_mut().zip(samples.chunks_exact(2)) {
        *out = pair[0].midpoint(pair[1]);
    }
}

/// Cannot overflow with scaled samples and tables; the wrapping only tells the compiler so.
pub(super) fn dot(one: &[i16], two: &[i16]) -> i32 {
    one.iter().zip(two).fold(0, |sum: i32, (&one, &two)| {
        sum.wrapping_add(i32::from(one).wrapping_mul(i32::from(two)))
    })
}
