//! Keys of a telephone: two tones at once, one of four low and one of four high frequencies
//! (ITU-T Q.23), with what ITU-T Q.24 says a receiver has to take and to leave.
//!
//! Looked at through windows of 13 ms every 10 ms. A window shows a key if most of its power lies
//! in one tone of each group; how far the tones turn from one window to the next gives their
//! frequencies to about a hertz. Three windows in a row are a key: that is any tone of 40 ms, and
//! none of 23 ms. An interruption of 10 ms is bridged, and a pause of 40 ms is one.

use std::sync::OnceLock;

use fearless_simd::{dispatch, Level};

use super::fact::Span;
use super::projection::{Projection, Spin, RATE_HZ};
use super::spectrum::Spectrum;
use super::window::{dot, BLOCK};

/// Watches one lane for keys.
pub(super) struct Keypad {
    /// Call positions in a sample at 8,000 Hz.
    step: u64,
    /// Where the stream began, or began again: no key has been pressed before.
    begin: Option<u64>,
    run: Option<Run>,
}

/// What a block brought.
#[derive(Clone, Copy, Default)]
pub(super) struct Pressed {
    /// A key that was let go.
    pub(super) key: Option<(char, Span)>,
    /// Since when a key is held.
    pub(super) held_since: Option<u64>,
}

/// Windows that show the same key.
#[derive(Clone, Copy)]
struct Run {
    sight: Sight,
    span: Span,
    windows: u32,
    missed: u32,
}

/// A key in one window: which tones, and where they stand.
#[derive(Clone, Copy)]
struct Sight {
    low: usize,
    high: usize,
    spins: [Spin; 2],
}

const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Samples of a window, and from one to the next.
const SAMPLES: usize = 104;
const HOP: usize = 80;
/// How far before the block's end its two windows end.
const WINDOWS: [usize; 2] = [HOP, 0];
/// Windows that are a key, and windows without it that end it.
const ENOUGH: u32 = 3;
const MISSED: u32 = 3;
/// The part of a block's power that has to lie in the bands of the keys for a closer look.
const GATE: f32 = 0.75;
/// The part of a window's power that has to lie in the two tones.
const SHARE: f32 = 0.65;
/// Less than this part in the low tone cannot become enough.
const LEAST_LOW: f32 = SHARE / (1.0 + HIGH_TWIST);
/// How much louder the low tone may be, and the high one: 8 and 4 dB, and what a window adds.
const LOW_TWIST: f32 = 11.0;
const HIGH_TWIST: f32 = 4.5;
/// How far a tone may be off: 1.8 % has to be taken, 3 % to be left.
const TOLERANCE: f32 = 0.024;

impl Keypad {
    pub(super) const fn new(step: u64) -> Self {
        Self { step, begin: None, run: None }
    }

    /// Takes a block that begins at a position of the call.
    pub(super) fn take(&mut self, spectrum: Option<&Spectrum>, start: u64) -> Pressed {
        let stream = *self.begin.get_or_insert(start);
        let spectrum = spectrum.filter(|spectrum| may_be_key(spectrum));
        if spectrum.is_none() && self.run.is_none() {
            return Pressed::default();
        }
        let look_at = |before_end| look(spectrum?.scaled.ending::<SAMPLES>(before_end));
        let second = look_at(WINDOWS[1]);
        if second.is_none() && self.run.is_none() {
            return Pressed::default();
        }
        let mut key = None;
        for (before_end, sight) in [(WINDOWS[0], look_at(WINDOWS[0])), (WINDOWS[1], second)] {
            let end = start + (BLOCK - before_end) as u64 * self.step;
            let begin = end.saturating_sub(SAMPLES as u64 * self.step).max(stream);
            let span = Span { start: begin, end };
            key = self.follow(sight, span).or(key);
        }
        let held_since = self.run.filter(|run| run.windows >= ENOUGH).map(|run| run.span.start);
        Pressed { key, held_since }
    }

    /// Whether a key may be held: every block counts then.
    pub(super) const fn is_watching(&self) -> bool {
        self.run.is_some()
    }

    /// The stream breaks off.
    pub(super) fn end(&mut self) -> Option<(char, Span)> {
        self.begin = None;
        self.let_go()
    }

    fn let_go(&mut self) -> Option<(char, Span)> {
        self.run.take().and_then(|run| run.key())
    }

    fn follow(&mut self, sight: Option<Sight>, span: Span) -> Option<(char, Span)> {
        let Some(run) = &mut self.run else {
            self.run = sight.map(|sight| Run::new(sight, span));
            return None;
        };
        match sight {
            Some(sight) if run.goes_on_with(&sight) => {
                run.sight = sight;
                run.span.end = span.end;
                run.windows += 1;
                run.missed = 0;
                None
            }
            Some(sight) if run.windows < ENOUGH || run.sight.key() != sight.key() => {
                let ended = run.key();
                self.run = Some(Run::new(sight, span));
                ended
            }
            _ => {
                run.missed += 1;
                let over = run.missed >= MISSED || run.windows < ENOUGH;
                over.then(|| self.let_go()).flatten()
            }
        }
    }
}

impl Run {
    const fn new(sight: Sight, span: Span) -> Self {
        Self { sight, span, windows: 1, missed: 0 }
    }

    /// The same key, at frequencies near enough to its own.
    fn goes_on_with(&self, next: &Sight) -> bool {
        if self.sight.key() != next.key() {
            return false;
        }
        let tones = [LOW_HZ[next.low], HIGH_HZ[next.high]];
        self.missed > 0
            || tones.iter().zip(self.sight.spins).zip(next.spins).all(|((&hz, before), now)| {
                let expected = Spin::turned(-hz * HOP as f32 / RATE_HZ);
                let turns = now.times(before.conjugate()).times(expected).turns();
                let off_hz = turns * RATE_HZ / HOP as f32;
                off_hz.abs() <= hz * TOLERANCE
            })
    }

    fn key(&self) -> Option<(char, Span)> {
        (self.windows >= ENOUGH).then(|| (self.sight.key(), self.span))
    }
}

impl Sight {
    const fn key(&self) -> char {
        KEYS[self.low][self.high]
    }
}

fn may_be_key(spectrum: &Spectrum) -> bool {
    let bands = &spectrum.bands;
    bands[1] + bands[2] + bands[3] > GATE * spectrum.correlations[0]
}

/// Costs as much as all else together, and most blocks do without: kept out of their way.
#[inline(never)]
fn look(samples: &[i16]) -> Option<Sight> {
    dispatch!(Level::new(), _ => tones_in(samples))
}

#[inline(always)]
fn tones_in(samples: &[i16]) -> Option<Sight> {
    let projections = PROJECTIONS
        .get_or_init(|| [LOW_HZ, HIGH_HZ].map(|group| group.map(Projection::<SAMPLES>::of)));
    let power = dot(samples, samples) as f32 / SAMPLES as f32;
    // A sine of amplitude 2 has a power of 2, and its projection of 1.
    let (low, low_spin) = strongest(&projections[0], samples);
    let low_power = 2.0 * low_spin.power();
    if low_power < LEAST_LOW * power {
        return None;
    }
    let (high, high_spin) = strongest(&projections[1], samples);
    let high_power = 2.0 * high_spin.power();
    let is_key = low_power + high_power > SHARE * power
        && low_power < high_power * LOW_TWIST
        && high_power < low_power * HIGH_TWIST;
    is_key.then_some(Sight { low, high, spins: [low_spin, high_spin] })
}

#[inline(always)]
fn strongest(group: &[Projection<SAMPLES>; 4], samples: &[i16]) -> (usize, Spin) {
    let mut strongest = (0, Spin::default());
    for (place, projection) in group.iter().enumerate() {
        let spin = projection.apply(samples);
        if spin.power() > strongest.1.power() {
            strongest = (place, spin);
        }
    }
    strongest
}

static PROJECTIONS: OnceLock<[[Projection<SAMPLES>; 4]; 2]> = OnceLock::new();
