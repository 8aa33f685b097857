//! Tones of the network: that it rings, is taken, waits, or something else that is steady.
//!
//! The tones that networks use lie on a grid of frequencies. Each block is projected on these, and
//! five blocks are added up in phase: 100 ms tell frequencies 10 Hz apart. If nearly all power of
//! the 100 ms lies in one or two of them, it is that tone. A single tone at any other frequency is
//! known by its correlations, which are those of a cosine.

use std::sync::OnceLock;

use fearless_simd::{dispatch, Level};

use super::fact::{Span, ToneKind};
use super::projection::{Projection, Spin, RATE_HZ};
use super::spectrum::{Spectrum, LAGS};
use super::talk::in_samples;
use super::window::BLOCK;

/// Watches one lane for tones.
pub(super) struct Progress {
    lengths: Lengths,
    /// Counts blocks, for the phase.
    turn: usize,
    /// What the last block's correlations look like, and for how many blocks they have.
    line: Option<Line>,
    steady: u32,
    /// The projections of the last blocks in a row that were worth a look, in a ring.
    looks: [Look; BLOCKS],
    looked: usize,
    burst: Option<Burst>,
}

/// What a block brought.
#[derive(Clone, Copy, Default)]
pub(super) struct Sounding {
    /// A tone that has ended.
    pub(super) tone: Option<(ToneKind, Span)>,
    /// Since when a tone sounds.
    pub(super) since: Option<u64>,
}

/// In samples.
struct Lengths {
    least: u64,
    busy: u64,
    ringing: u64,
}

#[derive(Clone, Copy, Default)]
struct Look {
    spins: [Spin; GRID_HZ.len()],
    power: f32,
}

#[derive(Clone, Copy)]
struct Burst {
    meaning: Meaning,
    span: Span,
    missed: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    Known(ToneKind),
    /// What it means is told by how long it sounds.
    ByLength,
    Other,
}

const GRID_HZ: [f32; 7] = [350.0, 400.0, 425.0, 440.0, 450.0, 480.0, 620.0];
/// Pairs of the grid, by place. North America; the United Kingdom and those who follow it.
const PAIRS: [(usize, usize, ToneKind); 4] = [
    (3, 5, ToneKind::Ringback),
    (1, 4, ToneKind::Ringback),
    (5, 6, ToneKind::Busy),
    (0, 3, ToneKind::Dial),
];
/// Single tones of the grid: most of the world has one for everything.
const SINGLES: [usize; 4] = [1, 2, 3, 4];

/// Blocks that are added up.
const BLOCKS: usize = 5;
/// All frequencies of the grid are back at their phase after so many blocks.
const TURNS: usize = 10;
/// What a block has to be for a closer look: low, near to a line, and like so many before it.
const LOW: f32 = 0.75;
const NEAR: f32 = 0.01;
const STEADY: u32 = 2;
/// The part of 100 ms' power that has to lie in the tones.
const SHARE: f32 = 0.8;
/// The weaker tone of a pair has so much of it at least.
const WEAKER: f32 = 0.1;
/// A newest block of less than this part of the mean power: the tone is over.
const GOES_ON: f32 = 0.25;
/// Blocks without it that end a tone.
const MISSED: u32 = 2;
/// Shorter tones are none of the network's.
const LEAST_SECONDS: f64 = 0.18;
/// How long a tone that is known by its length sounds at most while busy, and while ringing.
const BUSY_SECONDS: f64 = 0.7;
const RINGING_SECONDS: f64 = 2.5;

impl Progress {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            lengths: Lengths {
                least: in_samples(rate, LEAST_SECONDS),
                busy: in_samples(rate, BUSY_SECONDS),
                ringing: in_samples(rate, RINGING_SECONDS),
            },
            turn: 0,
            line: None,
            steady: 0,
            looks: [Look::default(); BLOCKS],
            looked: 0,
            burst: None,
        }
    }

    pub(super) fn take(&mut self, spectrum: Option<&Spectrum>, block: Span) -> Sounding {
        self.turn = (self.turn + 1) % TURNS;
        let before = self.line.take();
        self.line = spectrum.and_then(|spectrum| Line::of(&spectrum.correlations));
        let mut meaning = None;
        if let (Some(spectrum), Some(line), Some(before)) = (spectrum, self.line, before) {
            meaning = self.judge(spectrum, before, line);
        } else {
            (self.steady, self.looked) = (0, 0);
        }
        if meaning.is_none() && self.burst.is_none() {
            return Sounding::default();
        }
        let tone = self.follow(meaning, block);
        let since = self.burst.filter(|burst| self.is_tone(burst)).map(|burst| burst.span.start);
        Sounding { tone, since }
    }

    /// Whether a tone may sound: every block counts then.
    pub(super) const fn is_watching(&self) -> bool {
        self.burst.is_some()
    }

    /// The stream breaks off.
    pub(super) fn end(&mut self) -> Option<(ToneKind, Span)> {
        (self.line, self.steady, self.looked) = (None, 0, 0);
        let burst = self.burst.take().filter(|burst| self.is_tone(burst))?;
        Some((self.kind(&burst), burst.span))
    }

    /// What a block like the one before it may be.
    fn judge(&mut self, spectrum: &Spectrum, before: Line, line: Line) -> Option<Meaning> {
        self.steady = if line.is_near(&before) { self.steady + 1 } else { 0 };
        // Within a tone a block may be noisy.
        let is_steady = self.steady >= STEADY || self.burst.is_some();
        if is_steady && line.cosine > LOW {
            self.look(spectrum);
        } else {
            self.looked = 0;
        }
        let other = || line.is_same_tone(&before).then_some(Meaning::Other);
        self.on_grid().or_else(other)
    }

    /// Costs as much as all else together, and most blocks do without: kept out of their way.
    #[inline(never)]
    fn look(&mut self, spectrum: &Spectrum) {
        let grid = GRID.get_or_init(Grid::new);
        let spins = dispatch!(Level::new(), _ => grid.project(spectrum, self.turn));
        self.looks[self.looked % BLOCKS] = Look { spins, power: spectrum.correlations[0] };
        self.looked += 1;
    }

    /// The tone of the grid that the last blocks hold.
    fn on_grid(&self) -> Option<Meaning> {
        if self.looked < BLOCKS {
            return None;
        }
        let newest = &self.looks[(self.looked - 1) % BLOCKS];
        let power = self.looks.iter().map(|look| look.power).sum::<f32>() / BLOCKS as f32;
        if newest.power < GOES_ON * power {
            return None;
        }
        let mut shares = [0.0; GRID_HZ.len()];
        for (place, share) in shares.iter_mut().enumerate() {
            let spins = self.looks.iter().map(|look| look.spins[place]);
            let mean = spins.fold(Spin::default(), Spin::plus).power() / (BLOCKS * BLOCKS) as f32;
            *share = 2.0 * mean / power;
        }
        if SINGLES.iter().any(|&place| shares[place] > SHARE) {
            return Some(Meaning::ByLength);
        }
        PAIRS
            .iter()
            .find(|&&(one, two, _)| {
                shares[one] + shares[two] > SHARE && shares[one].min(shares[two]) > WEAKER
            })
            .map(|&(_, _, kind)| Meaning::Known(kind))
    }

    fn follow(&mut self, meaning: Option<Meaning>, block: Span) -> Option<(ToneKind, Span)> {
        let reach = block.samples() * (BLOCKS as u64 - 1 + u64::from(STEADY));
        let Some(burst) = &mut self.burst else {
            self.burst = meaning.map(|meaning| {
                let lead = if meaning == Meaning::Other { block.samples() } else { reach };
                let start = block.start.saturating_sub(lead);
                Burst { meaning, span: Span { start, end: block.end }, missed: 0 }
            });
            return None;
        };
        let Some(meaning) = meaning else {
            burst.missed += 1;
            return (burst.missed >= MISSED).then(|| self.end()).flatten();
        };
        if burst.meaning == Meaning::Other {
            burst.meaning = meaning;
        }
        burst.missed = 0;
        burst.span.end = block.end;
        None
    }

    fn is_tone(&self, burst: &Burst) -> bool {
        burst.span.samples() >= self.lengths.least
    }

    fn kind(&self, burst: &Burst) -> ToneKind {
        let length = burst.span.samples();
        match burst.meaning {
            Meaning::Known(kind) => kind,
            Meaning::Other => ToneKind::Other,
            Meaning::ByLength if length <= self.lengths.busy => ToneKind::Busy,
            Meaning::ByLength if length <= self.lengths.ringing => ToneKind::Ringback,
            Meaning::ByLength => ToneKind::Dial,
        }
    }
}

/// One frequency that explains a block's correlations, as the cosine of its angle per sample.
#[derive(Clone, Copy)]
struct Line {
    cosine: f32,
    /// How far the correlations are off it, squared, in parts of theirs.
    error: f32,
}

/// How far correlations may be off a line that is worth a look, and off a single tone.
const ROUGH: f32 = 0.02;
const SMOOTH: f32 = 2e-3;
/// How far the frequency of a steady tone may move from block to block.
const DRIFT: f32 = 0.01;

impl Line {
    /// Correlations of a cosine satisfy r[k+1] + r[k-1] = 2 cos(w) r[k], for one w. Lag 0 is left
    /// out: it holds all noise.
    fn of(correlations: &[f32; LAGS]) -> Option<Self> {
        let (mut across, mut along, mut both) = (0.0, 0.0, 0.0);
        for three in correlations[1..].windows(3) {
            let (sum, middle) = (three[0] + three[2], three[1]);
            across += sum * middle;
            along += middle * middle;
            both += sum * sum;
        }
        if along < correlations[0] * correlations[0] {
            return None;
        }
        let cosine = across / along / 2.0;
        let error = (both - across * across / along) / along;
        (error < ROUGH && cosine.abs() < 1.0).then_some(Self { cosine, error })
    }

    fn is_near(&self, before: &Self) -> bool {
        (self.cosine - before.cosine).abs() < NEAR
    }

    fn is_same_tone(&self, before: &Self) -> bool {
        self.error < SMOOTH
            && before.error < SMOOTH
            && (self.cosine.acos() / before.cosine.acos() - 1.0).abs() < DRIFT
    }
}

/// What a block is projected on.
struct Grid {
    projections: [Projection<BLOCK>; GRID_HZ.len()],
    /// By block: what brings the phases of all blocks together.
    turned: [[Spin; GRID_HZ.len()]; TURNS],
}

impl Grid {
    fn new() -> Self {
        let turned =
            |block: usize| GRID_HZ.map(|hz| Spin::turned(-hz * (block * BLOCK) as f32 / RATE_HZ));
        Self { projections: GRID_HZ.map(Projection::of), turned: std::array::from_fn(turned) }
    }

    #[inline(always)]
    fn project(&self, spectrum: &Spectrum, turn: usize) -> [Spin; GRID_HZ.len()] {
        let scaled = &spectrum.scaled;
        let mut spins = [Spin::default(); GRID_HZ.len()];
        for ((spin, projection), turned) in
            spins.iter_mut().zip(&self.projections).zip(self.turned[turn])
        {
            let projected = projection.apply(scaled.ending::<BLOCK>(0));
            *spin = projected.times(turned).scaled(scaled.factor);
        }
        spins
    }
}

static GRID: OnceLock<Grid> = OnceLock::new();
