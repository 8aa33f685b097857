//! The numbers of the stream that have names.

/// What a frame says. Receivers skip numbers that they do not know.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// First frame of either side: stream, version, role, capabilities. JSON.
    Hello = 1,
    /// What a consumer wants to receive. JSON.
    Subscribe = 2,
    /// A call begins for this consumer: its facts. JSON.
    Open = 3,
    /// Samples of one channel of one call.
    Audio = 4,
    /// A span of positions without audio.
    Gap = 5,
    /// Something happened in a call. JSON.
    Event = 6,
    /// A call, or with call 0 the connection, has ended. JSON.
    Close = 7,
    /// How far a consumer has got.
    Ack = 8,
    /// A consumer's wish: event to relay, pause, resume, disconnect, play. JSON.
    Command = 9,
}

impl Kind {
    /// Every kind of version 1, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Hello,
        Self::Subscribe,
        Self::Open,
        Self::Audio,
        Self::Gap,
        Self::Event,
        Self::Close,
        Self::Ack,
        Self::Command,
    ];

    /// The kind of a number, if version 1 has it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether the body is a JSON object.
    #[must_use]
    pub const fn is_json(self) -> bool {
        !matches!(self, Self::Audio | Self::Gap | Self::Ack)
    }
}

/// Why a span of positions has no audio.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u32)]
pub enum GapReason {
    /// Either side paused the call; what was said is stored nowhere.
    Paused = 1,
    /// The peer threw the audio away and said so.
    Discarded = 2,
    /// This reader fell behind its ring and lost its oldest audio.
    Overrun = 3,
    /// The peer sent bytes that are not audio of the negotiated format.
    Malformed = 4,
    /// The peer's clock jumped without a word about why.
    Unreported = 5,
    /// Audio was lost before it came to us.
    Missing = 6,
    /// It was gone before this reader came: nobody has lost it.
    Late = 7,
}

impl GapReason {
    /// Every reason of version 1, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Paused,
        Self::Discarded,
        Self::Overrun,
        Self::Malformed,
        Self::Unreported,
        Self::Missing,
        Self::Late,
    ];

    /// The reason of a number, if version 1 has it. A gap with another number is still a gap.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The word for it in JSON, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Discarded => "discarded",
            Self::Overrun => "overrun",
            Self::Malformed => "malformed",
            Self::Unreported => "unreported",
            Self::Missing => "missing",
            Self::Late => "late",
        }
    }
}
