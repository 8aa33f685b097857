//! What a connection brings, however it is cut: where TLS records end, and what frames say.
//!
//! No socket, no clock and no cipher is in here: bytes and the time come in, events go out.
//! [`FrameReader`] holds a client to RFC 6455 and to limits; [`RecordReader`] knows where a TLS
//! record ends, so that nobody has to try, and the cipher gets one at a time.
//!
//! ```
//! use earhook_line::{Event, FrameLimits, FrameReader};
//!
//! let mut reader = FrameReader::new(FrameLimits::default());
//! let mut bytes = *b"\x81\x82\x01\x02\x03\x04IK\x89\x80\x00\x00\x00\x00";
//! let (taken, event) = reader.next(&mut bytes, 0.0);
//! assert_eq!((taken, event), (8, Some(Event::Text(b"HI"))));
//! let (taken, event) = reader.next(&mut bytes[8..], 0.0);
//! assert_eq!((taken, event), (6, Some(Event::Ping(b""))));
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod frames;
mod head;
mod mask;
mod message;
mod pace;
mod records;
mod rule;

pub use frames::{Event, FrameLimits, FrameReader};
pub use pace::Pace;
pub use records::{Piece, RecordReader};
pub use rule::Rule;
