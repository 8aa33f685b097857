//! Music on hold.
//!
//! Speech comes in syllables: over some seconds, half of its blocks or more have less than half
//! the mean power, whatever the speaker does. A machine that speaks may be steadier, but it stops
//! between words as people do. Most music is steadier and does not stop. Noise is steadier still,
//! but does not rise above itself. Music that goes up and down as speech does is taken for a voice.

use super::fact::Span;
use super::floor::{MINIMUM_BIAS, SMOOTHING};

/// Watches one lane for music.
pub(super) struct Music {
    block_samples: u64,
    /// The power of the last blocks, in a ring.
    powers: [f32; BLOCKS],
    filled: usize,
    /// Looks in a row that found music.
    streak: u32,
    playing: Option<Playing>,
}

#[derive(Clone, Copy)]
struct Playing {
    since: u64,
    mean: f32,
    /// Where a pause began, and how many blocks it has lasted.
    pause_start: u64,
    pause: u32,
}

/// Four seconds, looked at once a second.
const BLOCKS: usize = 200;
const LOOK_BLOCKS: usize = 50;
/// Looks in a row that are music.
const ENOUGH: u32 = 3;
/// Mean square of the quietest music: 57 dB below full scale.
const QUIET: f32 = 2_000.0;
/// The part of blocks with less than half the mean power: less begins music, and more ends it.
const BEGIN: f32 = 0.36;
const END: f32 = 0.45;
/// The part of blocks with nearly nothing, 15 dB below the mean: more is words with pauses.
const HOLLOW: f32 = 0.06;
const HOLLOW_POWER: f32 = 1.0 / 30.0;
/// How far above the noise it begins, and ends.
const BEGIN_NOISE: f32 = 1.7;
const END_NOISE: f32 = 1.15;
/// So many blocks of so little of the mean power are no part of any tune.
const PAUSE_BLOCKS: u32 = 20;
const PAUSE_POWER: f32 = 0.01;

impl Music {
    pub(super) const fn new(block_samples: u64) -> Self {
        Self { block_samples, powers: [0.0; BLOCKS], filled: 0, streak: 0, playing: None }
    }

    /// Since when music plays.
    pub(super) fn since(&self) -> Option<u64> {
        self.playing.map(|playing| playing.since)
    }

    /// Takes a block's power; gives music that has ended.
    pub(super) fn take(&mut self, power: f32, block: Span) -> Option<Span> {
        self.powers[self.filled % BLOCKS] = power;
        self.filled += 1;
        if let Some(ended) = self.pause(power, block) {
            return Some(ended);
        }
        if self.filled < BLOCKS || !self.filled.is_multiple_of(LOOK_BLOCKS) {
            return None;
        }
        self.look(block)
    }

    /// The stream breaks off, or the music does.
    pub(super) fn end(&mut self, end: u64) -> Option<Span> {
        (self.filled, self.streak) = (0, 0);
        self.playing.take().map(|playing| Span { start: playing.since, end })
    }

    fn pause(&mut self, power: f32, block: Span) -> Option<Span> {
        let playing = self.playing.as_mut()?;
        if power > PAUSE_POWER * playing.mean {
            (playing.pause, playing.pause_start) = (0, block.end);
            return None;
        }
        playing.pause += 1;
        let (pause, start) = (playing.pause, playing.pause_start);
        (pause >= PAUSE_BLOCKS).then(|| self.end(start)).flatten()
    }

    fn look(&mut self, block: Span) -> Option<Span> {
        let mean = self.powers.iter().sum::<f32>() / BLOCKS as f32;
        let weak = self.part_below(mean / 2.0);
        if self.playing.is_some() {
            let goes_on = weak < END && mean > QUIET && mean > END_NOISE * self.noise();
            return if goes_on { None } else { self.end(block.end) };
        }
        let is_music = weak < BEGIN
            && mean > QUIET
            && self.part_below(HOLLOW_POWER * mean) < HOLLOW
            && mean > BEGIN_NOISE * self.noise();
        self.streak = if is_music { self.streak + 1 } else { 0 };
        if self.streak >= ENOUGH {
            let looked_at = BLOCKS + (ENOUGH as usize - 1) * LOOK_BLOCKS;
            let since = block.end.saturating_sub(looked_at as u64 * self.block_samples);
            self.playing = Some(Playing { since, mean, pause_start: block.end, pause: 0 });
        }
        None
    }

    fn part_below(&self, power: f32) -> f32 {
        let below = self.powers.iter().filter(|&&one| one < power).count();
        below as f32 / BLOCKS as f32
    }

    /// The least smoothed power: what sounds all the time.
    fn noise(&self) -> f32 {
        let oldest = self.filled % BLOCKS;
        let in_order = self.powers[oldest..].iter().chain(&self.powers[..oldest]);
        let (mut smooth, mut least) = (self.powers[oldest], f32::MAX);
        for power in in_order {
            smooth = power + (smooth - power) * SMOOTHING;
            least = least.min(smooth);
        }
        least * MINIMUM_BIAS
    }
}
