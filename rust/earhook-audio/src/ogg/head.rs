//! The identification header (RFC 7845 §5.1).

use super::OggError;

/// What a stream says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpusHead {
    /// One or two.
    pub channels: usize,
    /// Samples at 48 kHz that the decoder needs to settle. [`OggItem`](super::OggItem) has already
    /// left them out.
    pub pre_skip: u16,
    /// The rate before encoding, for the record; 0 where it is not told.
    pub original_rate: u32,
    /// What the decoder is to add, in 1/256 dB.
    pub output_gain_q8: i16,
}

impl OpusHead {
    pub(super) fn is_one(packet: &[u8]) -> bool {
        packet.starts_with(MAGIC)
    }

    pub(super) fn read(packet: &[u8]) -> Result<Self, OggError> {
        let [_, _, _, _, _, _, _, _, version, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family, ..] =
            *packet
        else {
            return Err(OggError::MalformedHead);
        };
        // Versions of the same upper half are compatible.
        if version & 0xF0 != 0 || channels == 0 {
            return Err(OggError::MalformedHead);
        }
        if family != 0 || channels > 2 {
            return Err(OggError::ChannelMapping);
        }
        Ok(Self {
            channels: usize::from(channels),
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            original_rate: u32::from_le_bytes([rate0, rate1, rate2, rate3]),
            output_gain_q8: i16::from_le_bytes([gain0, gain1]),
        })
    }
}

const MAGIC: &[u8] = b"OpusHead";
