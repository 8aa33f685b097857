//! What can be refused.

use thiserror::Error;

use crate::MAX_POSITION;

/// A request that was refused; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RingError {
    /// The byte budget of all rings has no room for this one.
    #[error("a ring of {wanted_bytes} bytes does not fit: {used_bytes} of {limit_bytes} bytes are in use")]
    BudgetExhausted {
        /// What was asked for.
        wanted_bytes: u64,
        /// What all rings hold now.
        used_bytes: u64,
        /// What all rings may hold.
        limit_bytes: u64,
    },
    /// The budget has room, the machine has not.
    #[error("the machine has no memory left for a ring")]
    Memory,
    /// A ring has at least one channel, each of them once, and room for at least one sample.
    #[error("a ring needs distinct channels and a capacity of at least one sample")]
    Shape,
    /// A write brings one slice per channel, all of one length.
    #[error("a write needs one slice per channel, all of the same length")]
    Lanes,
    /// A ring that was begun with codes takes no samples.
    #[error("the ring holds codes and takes no samples")]
    Coded,
    /// Positions end at [`MAX_POSITION`].
    #[error("a gap of {samples} samples at position {position} ends past {MAX_POSITION}")]
    PositionLimit {
        /// Where the gap would start.
        position: u64,
        /// How long it would be.
        samples: u64,
    },
    /// A feed knows each call by a number of its own.
    #[error("call {0} is attached already")]
    AlreadyAttached(u32),
    /// No call of that number is attached.
    #[error("call {0} is not attached")]
    NotAttached(u32),
}
