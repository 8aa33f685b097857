//! How loud a call has been, from its beginning on, in a bounded number of points.

use std::collections::VecDeque;

use super::fact::Span;
use crate::decoder::MAX_CHANNELS;
use crate::meter::Level;

/// How loud one lane was, in half decibels: twice the dBFS plus 255 and at least 1; 0 is digital
/// silence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Loud {
    /// The loudest sample.
    pub peak: u8,
    /// The root mean square.
    pub rms: u8,
}

/// How loud a call was from a position on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stretch {
    /// Samples that a point stands for; the last point ends at `span.end`, and may stand for fewer.
    pub step: u64,
    /// From the start of the first point on.
    pub span: Span,
    /// By lanes; None: there was no audio.
    pub points: Vec<Option<[Loud; MAX_CHANNELS]>>,
}

/// Sums up a call from the levels of its blocks: coarsely from its beginning on, and finely of late.
///
/// A point stands for a tenth of a second, and so do the last `RECENT_POINTS` for ever. Of all the
/// call there are `MAX_POINTS` at most: then two become one. It takes [`Envelope::BYTES`] of every
/// call, 8 KiB and some words, all at once: what grew bit by bit would leave holes as large.
pub(super) struct Envelope {
    position: u64,
    fine_step: u64,
    /// The point that is not whole, and where it begins.
    open: Open,
    open_start: u64,
    recent: VecDeque<Point>,
    step: u64,
    points: Vec<Point>,
    /// What is whole of the coarse point that is not: it begins where `points` end.
    begun: Open,
}

#[derive(Clone, Copy, Default)]
struct Point {
    /// The part of it that was heard, in 65,535ths; 0 only if nothing was.
    heard: u16,
    /// As in [`Loud`]: of two, the larger is that of both.
    peaks: [u8; MAX_CHANNELS],
    /// Mean squares of what was heard: the upper halves of 32-bit floats, to 0.02 dB.
    powers: [u16; MAX_CHANNELS],
}

#[derive(Clone, Copy, Default)]
struct Open {
    heard: u64,
    peaks: [u16; MAX_CHANNELS],
    energies: [u64; MAX_CHANNELS],
}

const MAX_POINTS: usize = 768;
const RECENT_POINTS: usize = 256;
const POINTS_PER_SECOND: u32 = 10;
const WHOLE: u16 = u16::MAX;
/// The square of the largest sample.
const FULL_POWER: f64 = 32_768.0 * 32_768.0;

impl Envelope {
    /// What it takes.
    pub(super) const BYTES: usize =
        size_of::<Self>() + (MAX_POINTS + RECENT_POINTS) * size_of::<Point>();

    pub(super) fn new(rate: u32) -> Self {
        let step = u64::from(rate / POINTS_PER_SECOND);
        Self {
            position: 0,
            fine_step: step,
            open: Open::default(),
            open_start: 0,
            recent: VecDeque::with_capacity(RECENT_POINTS),
            step,
            points: Vec::with_capacity(MAX_POINTS),
            begun: Open::default(),
        }
    }

    /// Takes a block, or a piece of one before a gap, that begins where the last ended. Of one that
    /// lies in two points, both have the peak, and each its share of the energy.
    pub(super) fn take(&mut self, block: Span, levels: [Level; MAX_CHANNELS]) {
        let mut energies = levels.map(|level| level.energy);
        while self.position < block.end {
            let (left, end) = (block.end - self.position, block.end.min(self.open_end()));
            let heard = end - self.position;
            let share = |energy: u64| if heard == left { energy } else { energy * heard / left };
            let parts = energies.map(share);
            let peaks = levels.map(|level| level.peak);
            self.open.add(&Open { heard, peaks, energies: parts });
            energies = [energies[0] - parts[0], energies[1] - parts[1]];
            self.reach(end);
        }
    }

    /// There is no audio up to here.
    pub(super) fn pass(&mut self, end: u64) {
        if self.position < end {
            self.reach(end.min(self.open_end()));
        }
        // A coarse point at a time: there may be an eternity.
        while self.position < end {
            let to = end.min(self.coarse_end());
            let whole = (to - self.open_start) / self.fine_step;
            for _ in 0..whole.min(RECENT_POINTS as u64) {
                self.note(Point::default());
            }
            self.open_start += whole * self.fine_step;
            self.reach_coarsely(to);
        }
    }

    /// All points that end behind a position: fine ones, if there still are so many.
    pub(super) fn since(&self, position: u64) -> Stretch {
        let fine_start = self.open_start.saturating_sub(self.recent.len() as u64 * self.fine_step);
        let has_more = self.position > position;
        if position >= fine_start && self.step > self.fine_step {
            let first = (position - fine_start) / self.fine_step;
            let start = fine_start + first * self.fine_step;
            let whole = self.recent.iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
            let open = (has_more && self.position > self.open_start)
                .then(|| self.open.closed(self.position - self.open_start));
            return self.stretch(self.fine_step, start, whole.copied().chain(open));
        }
        let first = usize::try_from(position / self.step).unwrap_or(usize::MAX);
        let first = first.min(self.points.len());
        let open = (has_more && self.position > self.coarse_start()).then(|| {
            let mut open = self.begun;
            open.add(&self.open);
            open.closed(self.position - self.coarse_start())
        });
        let whole = self.points[first..].iter().copied();
        self.stretch(self.step, first as u64 * self.step, whole.chain(open))
    }

    fn stretch(&self, step: u64, start: u64, points: impl Iterator<Item = Point>) -> Stretch {
        let points: Vec<_> = points.map(|point| point.shown()).collect();
        let start = if points.is_empty() { self.position } else { start };
        Stretch { step, span: Span { start, end: self.position }, points }
    }

    const fn open_end(&self) -> u64 {
        self.open_start.saturating_add(self.fine_step)
    }

    const fn coarse_start(&self) -> u64 {
        (self.points.len() as u64).saturating_mul(self.step)
    }

    const fn coarse_end(&self) -> u64 {
        self.coarse_start().saturating_add(self.step)
    }

    /// Moves on within the open point or to its end.
    fn reach(&mut self, position: u64) {
        if position == self.open_end() {
            let open = std::mem::take(&mut self.open);
            self.open_start = position;
            self.note(open.closed(self.fine_step));
            self.begun.add(&open);
        }
        self.reach_coarsely(position);
    }

    fn note(&mut self, point: Point) {
        if self.recent.len() == RECENT_POINTS {
            self.recent.pop_front();
        }
        self.recent.push_back(point);
    }

    /// Moves on within the coarse point or to its end, with nothing in an open one.
    fn reach_coarsely(&mut self, position: u64) {
        self.position = position;
        if position < self.coarse_end() {
            return;
        }
        self.points.push(std::mem::take(&mut self.begun).closed(self.step));
        if self.points.len() == MAX_POINTS {
            for place in 0..MAX_POINTS / 2 {
                self.points[place] = self.points[2 * place].joined(self.points[2 * place + 1]);
            }
            self.points.truncate(MAX_POINTS / 2);
            self.step = self.step.saturating_mul(2);
        }
    }
}

impl Open {
    fn add(&mut self, other: &Self) {
        self.heard += other.heard;
        for lane in 0..MAX_CHANNELS {
            self.peaks[lane] = self.peaks[lane].max(other.peaks[lane]);
            self.energies[lane] = self.energies[lane].saturating_add(other.energies[lane]);
        }
    }

    /// As a point that stands for so many samples.
    #[expect(clippy::cast_precision_loss, reason = "for the eye")]
    fn closed(self, samples: u64) -> Point {
        let heard = self.heard.saturating_mul(u64::from(WHOLE)).div_ceil(samples);
        let power = |energy: u64| stored(energy as f64 / self.heard.max(1) as f64);
        Point {
            heard: u16::try_from(heard).unwrap_or(WHOLE),
            peaks: self.peaks.map(|peak| half_decibels(f64::from(peak).powi(2))),
            powers: self.energies.map(power),
        }
    }
}

impl Point {
    /// This one and the next, which stands for as many samples.
    fn joined(self, next: Self) -> Self {
        let (one, two) = (f64::from(self.heard), f64::from(next.heard));
        let power = |lane: usize| {
            let sum = one * loaded(self.powers[lane]) + two * loaded(next.powers[lane]);
            stored(sum / (one + two).max(1.0))
        };
        Self {
            heard: self.heard.midpoint(next.heard) + (self.heard ^ next.heard) % 2,
            peaks: [0, 1].map(|lane: usize| self.peaks[lane].max(next.peaks[lane])),
            powers: [0, 1].map(power),
        }
    }

    fn shown(&self) -> Option<[Loud; MAX_CHANNELS]> {
        let loud = |lane: usize| Loud {
            peak: self.peaks[lane],
            rms: half_decibels(loaded(self.powers[lane])),
        };
        (self.heard > 0).then(|| [0, 1].map(loud))
    }
}

/// See [`Loud`]; of a mean square.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 8 bits")]
fn half_decibels(power: f64) -> u8 {
    if power <= 0.0 {
        return 0;
    }
    (255.0 + 20.0 * (power / FULL_POWER).log10()).round().clamp(1.0, 255.0) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "only its precision")]
fn stored(power: f64) -> u16 {
    (((power as f32).to_bits() + (1 << 15)) >> 16) as u16
}

fn loaded(power: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(power) << 16))
}

const _: () = assert!(Envelope::BYTES < 9 << 10);
