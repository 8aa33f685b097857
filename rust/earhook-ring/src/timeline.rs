//! What happened in a call, in order: samples in lanes, and gaps between them. No locks here.

use earhook_audio::g711::{self, Law};

use crate::cursor::{Books, Cursor, Start};
use crate::gaps::{Gap, Gaps, Place};
use crate::store::{Lane, Store};
use crate::{GapReason, RingError};

/// The last position. A sum of two positions cannot overflow.
pub const MAX_POSITION: u64 = i64::MAX as u64;

/// What a reader gets: every item starts where the last one ended.
#[derive(Debug)]
pub enum Item<'ring> {
    /// Samples.
    Audio(Audio<'ring>),
    /// Positions without samples.
    Gap(Gap),
}

/// A span of samples, borrowed from the ring.
#[derive(Debug, Clone, Copy)]
pub struct Audio<'ring> {
    channels: &'ring [u8],
    store: &'ring Store,
    first_index: usize,
    /// The position of the first sample.
    pub position: u64,
    /// Samples per channel; at least one.
    pub samples: usize,
}

impl<'ring> Audio<'ring> {
    /// One channel's samples; `None` if the call does not have the channel.
    #[must_use]
    pub fn channel(&self, channel: u8) -> Option<Lane<'ring>> {
        let place = self.channels.iter().position(|have| *have == channel)?;
        match self.store {
            Store::Empty => Some(Lane::Linear(&[], &[])),
            Store::Linear(lanes) => {
                let (first, second) = self.pieces(lanes.get(place)?, 1);
                Some(Lane::Linear(first, second))
            }
            Store::Coded { codes, law } => {
                let channels = self.channels.len();
                let codes = self.pieces(codes, channels);
                Some(Lane::Coded { codes, law: *law, place, channels })
            }
        }
    }

    /// The codes of all channels in turn, in two pieces, if they are kept so and `channels` are
    /// all of them in their order.
    #[must_use]
    pub fn codes(&self, channels: &[u8]) -> Option<Codes<'ring>> {
        match self.store {
            Store::Coded { codes, law } if channels == self.channels => {
                Some((self.pieces(codes, channels.len()), *law))
            }
            _ => None,
        }
    }

    fn pieces<T>(&self, ring: &'ring [T], width: usize) -> (&'ring [T], &'ring [T]) {
        let (start, wanted) = (self.first_index * width, self.samples * width);
        let first = wanted.min(ring.len() - start);
        (&ring[start..start + first], &ring[..wanted - first])
    }
}

/// Interleaved codes in two pieces, and their law.
pub type Codes<'ring> = ((&'ring [u8], &'ring [u8]), Law);

/// The samples and gaps of one call.
#[derive(Debug)]
pub(crate) struct Timeline {
    channels: Vec<u8>,
    store: Store,
    capacity: usize,
    stored: u64,
    last_write: usize,
    gaps: Gaps,
}

impl Timeline {
    pub(crate) fn new(channels: &[u8], capacity: usize) -> Self {
        Self {
            channels: channels.to_vec(),
            store: Store::Empty,
            capacity,
            stored: 0,
            last_write: 0,
            gaps: Gaps::default(),
        }
    }

    pub(crate) fn channels(&self) -> &[u8] {
        &self.channels
    }

    /// Samples per channel written so far.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// Where the next sample goes: samples and gaps so far.
    pub(crate) fn position(&self) -> u64 {
        self.stored + self.gaps.total_samples()
    }

    pub(crate) fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Appends samples, one slice per channel; overwrites the oldest.
    pub(crate) fn write<L: AsRef<[i16]>>(&mut self, planar: &[L]) -> Result<usize, RingError> {
        let samples = planar.first().map_or(0, |lane| lane.as_ref().len());
        let same_length = planar.iter().all(|lane| lane.as_ref().len() == samples);
        if planar.len() != self.channels.len() || !same_length {
            return Err(RingError::Lanes);
        }
        if samples == 0 {
            return Ok(0);
        }
        let (skipped, start) = self.place_of(samples);
        let kept = planar.iter().map(|lane| &lane.as_ref()[skipped..]);
        self.store.put_lanes(self.capacity, start, kept)?;
        self.stored += samples as u64;
        self.last_write = samples - skipped;
        Ok(samples)
    }

    /// Appends samples as codes of G.711, those of all channels in turn.
    pub(crate) fn write_codes(&mut self, codes: &[u8], law: Law) -> Result<usize, RingError> {
        let channels = self.channels.len();
        if !codes.len().is_multiple_of(channels) {
            return Err(RingError::Lanes);
        }
        let samples = codes.len() / channels;
        if samples == 0 {
            return Ok(0);
        }
        let (skipped, start) = self.place_of(samples);
        let kept = &codes[skipped * channels..];
        if !self.store.put_codes((self.capacity, channels), start, kept, law)? {
            return self.write(&decoded(codes, channels, law));
        }
        self.stored += samples as u64;
        self.last_write = samples - skipped;
        Ok(samples)
    }

    /// What the ring costs at most, as it is kept.
    pub(crate) fn cost_bytes(&self) -> u64 {
        let bytes_each = if matches!(self.store, Store::Coded { .. }) { 1 } else { 2 };
        (self.capacity * self.channels.len() * bytes_each) as u64
    }

    /// How many samples of a write cannot stay, because it is longer than the ring, and where
    /// the rest of it goes.
    fn place_of(&self, samples: usize) -> (usize, usize) {
        let skipped = samples.saturating_sub(self.capacity);
        (skipped, self.index(self.stored + skipped as u64))
    }

    /// Appends positions without samples.
    pub(crate) fn gap(&mut self, samples: u64, reason: GapReason) -> Result<(), RingError> {
        let position = self.position();
        match position.checked_add(samples) {
            Some(end) if end <= MAX_POSITION => {}
            _ => return Err(RingError::PositionLimit { position, samples }),
        }
        if samples > 0 {
            let gap = Gap { position, samples, reason };
            self.gaps.push(self.stored, gap);
        }
        Ok(())
    }

    /// The samples of the last write, as far as the ring holds them.
    pub(crate) fn last_write(&self) -> Audio<'_> {
        let stored = self.stored - self.last_write as u64;
        self.audio(0, stored, self.last_write)
    }

    /// A cursor where a reader begins.
    ///
    /// Before the floor the number of samples is not known any more; there, positions are taken
    /// for samples, so that position 0 stays exact.
    pub(crate) fn cursor(&self, start: Start) -> Cursor {
        let end = self.position();
        let first = self.place(start.position.map_or(end, |wanted| wanted.min(end)));
        // What the ring still has is never late.
        let latest = first.position.max(self.oldest_position());
        let owed = start.owed_from.map_or(first.position, |it| it.clamp(first.position, latest));
        let owed = self.place(owed);
        Cursor {
            position: first.position,
            stored: first.stored,
            owed,
            late: owed.stored - first.stored,
            ..Cursor::default()
        }
    }

    /// The position of the oldest sample that can be read, or of the next one if there is none.
    pub(crate) fn oldest_position(&self) -> u64 {
        self.gaps.position_of(self.oldest())
    }

    fn place(&self, position: u64) -> Place {
        let floor = self.gaps.floor();
        let stored = if position < floor.position {
            position.min(floor.stored)
        } else {
            self.gaps.stored_before(position)
        };
        Place { position, stored }
    }

    /// Whether a cursor has everything there is.
    pub(crate) fn is_read(&self, cursor: &Cursor) -> bool {
        cursor.position == self.position()
    }

    /// The next item, of at most `max_samples` if it is audio; moves the cursor past it.
    pub(crate) fn next(&self, cursor: &mut Cursor, max_samples: usize) -> Option<Item<'_>> {
        if let Some(gap) = self.skip_lost(cursor) {
            return Some(Item::Gap(gap));
        }
        let ahead = self.gaps.first_ending_after(cursor.position);
        let until = match ahead {
            Some(placed) if placed.gap.position <= cursor.position => {
                let gap = Gap {
                    position: cursor.position,
                    samples: placed.gap.end() - cursor.position,
                    reason: placed.gap.reason,
                };
                cursor.position = gap.end();
                return Some(Item::Gap(gap));
            }
            Some(placed) => placed.stored,
            None => self.stored,
        };
        let samples = usize::try_from(until - cursor.stored).unwrap_or(usize::MAX).min(max_samples);
        if samples == 0 {
            return None;
        }
        let audio = self.audio(cursor.position, cursor.stored, samples);
        cursor.position += samples as u64;
        cursor.stored += samples as u64;
        cursor.forwarded += samples as u64;
        Some(Item::Audio(audio))
    }

    /// The books of a cursor. What is overwritten but not yet skipped is dropped already.
    pub(crate) fn books(&self, cursor: &Cursor) -> Books {
        let reached = cursor.stored.max(cursor.owed.stored);
        let lost = self.oldest().saturating_sub(reached);
        let mut dropped = cursor.dropped;
        dropped.overrun += lost;
        Books {
            received: self.stored - cursor.owed.stored,
            forwarded: cursor.forwarded,
            buffered: self.stored - reached - lost,
            dropped,
            late: cursor.late,
            position: cursor.position,
        }
    }

    /// Moves a cursor to the end; what it has not read is dropped as a fault.
    pub(crate) fn abandon(&self, cursor: &mut Cursor) {
        let books = self.books(cursor);
        cursor.dropped = books.dropped;
        cursor.dropped.fault += books.buffered;
        cursor.stored = self.stored;
        cursor.position = self.position();
    }

    /// Steps over audio that is gone, up to the next gap that is still known, or up to where the
    /// reader's own losses begin.
    fn skip_lost(&self, cursor: &mut Cursor) -> Option<Gap> {
        let began = *cursor;
        let is_late = began.position < began.owed.position;
        let (mut floor, mut gone) = (self.gaps.floor(), self.oldest());
        if is_late && began.owed.position < floor.position {
            floor = began.owed;
        }
        if is_late {
            gone = gone.min(began.owed.stored);
        }
        if cursor.position < floor.position {
            cursor.position = floor.position;
            cursor.stored = floor.stored;
        }
        let ahead = self.gaps.first_ending_after(cursor.position);
        let until = ahead.map_or(gone, |placed| placed.stored.min(gone));
        let lost = until.saturating_sub(cursor.stored);
        cursor.stored += lost;
        cursor.position += lost;
        if !is_late {
            cursor.dropped.overrun += cursor.stored - began.stored;
        }
        let samples = cursor.position - began.position;
        (samples > 0).then_some(Gap {
            position: began.position,
            samples,
            reason: if is_late { GapReason::Late } else { GapReason::Overrun },
        })
    }

    /// The number of samples stored before the oldest that can be read.
    fn oldest(&self) -> u64 {
        let overwritten = self.stored.saturating_sub(self.capacity as u64);
        overwritten.max(self.gaps.floor().stored)
    }

    fn audio(&self, position: u64, stored: u64, samples: usize) -> Audio<'_> {
        Audio {
            channels: &self.channels,
            store: &self.store,
            first_index: self.index(stored),
            position,
            samples,
        }
    }

    fn index(&self, stored: u64) -> usize {
        // Less than the capacity, so it always fits.
        usize::try_from(stored % self.capacity as u64).unwrap_or(0)
    }
}

fn decoded(codes: &[u8], channels: usize, law: Law) -> Vec<Vec<i16>> {
    let lane = |place| {
        let mut lane = vec![0; codes.len() / channels];
        g711::decode_channel(law, codes, (place, channels), &mut lane);
        lane
    };
    (0..channels).map(lane).collect()
}
