//! Frames as a receiver sees them. They borrow the decoder's buffer until the next call on it.

use crate::kind::{GapReason, Kind};

/// One frame of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame<'bytes> {
    /// Samples of one channel.
    Audio(Audio<'bytes>),
    /// A span of positions without audio.
    Gap(Gap),
    /// How far a consumer has got.
    Ack(Ack),
    /// Any of the JSON kinds.
    Json(Json<'bytes>),
}

/// Samples of one channel of one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Audio<'bytes> {
    /// Number of the call on this connection, from 1.
    pub call: u32,
    /// Channel: 0 external, 1 internal.
    pub channel: u8,
    /// Position of the first sample.
    pub position: u64,
    /// The samples as they are on the wire: 16-bit signed, low byte first.
    pub pcm: &'bytes [u8],
}

impl<'bytes> Audio<'bytes> {
    /// The samples as numbers.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = i16> + 'bytes {
        self.pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
    }
}

/// A span of positions without audio.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// Number of the call on this connection, from 1.
    pub call: u32,
    /// [`ALL_CHANNELS`](crate::ALL_CHANNELS) in version 1.
    pub channel: u8,
    /// Position at which the gap begins.
    pub position: u64,
    /// Length in samples per channel.
    pub samples: u64,
    /// Number of the reason; later gateways may know more of them.
    pub reason: u32,
}

impl Gap {
    /// The reason, if version 1 names it.
    #[must_use]
    pub fn known_reason(&self) -> Option<GapReason> {
        GapReason::from_number(self.reason)
    }
}

/// How far a consumer has got in one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ack {
    /// Number of the call on this connection, from 1.
    pub call: u32,
    /// Channel, or [`ALL_CHANNELS`](crate::ALL_CHANNELS).
    pub channel: u8,
    /// Position of the next sample that the consumer has not dealt with.
    pub position: u64,
}

/// A frame of one of the JSON kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Json<'bytes> {
    /// Which of them; [`Kind::is_json`] holds.
    pub kind: Kind,
    /// Number of the call, or [`CONNECTION`](crate::CONNECTION).
    pub call: u32,
    /// The body: valid UTF-8, not yet checked to be JSON.
    pub body: &'bytes str,
}
