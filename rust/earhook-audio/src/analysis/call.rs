//! All lanes of a call, in step.

use thiserror::Error;

use super::conversation::{Conversation, Heard};
use super::envelope::{Envelope, Stretch};
use super::fact::{Fact, Span};
use super::lane::Lane;
use super::settings::Settings;
use super::summary::{LaneLevel, Summary};
use crate::decoder::MAX_CHANNELS;

/// Rates that can be listened to.
pub const RATES: [u32; 2] = [8_000, 16_000];

/// A call that cannot be listened to.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no analysis of {channels} channels at {rate} samples a second")]
pub struct ShapeError {
    /// The rate that was asked for.
    pub rate: u32,
    /// The number of channels that was asked for.
    pub channels: usize,
}

/// Listens to one call.
pub struct CallAnalysis {
    block_samples: usize,
    lanes: Vec<Lane>,
    /// Samples that do not fill a block yet, lane by lane.
    rest: Vec<Vec<i16>>,
    /// Only with two lanes: what one side does alone is no conversation.
    conversation: Option<Conversation>,
    envelope: Envelope,
    /// The end of the last whole block or gap.
    position: u64,
    samples: u64,
}

/// Blocks in a second.
pub(super) const BLOCK_RATE: u32 = 50;

impl CallAnalysis {
    /// A call at its start.
    ///
    /// # Errors
    /// [`ShapeError`] unless the rate is among [`RATES`], and the channels are one or two.
    pub fn new(rate: u32, channels: usize, settings: &Settings) -> Result<Self, ShapeError> {
        if !RATES.contains(&rate) || !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(ShapeError { rate, channels });
        }
        let block_samples = (rate / BLOCK_RATE) as usize;
        Ok(Self {
            block_samples,
            lanes: (0..channels).map(|place| Lane::new(place, rate, settings)).collect(),
            rest: vec![Vec::with_capacity(block_samples); channels],
            conversation: (channels == 2).then(|| Conversation::new(rate, settings)),
            envelope: Envelope::new(rate),
            position: 0,
            samples: 0,
        })
    }

    /// Takes the samples from `position` on, one slice a lane and all of the same length, and adds
    /// what they tell to `out`.
    ///
    /// Total for everything else, too: positions left out are a gap, positions that have been
    /// there already are passed over, and of lanes of unequal length the shortest counts.
    pub fn push_audio(&mut self, position: u64, lanes: &[&[i16]], out: &mut Vec<Fact>) {
        let known = self.end();
        if position > known {
            self.push_gap(known, position - known, out);
        }
        let passed = usize::try_from(known.saturating_sub(position)).unwrap_or(usize::MAX);
        let shortest = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
        if lanes.len() != self.lanes.len() {
            return;
        }
        let mut from = passed.min(shortest);
        while from < shortest {
            from += self.push_some(lanes, from, shortest, out);
        }
    }

    /// Takes it that there is no audio for so many samples from `position` on.
    pub fn push_gap(&mut self, position: u64, samples: u64, out: &mut Vec<Fact>) {
        let end = position.saturating_add(samples);
        let start = self.end();
        if end <= start {
            return;
        }
        self.interrupt(Span { start, end }, out);
        self.position = end;
    }

    /// Ends the call: adds what was still open to `out`, and gives the call in figures.
    pub fn finish(&mut self, out: &mut Vec<Fact>) -> Summary {
        let end = self.end();
        self.interrupt(Span { start: end, end }, out);
        self.position = end;
        self.summary()
    }

    /// The call in figures so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            lanes: self.lanes.iter().map(Lane::summary).collect(),
            samples: self.samples,
            ..Summary::default()
        };
        if let Some(conversation) = &self.conversation {
            conversation.add_to(&mut summary, self.position);
        }
        summary
    }

    /// How loud each lane is now.
    pub fn levels(&self) -> impl Iterator<Item = LaneLevel> + '_ {
        self.lanes.iter().map(Lane::level)
    }

    /// How loud the call has been, in all points that end behind a position. What is not a whole
    /// block yet, 20 ms at most, is not in it.
    ///
    /// A point stands for 0.1 s, in a long call for that times a power of two: of the whole call
    /// there are never more than 768. Of the last 25 s there are points of 0.1 s in a long call,
    /// too, for whoever knows what came before. All of it takes 8 KiB. Whoever asks again
    /// from where the last answer ended misses nothing, and has the rest of a point that was not
    /// whole.
    #[must_use]
    pub fn envelope(&self, since: u64) -> Stretch {
        self.envelope.since(since)
    }

    /// The first position that has not been pushed.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + self.rest.first().map_or(0, |rest| rest.len() as u64)
    }

    /// Takes what fills the block that has been begun, or else a whole block from where it lies;
    /// gives how many samples that was.
    fn push_some(
        &mut self,
        lanes: &[&[i16]],
        from: usize,
        end: usize,
        out: &mut Vec<Fact>,
    ) -> usize {
        let held = self.rest.first().map_or(0, Vec::len);
        let taken = (self.block_samples - held).min(end - from);
        let pieces = lanes.iter().map(|lane| &lane[from..from + taken]);
        if taken == self.block_samples {
            let mut whole: [&[i16]; MAX_CHANNELS] = [&[]; MAX_CHANNELS];
            whole.iter_mut().zip(pieces).for_each(|(whole, piece)| *whole = piece);
            self.take_block(whole, out);
            return taken;
        }
        for (rest, piece) in self.rest.iter_mut().zip(pieces) {
            rest.extend_from_slice(piece);
        }
        if held + taken == self.block_samples {
            let mut rest = std::mem::take(&mut self.rest);
            let mut whole: [&[i16]; MAX_CHANNELS] = [&[]; MAX_CHANNELS];
            whole.iter_mut().zip(&rest).for_each(|(whole, rest)| *whole = rest);
            self.take_block(whole, out);
            rest.iter_mut().for_each(Vec::clear);
            self.rest = rest;
        }
        taken
    }

    fn take_block(&mut self, samples: [&[i16]; MAX_CHANNELS], out: &mut Vec<Fact>) {
        let block = Span { start: self.position, end: self.position + self.block_samples as u64 };
        let mut heard = [Heard::default(); MAX_CHANNELS];
        for ((lane, heard), samples) in self.lanes.iter_mut().zip(&mut heard).zip(samples) {
            *heard = lane.take(block, samples, out);
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.take(block, &heard, out);
        }
        self.envelope.take(block, heard.map(|heard| heard.level));
        self.position = block.end;
        self.samples += block.samples();
    }

    /// The stream breaks off, up to the end of `gap`.
    fn interrupt(&mut self, gap: Span, out: &mut Vec<Fact>) {
        let mut heard = [Heard::default(); MAX_CHANNELS];
        for ((lane, heard), rest) in self.lanes.iter_mut().zip(&mut heard).zip(&mut self.rest) {
            *heard = lane.interrupt(self.position, rest, out);
            rest.clear();
        }
        let piece = Span { start: self.position, end: gap.start };
        self.envelope.take(piece, heard.map(|heard| heard.level));
        self.envelope.pass(gap.end);
        self.samples += piece.samples();
        if let Some(conversation) = &mut self.conversation {
            conversation.interrupt(gap, &heard, out);
        }
    }
}
