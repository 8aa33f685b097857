//! What can be wrong with a body, one variant a broken rule.

use thiserror::Error;

/// Why an intake took no more.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntakeError {
    /// One or two channels can be taken, not this many.
    #[error("{channels} channels: one or two can be taken")]
    Channels {
        /// The number that was asked for.
        channels: usize,
    },
    /// No such rate on the wire, or none that we can give.
    #[error("a rate of {wire_rate} Hz on the wire and {rate} Hz in the ring cannot be had")]
    Rate {
        /// What the sender sends.
        wire_rate: u32,
        /// What was wanted of it.
        rate: u32,
    },
    /// Bytes came while no body was open.
    #[error("no body has begun")]
    NoBody,
    /// The bytes are not of the announced format, and there is no way back into it.
    #[error("{0}")]
    Malformed(String),
    /// The body is not what `Content-Encoding: aes128gcm` promises.
    #[error("{0}")]
    Encryption(#[from] EncryptionFault),
}

/// What is wrong with an encrypted body. Nothing of the record it is about was decoded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncryptionFault {
    /// The key id of the header is none of ours.
    #[error("the body is encrypted with a key that is not configured")]
    UnknownKey,
    /// RFC 8188 §2.1: a record holds at least its tag, its delimiter and one byte.
    #[error("the header states records of {bytes} bytes; at least 18 are needed")]
    RecordTooShort {
        /// What the header states.
        bytes: u32,
    },
    /// Longer records than we are willing to hold.
    #[error("the header states records of {bytes} bytes; at most {limit} are taken")]
    RecordTooLong {
        /// What the header states.
        bytes: u32,
        /// What is configured.
        limit: usize,
    },
    /// A record does not authenticate: a wrong key, or somebody changed it.
    #[error("record {number} fails authentication")]
    NotAuthentic {
        /// Counted from 0.
        number: u64,
    },
    /// A record that authenticates has no padding delimiter, or the wrong one for its place.
    #[error("record {number} has no delimiter that fits its place")]
    Delimiter {
        /// Counted from 0.
        number: u64,
    },
    /// Bytes follow the record that says it is the last.
    #[error("bytes follow the last record")]
    AfterLast,
    /// The body ended before its last record.
    #[error("the body ends before its last record")]
    Truncated,
}
