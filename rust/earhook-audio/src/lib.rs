//! Telephony audio without I/O: G.711 in both laws, L16, Opus, Ogg, resampling, meters.
//!
//! Nothing here blocks, keeps time or knows who calls it. All samples are 16-bit signed; a *lane*
//! is the samples of one channel in order, and *planar* audio is one lane a channel. What has no
//! memory is a plain function on slices and allocates nothing; what has, [`opus`], [`ogg`] and
//! [`resample`], holds a bounded amount whatever comes. A frame of G.711 or L16 becomes planar
//! audio through [`Decoder::decode_planar`]:
//!
//! ```
//! use earhook_audio::{Codec, Decoder};
//!
//! let decoder = Decoder::new(Codec::Pcmu, 2)?;
//! let (mut first, mut second) = ([0; 2], [0; 2]);
//! let samples = decoder.decode_planar(&[0x80, 0x00, 0xFF, 0x7F], &mut [&mut first, &mut second])?;
//! assert_eq!((samples, first, second), (2, [32_124, 0], [-32_124, 0]));
//! # Ok::<(), earhook_audio::FrameError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod analysis;
mod codec;
mod decoder;
mod error;
pub mod g711;
mod interleave;
mod meter;
pub mod ogg;
pub mod opus;
pub mod resample;

pub use codec::Codec;
pub use decoder::{Decoder, MAX_CHANNELS};
pub use error::FrameError;
pub use interleave::interleave;
pub use meter::Level;
