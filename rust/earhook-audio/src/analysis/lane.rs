//! One lane: levels, what its sound is, and when its speaker speaks.

use super::conversation::Heard;
use super::fact::{Fact, Span};
use super::loudness::Loudness;
use super::settings::Settings;
use super::summary::{LaneLevel, LaneSummary};
use super::talk::Talk;
use crate::Level;

/// Listens to one lane.
pub(super) struct Lane {
    place: usize,
    loudness: Loudness,
    talk: Talk,
    talk_samples: u64,
    talk_spans: u64,
}

/// No line with anything on it is so quiet: 60 dB below full scale.
const EMPTY_PEAK: u16 = 33;

impl Lane {
    pub(super) fn new(place: usize, rate: u32, settings: &Settings) -> Self {
        Self {
            place,
            loudness: Loudness::new(),
            talk: Talk::new(rate, settings.pause_seconds),
            talk_samples: 0,
            talk_spans: 0,
        }
    }

    /// Takes a whole block.
    pub(super) fn take(&mut self, block: Span, samples: &[i16], out: &mut Vec<Fact>) -> Heard {
        self.loudness.take(self.place, block.start, samples, out);
        let level = Level::of(samples);
        let ended = self.talk.take(block, level.rms() > 200.0);
        self.tell(ended, out);
        Heard {
            ended,
            open: self.talk.open(),
            is_undecided: self.talk.is_undecided(),
            is_played: false,
            is_empty: level.peak < EMPTY_PEAK,
        }
    }

    /// The stream breaks off: takes the piece of a block before it, and ends what goes on.
    pub(super) fn interrupt(&mut self, start: u64, piece: &[i16], out: &mut Vec<Fact>) -> Heard {
        self.loudness.take(self.place, start, piece, out);
        self.loudness.end_clipping(self.place, out);
        let ended = self.talk.end();
        self.tell(ended, out);
        Heard { ended, ..Heard::default() }
    }

    pub(super) fn summary(&self) -> LaneSummary {
        LaneSummary {
            talk_samples: self.talk_samples + self.talk.open().map_or(0, |open| open.samples()),
            spans: self.talk_spans + u64::from(self.talk.open().is_some()),
            ..self.loudness.summary().clone()
        }
    }

    pub(super) fn level(&self) -> LaneLevel {
        self.loudness.shown(self.talk.open().is_some())
    }

    fn tell(&mut self, ended: Option<Span>, out: &mut Vec<Fact>) {
        let Some(span) = ended else { return };
        self.talk_samples += span.samples();
        self.talk_spans += 1;
        out.push(Fact::Speech { lane: self.place, span });
    }
}
