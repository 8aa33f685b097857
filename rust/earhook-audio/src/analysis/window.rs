//! The block that is looked at with the end of the one before it, at 8,000 samples a second.

/// Samples of a block at the rate at which everything is looked at.
pub(super) const BLOCK: usize = 160;
/// Samples before the block that a look reaches back.
pub(super) const REACH: usize = 24;

/// What has to be kept from one block to the next.
pub(super) struct Window {
    tail: [i16; REACH],
    /// The bits of the peak of the block before.
    bits: u32,
}

/// A block and what the look at it reaches back to, scaled down so far that a product sum over a
/// block fits 32 bits.
pub(super) struct Scaled {
    samples: [i16; REACH + BLOCK],
    /// What a sample has been divided by.
    pub(super) factor: f32,
}

/// Bits of a scaled sample without its sign: 2 x 11 + log2(160) < 31.
const SCALED_BITS: u32 = 11;

impl Window {
    pub(super) const fn new() -> Self {
        Self { tail: [0; REACH], bits: 0 }
    }

    /// Moves on by a block of 8,000 or 16,000 samples a second, whose largest sample is `peak`.
    #[inline(always)]
    pub(super) fn pass(&mut self, block: &[i16], peak: u16) {
        let end = &block[block.len() - REACH * (block.len() / BLOCK)..];
        scale(end, 0, &mut self.tail);
        self.bits = bits(peak);
    }

    /// Moves on likewise; puts what a close look needs into `out`.
    #[inline(always)]
    pub(super) fn take(&mut self, block: &[i16], peak: u16, out: &mut Scaled) {
        let shift = self.bits.max(bits(peak)).saturating_sub(SCALED_BITS);
        let (before, now) = out.samples.split_at_mut(REACH);
        scale(&self.tail, shift, before);
        scale(block, shift, now);
        out.factor = (1_u32 << shift) as f32;
        self.pass(block, peak);
    }
}

impl Scaled {
    pub(super) const fn nothing() -> Self {
        Self { samples: [0; REACH + BLOCK], factor: 1.0 }
    }

    /// So many samples, the last of which lies so far before the end of the block.
    #[inline(always)]
    pub(super) fn ending<const SAMPLES: usize>(&self, before_end: usize) -> &[i16] {
        let end = REACH + BLOCK - before_end;
        &self.samples[end - SAMPLES..end]
    }
}

const fn bits(peak: u16) -> u32 {
    u16::BITS - peak.leading_zeros()
}

/// Shifted down, at 8,000 samples a second. Of 16,000 it is each pair, smoothed by its neighbours:
/// what lies above 4,000 Hz and is folded down is of little power in speech, and of none in tones.
#[inline(always)]
fn scale(samples: &[i16], shift: u32, out: &mut [i16]) {
    if samples.len() == out.len() {
        for (out, sample) in out.iter_mut().zip(samples) {
            *out = sample >> shift;
        }
    } else {
        for (out, pair) in out.iter_mut().zip(samples.chunks_exact(2)) {
            *out = pair[0].midpoint(pair[1]) >> shift;
        }
    }
}

/// Cannot overflow with scaled samples and tables; the wrapping only tells the compiler so.
#[inline(always)]
pub(super) fn dot(one: &[i16], two: &[i16]) -> i32 {
    one.iter().zip(two).fold(0, |sum: i32, (&one, &two)| {
        sum.wrapping_add(i32::from(one).wrapping_mul(i32::from(two)))
    })
}
