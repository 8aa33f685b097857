//! What can be wrong with a frame, one variant a broken rule.

use thiserror::Error;

/// Why a payload was not decoded. Nothing has been written to any lane when it is returned.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The payload ends inside a sample group (AudioHook protocol §7 rule 3). The peer's fault.
    #[error("a frame of {payload_bytes} bytes is not a whole number of {group_bytes}-byte sample groups")]
    PartialGroup {
        /// Length of the payload that was refused.
        payload_bytes: usize,
        /// Bytes of one sample of every channel.
        group_bytes: usize,
    },
    /// A decoder carries one or two channels, not this many.
    #[error("{channels} channels asked for; one or two can be decoded")]
    ChannelCount {
        /// The number that was asked for.
        channels: usize,
    },
    /// There must be exactly one lane a channel.
    #[error("{lanes} lanes given for {channels} channels")]
    LaneCount {
        /// The number of lanes given.
        lanes: usize,
        /// The number of channels of the decoder.
        channels: usize,
    },
    /// Every lane must have room for the samples of the payload.
    #[error("a lane has room for {lane_samples} samples, the frame holds {samples}")]
    LaneTooShort {
        /// Room in the shortest lane.
        lane_samples: usize,
        /// Samples per channel in the payload.
        samples: usize,
    },
}
