//! The PCM stream, version 1: how calls travel from the gateway to the services that consume them.
//!
//! Length-prefixed little-endian frames, many calls on one connection. This crate turns frames
//! into bytes ([`write_audio`], [`write_gap`], [`write_json`], [`write_ack`]) and bytes into
//! frames ([`Decoder`]), and merges the streams of several gateways into one ([`Merger`]). It opens
//! no socket. Bodies of the JSON kinds pass through as text; only the merger reads `open`. `docs/reference/pcm-stream.md` is the specification.
//!
//! ```
//! use earhook_wire::{write_audio, Decoder, Frame};
//!
//! let mut bytes = Vec::new();
//! write_audio(&mut bytes, 1, 0, 8_000, &[7, -7], &[]);
//! let mut decoder = Decoder::new();
//! decoder.feed(&bytes)?;
//! let Some(Frame::Audio(audio)) = decoder.next_frame() else { unreachable!() };
//! assert_eq!((audio.call, audio.channel, audio.position), (1, 0, 8_000));
//! assert_eq!(audio.samples().collect::<Vec<_>>(), [7, -7]);
//! # Ok::<(), earhook_wire::WireError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod decode;
mod encode;
mod error;
mod frame;
mod kind;
mod merge;

pub use decode::Decoder;
pub use encode::{write_ack, write_audio, write_audio_with, write_gap, write_json};
pub use error::WireError;
pub use frame::{Ack, Audio, Frame, Gap, Json};
pub use kind::{GapReason, Kind};
pub use merge::{Merger, Note, Route};

/// Version of the stream that `hello` announces.
pub const VERSION: u32 = 1;
/// Bytes in front of every body: length, kind, channel, flags, call.
pub const HEADER_BYTES: usize = 12;
/// Bytes of an audio frame before its samples.
pub const AUDIO_HEADER_BYTES: usize = 24;
/// Bytes of a gap frame.
pub const GAP_FRAME_BYTES: usize = 32;
/// Bytes of an ack frame.
pub const ACK_FRAME_BYTES: usize = 24;
/// Channel number of a frame that concerns every channel of its call.
pub const ALL_CHANNELS: u8 = 255;
/// Call number of a frame that concerns the connection itself.
pub const CONNECTION: u32 = 0;
/// Longest frame a gateway sends, its length field included.
pub const MAX_GATEWAY_FRAME_BYTES: usize = 1 << 20;
/// Longest frame a consumer sends, its length field included.
pub const MAX_CONSUMER_FRAME_BYTES: usize = 256 << 10;
/// Most samples in one audio frame, which makes it exactly [`MAX_GATEWAY_FRAME_BYTES`] long.
pub const MAX_AUDIO_SAMPLES: usize = (MAX_GATEWAY_FRAME_BYTES - AUDIO_HEADER_BYTES) / 2;
