//! What can be found in a call.

/// Positions from `start` on and before `end`, in samples per channel at the call's rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The first position.
    pub start: u64,
    /// The first position after it.
    pub end: u64,
}

impl Span {
    /// How many positions.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        self.end - self.start
    }
}

/// What a tone of the network means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToneKind {
    /// The far end rings.
    Ringback,
    /// The far end, or all lines to it, are taken.
    Busy,
    /// The network waits for a number.
    Dial,
    /// A steady tone that is none of these: fax, test tones, beeps.
    Other,
}

impl ToneKind {
    /// Its name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Dial => "dial",
            Self::Other => "other",
        }
    }
}

/// One thing that was found. A *lane* is a channel by its place in the call, from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fact {
    /// Somebody spoke. Known a little after the end: a pause between two words ends nothing.
    Speech {
        /// Whose lane.
        lane: usize,
        /// From the first to the last sound.
        span: Span,
    },
    /// Both spoke at once.
    TalkOver {
        /// While both did.
        span: Span,
        /// The lane that came in later.
        by: usize,
    },
    /// One came in, the other fell silent, and the first went on.
    Interruption {
        /// While both spoke.
        span: Span,
        /// The lane that came in.
        by: usize,
    },
    /// There has been nothing to hear on any lane for as long as the settings say.
    DeadAir {
        /// Since when.
        start: u64,
    },
    /// Dead air that had been told of is over.
    DeadAirEnded {
        /// All of it.
        span: Span,
    },
    /// A key of the telephone was pressed.
    Dtmf {
        /// On which lane.
        lane: usize,
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long.
        span: Span,
    },
    /// A steady tone of the network.
    Tone {
        /// On which lane.
        lane: usize,
        /// What it means.
        kind: ToneKind,
        /// How long; each burst of a tone with a cadence is one of its own.
        span: Span,
    },
    /// Music was played.
    Music {
        /// On which lane.
        lane: usize,
        /// How long.
        span: Span,
    },
    /// Samples stood at the end of the scale in a row: what was louder is lost.
    Clipping {
        /// On which lane.
        lane: usize,
        /// From the first to the last of them.
        span: Span,
        /// How many.
        samples: u64,
    },
    /// One side has carried nothing for as long as the settings say, while the other spoke.
    OneWay {
        /// The lane without sound.
        silent: usize,
        /// Since when.
        start: u64,
    },
    /// The silent side was heard.
    OneWayEnded {
        /// The lane that had been without sound.
        silent: usize,
        /// How long it had been.
        span: Span,
    },
}

impl Fact {
    /// Its name in events.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Speech { .. } => "speech",
            Self::TalkOver { .. } => "talk_over",
            Self::Interruption { .. } => "interruption",
            Self::DeadAir { .. } => "dead_air",
            Self::DeadAirEnded { .. } => "dead_air_ended",
            Self::Dtmf { .. } => "dtmf",
            Self::Tone { .. } => "tone",
            Self::Music { .. } => "music",
            Self::Clipping { .. } => "clipping",
            Self::OneWay { .. } => "one_way",
            Self::OneWayEnded { .. } => "one_way_ended",
        }
    }

    /// Where it begins.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.reach().0
    }

    /// Where it ends; `None` of what goes on.
    #[must_use]
    pub const fn end(&self) -> Option<u64> {
        self.reach().1
    }

    const fn reach(&self) -> (u64, Option<u64>) {
        match *self {
            Self::DeadAir { start } | Self::OneWay { start, .. } => (start, None),
            Self::Speech { span, .. }
            | Self::TalkOver { span, .. }
            | Self::Interruption { span, .. }
            | Self::DeadAirEnded { span }
            | Self::Dtmf { span, .. }
            | Self::Tone { span, .. }
            | Self::Music { span, .. }
            | Self::Clipping { span, .. }
            | Self::OneWayEnded { span, .. } => (span.start, Some(span.end)),
        }
    }
}
