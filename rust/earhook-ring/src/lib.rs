//! Rings of PCM with absolute positions, gaps, many readers and one byte budget.
//!
//! One call has one [`Ring`]: a lane of 16-bit samples per channel, or their codes of one byte,
//! written at one end only.
//! What consumes calls has one [`Feed`]: a cursor in each call's ring, drained together in fair
//! turns. A [`Budget`] bounds the bytes of all rings.
//!
//! The laws, each one tested:
//! * What a reader gets is contiguous: every item starts at the position where the last ended.
//! * `received = forwarded + buffered + dropped`, at any moment, in samples per channel.
//! * A gap costs no room: only samples are stored.
//! * The newest samples stay: a reader that falls behind loses its own oldest audio, as a gap.
//! * What was gone before a reader came is told as a gap of its own reason, and no loss.
//! * After the last write a feed is either pending or has been told to wake; never neither.
//! * A lock is held while samples are copied and for nothing else. Nobody is woken under a lock.
//!
//! Deliberately absent: unsafe code, threads, clocks, waiting, I/O.
#![forbid(unsafe_code)]

mod bell;
mod budget;
mod cursor;
mod error;
mod feed;
mod gaps;
mod ring;
mod store;
mod sync;
mod timeline;

pub use bell::News;
pub use budget::{Budget, Reservation};
pub use cursor::{Books, Dropped, Start};
pub use earhook_wire::GapReason;
pub use error::RingError;
pub use feed::{Feed, Outlet, TURN_SAMPLES};
pub use gaps::{Gap, MAX_GAPS};
pub use ring::{Ring, RingShape};
pub use store::Lane;
pub use timeline::{Audio, Codes, Item, MAX_POSITION};
