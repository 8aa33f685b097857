//! What the two sides of a call do to each other, from their talk alone.

use std::ops::RangeInclusive;

use super::fact::{Fact, Span};
use super::settings::Settings;
use super::summary::Summary;
use super::talk::in_samples;
use crate::meter::Level;

/// What one lane did in one block.
#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    /// A talk span that has ended for good.
    pub(super) ended: Option<Span>,
    /// The talk span that goes on, up to its last voice.
    pub(super) open: Option<Span>,
    /// There may be voice; the next blocks will tell.
    pub(super) is_undecided: bool,
    /// Tones or music sound.
    pub(super) is_played: bool,
    /// The line carries nothing, not even noise.
    pub(super) is_empty: bool,
    pub(super) level: Level,
}

/// Watches two lanes, block by block.
pub(super) struct Conversation {
    thresholds: Thresholds,
    /// A span of each lane that has ended while the other's may be about to.
    unsettled: [Option<Span>; 2],
    /// Who has been silenced by the other, if the other goes on.
    silenced: [Option<Silenced>; 2],
    /// When anything was heard last.
    heard_until: u64,
    dead_air_since: Option<u64>,
    empty: [Empty; 2],
    totals: Totals,
}

/// What the conversation adds to the summary.
#[derive(Default)]
struct Totals {
    talk_over: u64,
    dead_air: u64,
    longest_dead_air: u64,
    interruptions: [u64; 2],
    one_way: Option<usize>,
}

struct Thresholds {
    dead_air: u64,
    talk_over: u64,
    interruption: u64,
    /// Who yields after a time outside of these has not been interrupted but has finished.
    yielding: RangeInclusive<u64>,
    one_way: u64,
}

#[derive(Clone, Copy)]
struct Silenced {
    overlap: Span,
    /// How long the other has to go on.
    until: u64,
}

/// A lane that carries nothing.
#[derive(Clone, Copy, Default)]
struct Empty {
    since: Option<u64>,
    /// Samples in which the other spoke since.
    other_spoke: u64,
    is_told: bool,
}

/// Shortest and longest talk-over that one side gives way to. Less is how turns change: the next
/// speaker begins before the last word is over.
const LEAST_YIELDING_SECONDS: f64 = 0.5;
const YIELDING_SECONDS: f64 = 3.0;
/// The part of a one-way stretch in which the other side has to speak.
const ONE_WAY_TALK: u64 = 5;

impl Conversation {
    pub(super) fn new(rate: u32, settings: &Settings) -> Self {
        let samples = |seconds| in_samples(rate, seconds);
        Self {
            thresholds: Thresholds {
                dead_air: samples(settings.dead_air_seconds),
                talk_over: samples(settings.talk_over_seconds),
                interruption: samples(settings.interruption_seconds),
                yielding: samples(LEAST_YIELDING_SECONDS)..=samples(YIELDING_SECONDS),
                one_way: samples(settings.one_way_seconds),
            },
            unsettled: [None; 2],
            silenced: [None; 2],
            heard_until: 0,
            dead_air_since: None,
            empty: [Empty::default(); 2],
            totals: Totals::default(),
        }
    }

    pub(super) fn take(&mut self, block: Span, heard: &[Heard; 2], out: &mut Vec<Fact>) {
        self.compare(heard, out);
        self.follow_up(heard, out);
        self.listen(block, heard, out);
        for lane in 0..2 {
            self.watch_line(block, lane, heard, out);
        }
    }

    /// Nothing is known from `start` to `end`; talk spans that this ended are in `heard`.
    pub(super) fn interrupt(&mut self, gap: Span, heard: &[Heard; 2], out: &mut Vec<Fact>) {
        self.compare(heard, out);
        self.silenced = [None; 2];
        self.end_dead_air(gap.start, out);
        self.heard_until = gap.end;
        for lane in 0..2 {
            self.end_one_way(lane, gap.start, out);
        }
    }

    /// Talk-over: of two spans that overlap, the one that ends first says how far.
    fn compare(&mut self, heard: &[Heard; 2], out: &mut Vec<Fact>) {
        for (unsettled, lane) in self.unsettled.iter_mut().zip(heard) {
            *unsettled = lane.ended.or(*unsettled);
        }
        for lane in 0..2 {
            let other = 1 - lane;
            let Some(first) = self.unsettled[lane] else { continue };
            let against = match (heard[other].open, heard[other].ended) {
                // It pauses, and may go on: the next blocks tell how far the overlap reaches.
                (Some(open), _) if open.start < first.end && open.end < first.end => continue,
                (_, Some(ended)) if ended.start < first.end => Some(ended),
                (open, _) => open,
            };
            self.unsettled[lane] = None;
            if let Some(second) = against {
                self.overlap(lane, first, second, out);
            }
        }
        // Two spans that ended in the same block have been compared.
        if heard[0].ended.is_some() && heard[1].ended.is_some() {
            self.unsettled = [None; 2];
        }
    }

    fn overlap(&mut self, lane: usize, first: Span, second: Span, out: &mut Vec<Fact>) {
        let span = Span { start: first.start.max(second.start), end: first.end.min(second.end) };
        if span.end <= span.start || span.samples() < self.thresholds.talk_over {
            return;
        }
        let other = 1 - lane;
        let by = if second.start >= first.start { other } else { lane };
        self.totals.talk_over += span.samples();
        out.push(Fact::TalkOver { span, by });
        let had_spoken = second.start.saturating_sub(first.start);
        if by == other
            && had_spoken >= self.thresholds.interruption
            && self.thresholds.yielding.contains(&span.samples())
        {
            let until = first.end + self.thresholds.interruption;
            self.silenced[lane] = Some(Silenced { overlap: span, until });
        }
    }

    /// Interruption: whoever came in goes on while the other stays silent.
    fn follow_up(&mut self, heard: &[Heard; 2], out: &mut Vec<Fact>) {
        for lane in 0..2 {
            let by = 1 - lane;
            let Some(Silenced { overlap, until }) = self.silenced[lane] else { continue };
            let gone_on = heard[by].open.or(heard[by].ended).map_or(0, |span| span.end);
            if gone_on >= until {
                self.totals.interruptions[by] += 1;
                out.push(Fact::Interruption { span: overlap, by });
                self.silenced[lane] = None;
            } else if heard[lane].open.is_some() || heard[by].open.is_none() {
                self.silenced[lane] = None;
            }
        }
    }

    fn listen(&mut self, block: Span, heard: &[Heard; 2], out: &mut Vec<Fact>) {
        for lane in heard {
            if lane.is_played {
                self.end_dead_air(block.start, out);
                self.heard_until = block.end;
            }
            if let Some(span) = lane.open.or(lane.ended) {
                self.end_dead_air(span.start, out);
                self.heard_until = self.heard_until.max(span.end);
            }
        }
        let is_undecided = heard.iter().any(|lane| lane.is_undecided);
        let silence = block.end.saturating_sub(self.heard_until);
        if self.dead_air_since.is_none() && !is_undecided && silence >= self.thresholds.dead_air {
            self.dead_air_since = Some(self.heard_until);
            out.push(Fact::DeadAir { start: self.heard_until });
        }
    }

    fn end_dead_air(&mut self, end: u64, out: &mut Vec<Fact>) {
        let Some(start) = self.dead_air_since.take() else { return };
        let span = Span { start, end: end.max(start) };
        self.totals.dead_air += span.samples();
        self.totals.longest_dead_air = self.totals.longest_dead_air.max(span.samples());
        out.push(Fact::DeadAirEnded { span });
    }

    /// What the conversation adds to a summary up to `end`; dead air that goes on counts.
    pub(super) fn add_to(&self, summary: &mut Summary, end: u64) {
        let totals = &self.totals;
        let going_on = self.dead_air_since.map_or(0, |start| end.saturating_sub(start));
        summary.talk_over_samples = totals.talk_over;
        summary.dead_air_samples = totals.dead_air + going_on;
        summary.longest_dead_air_samples = totals.longest_dead_air.max(going_on);
        summary.one_way = totals.one_way;
        for (lane, interruptions) in summary.lanes.iter_mut().zip(totals.interruptions) {
            lane.interruptions = interruptions;
        }
    }

    fn watch_line(&mut self, block: Span, lane: usize, heard: &[Heard; 2], out: &mut Vec<Fact>) {
        if !heard[lane].is_empty || heard[lane].open.is_some() {
            self.end_one_way(lane, block.start, out);
            return;
        }
        let empty = &mut self.empty[lane];
        let start = *empty.since.get_or_insert(block.start);
        if heard[1 - lane].open.is_some_and(|span| span.end == block.end) {
            empty.other_spoke += block.samples();
        }
        let silence = block.end - start;
        let spoken = empty.other_spoke * ONE_WAY_TALK >= silence;
        if !empty.is_told && silence >= self.thresholds.one_way && spoken {
            empty.is_told = true;
            self.totals.one_way = Some(lane);
            out.push(Fact::OneWay { silent: lane, start });
        }
    }

    fn end_one_way(&mut self, lane: usize, end: u64, out: &mut Vec<Fact>) {
        let empty = std::mem::take(&mut self.empty[lane]);
        if let (true, Some(start)) = (empty.is_told, empty.since) {
            out.push(Fact::OneWayEnded { silent: lane, span: Span { start, end } });
        }
    }
}
