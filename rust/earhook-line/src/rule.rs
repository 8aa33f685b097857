//! The rules that cost a connection.

/// A rule of RFC 6455, or a limit, that the peer has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A frame that cannot be: reserved bits, no mask, an unknown opcode, a length too long.
    Framing,
    /// Fragments interleaved, or a continuation of nothing.
    Sequence,
    /// Text, or the reason of a close, that is not UTF-8.
    Text,
    /// A close code that a peer may not send.
    CloseCode,
    /// A frame or a message above the limit.
    TooLarge,
    /// Too many fragments of one message.
    Fragments,
    /// Too many frames in a second.
    FrameRate,
    /// Too many pings and pongs in a second.
    ControlRate,
}

impl Rule {
    /// Its name, as it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Sequence => "sequence",
            Self::Text => "text",
            Self::CloseCode => "close-code",
            Self::TooLarge => "too-large",
            Self::Fragments => "fragments",
            Self::FrameRate => "frame-rate",
            Self::ControlRate => "control-rate",
        }
    }

    /// The close code to answer with (RFC 6455 §7.4.1); none for a flood, which gets no farewell.
    #[must_use]
    pub const fn close_code(self) -> Option<u16> {
        match self {
            Self::Framing | Self::Sequence | Self::CloseCode => Some(1002),
            Self::Text => Some(1007),
            Self::TooLarge => Some(1009),
            Self::Fragments | Self::FrameRate | Self::ControlRate => None,
        }
    }
}
