//! Where a ring keeps its samples: nothing until the first write, then as that came.

use earhook_audio::g711::{self, Law};

use crate::RingError;

/// The samples of a ring. Memory is taken with the first write and touched as audio comes.
#[derive(Debug)]
pub(crate) enum Store {
    /// Nothing was written yet.
    Empty,
    /// One lane a channel.
    Linear(Vec<Vec<i16>>),
    /// Codes of all channels in turn, as they came: half the memory, and decoded by who reads.
    Coded { codes: Vec<u8>, law: Law },
}

impl Store {
    /// Puts lanes in the place that begins at sample `start`, round the end of the ring.
    pub(crate) fn put_lanes<'lane>(
        &mut self,
        capacity: usize,
        start: usize,
        lanes: impl ExactSizeIterator<Item = &'lane [i16]>,
    ) -> Result<(), RingError> {
        if matches!(self, Self::Empty) {
            let empty: Result<_, _> = (0..lanes.len()).map(|_| room(capacity)).collect();
            *self = Self::Linear(empty?);
        }
        let Self::Linear(kept) = self else { return Err(RingError::Coded) };
        for (lane, written) in kept.iter_mut().zip(lanes) {
            put(lane, capacity, start, written);
        }
        Ok(())
    }

    /// Puts interleaved codes in the place that begins at sample `start`.
    ///
    /// Gives false, and has done nothing, if what is there is not in these codes.
    pub(crate) fn put_codes(
        &mut self,
        (capacity, channels): (usize, usize),
        start: usize,
        written: &[u8],
        law: Law,
    ) -> Result<bool, RingError> {
        if matches!(self, Self::Empty) {
            let codes = room(capacity.saturating_mul(channels))?;
            *self = Self::Coded { codes, law };
        }
        match self {
            Self::Coded { codes, law: own } if *own == law => {
                put(codes, capacity * channels, start * channels, written);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// A span of one channel's samples, borrowed from the ring: two pieces, because a ring wraps.
#[derive(Debug, Clone, Copy)]
pub enum Lane<'ring> {
    /// As they are.
    Linear(&'ring [i16], &'ring [i16]),
    /// Codes of all channels in turn, of which every `channels`-th from `place` on belongs to
    /// the lane.
    Coded {
        /// The pieces; each begins with the first channel.
        codes: (&'ring [u8], &'ring [u8]),
        /// What the codes stand for.
        law: Law,
        /// Which of the channels this is.
        place: usize,
        /// How many there are.
        channels: usize,
    },
}

impl Lane<'_> {
    /// Writes the samples, low byte first, one into each `step` places of `out`, until either
    /// ends. A place is of two bytes.
    pub fn write_le(&self, out: &mut [u8], step: usize) {
        match *self {
            Self::Linear(first, second) => {
                let (head, tail) = split(out, step, first.len());
                spread(head, step, first.iter().copied());
                spread(tail, step, second.iter().copied());
            }
            Self::Coded { codes: (first, second), law, place, channels } => {
                let (head, tail) = split(out, step, first.len() / channels);
                let table = g711::decode_table(law);
                for (out, codes) in [(head, first), (tail, second)] {
                    let own = codes.chunks_exact(channels).map(|group| group[place]);
                    spread(out, step, own.map(|code| table[usize::from(code)]));
                }
            }
        }
    }

    /// Appends the samples.
    pub fn append_to(&self, out: &mut Vec<i16>) {
        match *self {
            Self::Linear(first, second) => {
                out.extend_from_slice(first);
                out.extend_from_slice(second);
            }
            Self::Coded { codes: (first, second), law, place, channels } => {
                for codes in [first, second] {
                    let start = out.len();
                    out.resize(start + codes.len() / channels, 0);
                    g711::decode_channel(law, codes, (place, channels), &mut out[start..]);
                }
            }
        }
    }
}

/// Where the second piece of a lane begins in `out`.
fn split(out: &mut [u8], step: usize, first_samples: usize) -> (&mut [u8], &mut [u8]) {
    let middle = out.len().min(2 * step * first_samples);
    out.split_at_mut(middle)
}

fn spread(out: &mut [u8], step: usize, samples: impl Iterator<Item = i16>) {
    if step == 1 {
        for (bytes, sample) in out.chunks_exact_mut(2).zip(samples) {
            bytes.copy_from_slice(&sample.to_le_bytes());
        }
        return;
    }
    for (bytes, sample) in out.chunks_mut(2 * step).zip(samples) {
        if let Some(bytes) = bytes.first_chunk_mut::<2>() {
            *bytes = sample.to_le_bytes();
        }
    }
}

/// Writes round the end of a ring of `capacity` items; the vector grows to that, and no further.
fn put<T: Copy + Default>(ring: &mut Vec<T>, capacity: usize, start: usize, written: &[T]) {
    let (first, second) = written.split_at(written.len().min(capacity - start));
    if start > ring.len() {
        // Only a write that is longer than the ring leaves places before it.
        ring.resize(start, T::default());
    }
    let (over, new) = first.split_at(first.len().min(ring.len() - start));
    ring[start..start + over.len()].copy_from_slice(over);
    ring.extend_from_slice(new);
    ring[..second.len()].copy_from_slice(second);
}

/// To run out of memory here must cost this call, not the process.
fn room<T>(capacity: usize) -> Result<Vec<T>, RingError> {
    let mut room = Vec::new();
    room.try_reserve_exact(capacity).map_err(|_| RingError::Memory)?;
    Ok(room)
}
