//! What a sender announced, and what is wanted of it.

use earhook_audio::{Codec, MAX_CHANNELS};

use crate::error::IntakeError;

/// Rates that a sender may send, in samples per second and channel.
pub const RATES: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// Rates that can be asked for.
const RING_RATES: [u32; 2] = [8_000, 16_000];

/// How the bytes of a body are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireCodec {
    /// Samples one after the other.
    Raw(Codec),
    /// Opus packets, each behind its length in 16 bits, high byte first.
    Opus,
    /// Opus in Ogg (RFC 7845).
    Ogg,
}

impl WireCodec {
    /// The codec of a name: one of [`Codec::from_name`], `OPUS` or `OGG`; exact case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "OPUS" => Some(Self::Opus),
            "OGG" => Some(Self::Ogg),
            _ => Codec::from_name(name).map(Self::Raw),
        }
    }
}

/// The format of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How bodies are to be read.
    pub codec: WireCodec,
    /// Channels that the sender interleaves: 1 or 2.
    pub channels: usize,
    /// Samples per second and channel on the wire; of Opus it says nothing and is 48,000.
    pub wire_rate: u32,
    /// Samples per second and channel that are wanted: 8,000 or 16,000.
    pub rate: u32,
}

impl Format {
    /// The rate at which samples leave the decoder.
    pub(crate) fn decoded_rate(&self) -> u32 {
        match self.codec {
            WireCodec::Raw(_) => self.wire_rate,
            WireCodec::Opus | WireCodec::Ogg => OPUS_RATE,
        }
    }

    /// Finds out whether such a call can be taken.
    pub(crate) fn check(&self) -> Result<(), IntakeError> {
        if !(1..=MAX_CHANNELS).contains(&self.channels) {
            return Err(IntakeError::Channels { channels: self.channels });
        }
        if !RATES.contains(&self.decoded_rate()) || !RING_RATES.contains(&self.rate) {
            let (wire_rate, rate) = (self.wire_rate, self.rate);
            return Err(IntakeError::Rate { wire_rate, rate });
        }
        Ok(())
    }
}

/// The clock of Opus (RFC 6716 §2).
pub(crate) const OPUS_RATE: u32 = 48_000;
