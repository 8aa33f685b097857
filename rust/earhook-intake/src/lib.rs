//! Bodies of call audio to PCM: decrypt, take apart, decode, resample.
//!
//! An [`Intake`] takes the bytes of one call's bodies in any pieces and hands 16-bit samples to a
//! [`Destination`]. It opens no socket, keeps no time and knows no ring. What it gives depends on
//! the bytes of each body alone, never on how they were cut.
//!
//! ```
//! use earhook_intake::{Collected, Format, Intake, WireCodec};
//!
//! let codec = WireCodec::from_name("L16BE").ok_or("unknown")?;
//! let mut intake = Intake::new(Format { codec, channels: 1, wire_rate: 8_000, rate: 8_000 })?;
//! let mut heard = Collected::default();
//! intake.begin(None);
//! intake.push(&[0x00, 0x01, 0xFF], &mut heard)?;
//! intake.push(&[0xFE], &mut heard)?;
//! intake.end(&mut heard)?;
//! assert_eq!(heard.lanes, [[1, -2]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod behind;
mod destination;
mod encryption;
mod error;
mod flow;
mod format;
mod framing;
mod intake;
mod opus;
mod raw;
mod records;
mod shape;
mod suspicion;
mod tally;

pub use destination::{Collected, Destination};
pub use encryption::EncryptionKeys;
pub use error::{EncryptionFault, IntakeError};
pub use format::{Format, WireCodec, RATES};
pub use intake::Intake;
pub use tally::Tally;
