//! One binary payload to planar samples.

use crate::codec::Codec;
use crate::error::FrameError;
use crate::g711::{self, Law};

/// Most channels a frame can carry: the two sides of a conversation.
pub const MAX_CHANNELS: usize = 2;

/// Decodes payloads of one negotiated format. Holds no state between frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decoder {
    codec: Codec,
    channels: usize,
}

impl Decoder {
    /// A decoder for one or two interleaved channels.
    ///
    /// # Errors
    /// [`FrameError::ChannelCount`] for any other number.
    pub const fn new(codec: Codec, channels: usize) -> Result<Self, FrameError> {
        match channels {
            1..=MAX_CHANNELS => Ok(Self { codec, channels }),
            _ => Err(FrameError::ChannelCount { channels }),
        }
    }

    /// The codec of the payloads.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Interleaved channels of the payloads: 1 or 2.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Bytes of one sample group, that is one sample of every channel.
    #[must_use]
    pub const fn group_bytes(&self) -> usize {
        self.codec.bytes_per_sample() * self.channels
    }

    /// The law of codes of one byte; `None` for codecs that have none.
    #[must_use]
    pub const fn law(&self) -> Option<Law> {
        match self.codec {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            Codec::L16Le | Codec::L16Be => None,
        }
    }

    /// Samples per channel in a payload of so many bytes. An empty payload is legal and holds 0.
    ///
    /// # Errors
    /// [`FrameError::PartialGroup`] if the payload ends inside a sample group.
    pub const fn samples_in(&self, payload_bytes: usize) -> Result<usize, FrameError> {
        let group_bytes = self.group_bytes();
        if !payload_bytes.is_multiple_of(group_bytes) {
            return Err(FrameError::PartialGroup { payload_bytes, group_bytes });
        }
        Ok(payload_bytes / group_bytes)
    }

    /// Decodes a payload into the beginnings of the lanes and returns the samples per channel.
    ///
    /// Lane `n` receives the payload's `n`-th interleaved channel; which speaker that is, only
    /// the caller knows. A payload may be cut between sample groups and decoded in pieces.
    ///
    /// # Errors
    /// Any [`FrameError`] but `ChannelCount`; then no lane has been touched.
    pub fn decode_planar(
        &self,
        payload: &[u8],
        lanes: &mut [&mut [i16]],
    ) -> Result<usize, FrameError> {
        let samples = self.samples_in(payload.len())?;
        let given = lanes.len();
        match lanes {
            [only] if self.channels == 1 => decode_mono(self.codec, payload, room(only, samples)?),
            [first, second] if self.channels == 2 => {
                let (first, second) = (room(first, samples)?, room(second, samples)?);
                decode_stereo(self.codec, payload, first, second);
            }
            _ => return Err(FrameError::LaneCount { lanes: given, channels: self.channels }),
        }
        Ok(samples)
    }
}

fn room(lane: &mut [i16], samples: usize) -> Result<&mut [i16], FrameError> {
    let lane_samples = lane.len();
    lane.get_mut(..samples).ok_or(FrameError::LaneTooShort { lane_samples, samples })
}

fn decode_mono(codec: Codec, payload: &[u8], lane: &mut [i16]) {
    match codec {
        Codec::Pcmu => {
            g711::decode(Law::Mu, payload, lane);
        }
        Codec::Pcma => {
            g711::decode(Law::A, payload, lane);
        }
        Codec::L16Le => copy_mono(payload, lane, i16::from_le_bytes),
        Codec::L16Be => copy_mono(payload, lane, i16::from_be_bytes),
    }
}

fn decode_stereo(codec: Codec, payload: &[u8], first: &mut [i16], second: &mut [i16]) {
    match codec {
        Codec::Pcmu => split_codes(Law::Mu, payload, first, second),
        Codec::Pcma => split_codes(Law::A, payload, first, second),
        Codec::L16Le => split_linear(payload, first, second, i16::from_le_bytes),
        Codec::L16Be => split_linear(payload, first, second, i16::from_be_bytes),
    }
}

/// One pass a lane: with both in one loop the stores alternate between two places, and that costs
/// a third of the throughput.
fn split_codes(law: Law, payload: &[u8], first: &mut [i16], second: &mut [i16]) {
    g711::decode_channel(law, payload, (0, 2), first);
    g711::decode_channel(law, payload, (1, 2), second);
}

fn copy_mono(payload: &[u8], lane: &mut [i16], read: impl Fn([u8; 2]) -> i16) {
    for (sample, bytes) in lane.iter_mut().zip(payload.chunks_exact(2)) {
        *sample = read([bytes[0], bytes[1]]);
    }
}

fn split_linear(
    payload: &[u8],
    first: &mut [i16],
    second: &mut [i16],
    read: impl Fn([u8; 2]) -> i16,
) {
    for ((one, two), group) in first.iter_mut().zip(second).zip(payload.chunks_exact(4)) {
        *one = read([group[0], group[1]]);
        *two = read([group[2], group[3]]);
    }
}
