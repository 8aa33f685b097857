//! Bodies of samples one after the other.

use earhook_audio::{Codec, Decoder, FrameError};

use crate::destination::Destination;
use crate::error::IntakeError;
use crate::flow::{Flow, PIECE_SAMPLES};

/// Longest sample group: 16 bits in two channels.
const MAX_GROUP_BYTES: usize = 4;

/// Decodes sample groups, wherever chunks cut them.
pub(crate) struct RawReader {
    decoder: Decoder,
    /// The beginning of a group, as far as it has come.
    partial: [u8; MAX_GROUP_BYTES],
    partial_bytes: usize,
}

impl RawReader {
    pub(crate) fn new(codec: Codec, channels: usize) -> Result<Self, IntakeError> {
        let decoder =
            Decoder::new(codec, channels).map_err(|_| IntakeError::Channels { channels })?;
        Ok(Self { decoder, partial: [0; MAX_GROUP_BYTES], partial_bytes: 0 })
    }

    pub(crate) fn take(
        &mut self,
        chunk: &[u8],
        flow: &mut Flow,
        to: &mut impl Destination,
    ) -> Result<(), IntakeError> {
        let group_bytes = self.decoder.group_bytes();
        let rest = self.complete_partial(chunk, flow)?;
        let (whole, partial) = rest.split_at(rest.len() - rest.len() % group_bytes);
        for piece in whole.chunks(PIECE_SAMPLES * group_bytes) {
            self.decode(piece, flow)?;
            flow.pour_much(to);
        }
        if !partial.is_empty() {
            self.partial[..partial.len()].copy_from_slice(partial);
            self.partial_bytes = partial.len();
        }
        Ok(())
    }

    /// No group goes on in another body. Gives the bytes that are dropped for that.
    pub(crate) fn end(&mut self) -> usize {
        std::mem::take(&mut self.partial_bytes)
    }

    /// Decodes the group that the last chunk has begun, and gives what follows it.
    fn complete_partial<'chunk>(
        &mut self,
        chunk: &'chunk [u8],
        flow: &mut Flow,
    ) -> Result<&'chunk [u8], IntakeError> {
        if self.partial_bytes == 0 {
            return Ok(chunk);
        }
        let group_bytes = self.decoder.group_bytes();
        let missing = group_bytes - self.partial_bytes;
        let (first, rest) = chunk.split_at(missing.min(chunk.len()));
        let end = self.partial_bytes + first.len();
        self.partial[self.partial_bytes..end].copy_from_slice(first);
        self.partial_bytes = end;
        if end == group_bytes {
            self.partial_bytes = 0;
            let group = self.partial;
            self.decode(&group[..group_bytes], flow)?;
        }
        Ok(rest)
    }

    fn decode(&self, groups: &[u8], flow: &mut Flow) -> Result<(), IntakeError> {
        let samples = groups.len() / self.decoder.group_bytes();
        let outcome = match flow.decoded.as_mut_slice() {
            [only] => self.decoder.decode_planar(groups, &mut [room(only, samples)]),
            [first, second] => {
                let (first, second) = (room(first, samples), room(second, samples));
                self.decoder.decode_planar(groups, &mut [first, second])
            }
            lanes => Err(FrameError::ChannelCount { channels: lanes.len() }),
        };
        outcome.map(|_| ()).map_err(|error| IntakeError::Malformed(error.to_string()))
    }
}

/// So many more samples at the end of a lane.
fn room(lane: &mut Vec<i16>, samples: usize) -> &mut [i16] {
    let start = lane.len();
    lane.resize(start + samples, 0);
    &mut lane[start..]
}
