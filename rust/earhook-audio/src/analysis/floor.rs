//! What sounds all the time: the noise of a lane.
//!
//! The minimum of the smoothed power over some seconds (after Martin, "Noise power spectral density
//! estimation based on optimal smoothing and minimum statistics", 2001). It is learnt while
//! somebody speaks, too, and follows noise that grows within four seconds.

/// Follows some powers at once.
pub(super) struct Floor<const POWERS: usize> {
    smooth: [f32; POWERS],
    /// How much of it stays; none of what was before the first block.
    smoothing: f32,
    /// Minima of the stretch that goes on, of those before it, and of all of those.
    lowest: [f32; POWERS],
    before: [[f32; POWERS]; STRETCHES],
    least: [f32; POWERS],
    blocks: u32,
}

/// How many stretches of how many blocks the minimum is of: 3.2 to 4 s.
const STRETCHES: usize = 4;
const STRETCH_BLOCKS: u32 = 40;
/// How much of the last smoothed power stays.
pub(super) const SMOOTHING: f32 = 0.7;
/// A minimum lies below the mean by so much.
pub(super) const MINIMUM_BIAS: f32 = 1.6;

impl<const POWERS: usize> Floor<POWERS> {
    pub(super) const fn new() -> Self {
        Self {
            smooth: [0.0; POWERS],
            smoothing: 0.0,
            lowest: [f32::MAX; POWERS],
            before: [[f32::MAX; POWERS]; STRETCHES],
            least: [f32::MAX; POWERS],
            blocks: 0,
        }
    }

    /// Takes a block's powers; gives the floor of each, as a mean.
    pub(super) fn follow(&mut self, powers: &[f32; POWERS]) -> [f32; POWERS] {
        let mut floor = [0.0; POWERS];
        for (place, power) in powers.iter().enumerate() {
            let smooth = power + (self.smooth[place] - power) * self.smoothing;
            self.smooth[place] = smooth;
            self.lowest[place] = smaller(self.lowest[place], smooth);
            floor[place] = smaller(self.lowest[place], self.least[place]) * MINIMUM_BIAS;
        }
        self.smoothing = SMOOTHING;
        self.blocks += 1;
        if self.blocks == STRETCH_BLOCKS {
            self.next_stretch();
        }
        floor
    }

    /// Whether it has been followed for a stretch.
    pub(super) fn is_known(&self) -> bool {
        self.least.iter().all(|&least| least < f32::MAX)
    }

    fn next_stretch(&mut self) {
        self.blocks = 0;
        self.before.rotate_left(1);
        self.before[STRETCHES - 1] = self.lowest;
        self.lowest = self.smooth;
        self.least = [f32::MAX; POWERS];
        for before in &self.before {
            for (least, before) in self.least.iter_mut().zip(before) {
                *least = least.min(*before);
            }
        }
    }
}

/// `f32::min` also looks for what is not a number, and that takes three times as long.
fn smaller(one: f32, two: f32) -> f32 {
    if one < two {
        one
    } else {
        two
    }
}
