//! How samples are written on the wire.

use std::fmt;

/// An encoding of 16-bit audio that a peer can send.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Codec {
    /// G.711 mu-law, one byte a sample.
    Pcmu,
    /// G.711 A-law, one byte a sample.
    Pcma,
    /// Linear 16-bit, low byte first: what AudioHook's reference implementation calls L16.
    L16Le,
    /// Linear 16-bit, high byte first: L16 as RFC 3551 §4.5.11 has it.
    L16Be,
}

impl Codec {
    /// The codec of a name: `PCMU`, `PCMA`, `L16` (low byte first) or `L16BE`; exact case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "PCMU" => Some(Self::Pcmu),
            "PCMA" => Some(Self::Pcma),
            "L16" => Some(Self::L16Le),
            "L16BE" => Some(Self::L16Be),
            _ => None,
        }
    }

    /// The name that [`Codec::from_name`] reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::L16Le => "L16",
            Self::L16Be => "L16BE",
        }
    }

    /// Bytes that one sample of one channel takes: 1 or 2.
    #[must_use]
    pub const fn bytes_per_sample(self) -> usize {
        match self {
            Self::Pcmu | Self::Pcma => 1,
            Self::L16Le | Self::L16Be => 2,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
