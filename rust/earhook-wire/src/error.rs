//! The rules of the stream that bytes can break, one variant a rule.

use thiserror::Error;

use crate::kind::Kind;

/// A rule of the PCM stream that was broken. The connection cannot go on after it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum WireError {
    /// The length field must cover the rest of the header.
    #[error("length {length} is less than the 8 bytes of header that follow it")]
    LengthTooSmall {
        /// What the length field said.
        length: u32,
    },
    /// A frame must not exceed the receiver's limit.
    #[error("a frame of {frame_bytes} bytes exceeds the limit of {limit_bytes}")]
    FrameTooLong {
        /// Length of the frame, its length field included.
        frame_bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// Audio, gap and ack frames have the length that their fields say.
    #[error("{kind:?} frame has {body_bytes} bytes of body where {expected_bytes} belong")]
    BodyLength {
        /// Kind of the frame.
        kind: Kind,
        /// Bytes after the header.
        body_bytes: u64,
        /// Bytes that belong there; for audio, the least.
        expected_bytes: u64,
    },
    /// Audio, gaps and acks belong to a call; call 0 is the connection.
    #[error("{kind:?} frame names no call")]
    NoCall {
        /// Kind of the frame.
        kind: Kind,
    },
    /// Audio is of one channel, never of all.
    #[error("audio frame names all channels instead of one")]
    AudioOfAllChannels,
    /// A span must end at a position that 64 bits can hold.
    #[error("{samples} samples from position {position} end beyond the last position")]
    PositionOverflow {
        /// Where the span begins.
        position: u64,
        /// How long it is.
        samples: u64,
    },
    /// JSON is UTF-8 (RFC 8259 §8.1).
    #[error("body of {kind:?} frame is not UTF-8")]
    NotUtf8 {
        /// Kind of the frame.
        kind: Kind,
    },
    /// Only the JSON kinds have a JSON body.
    #[error("{kind:?} frame has no JSON body")]
    NotJson {
        /// Kind that was asked for.
        kind: Kind,
    },
    /// Frames of a call come between its open and its close.
    #[error("{kind:?} frame of call {call}, which is not open")]
    NotOpen {
        /// Kind of the frame.
        kind: Kind,
        /// The call that it names.
        call: u32,
    },
    /// A call is opened once, and its open says which session, channels and position.
    #[error("open of call {call} lacks facts, or comes again")]
    BadOpen {
        /// The call that it names.
        call: u32,
    },
    /// Numbers of calls are never given twice.
    #[error("all numbers of calls have been given")]
    NoNumberLeft,
}
