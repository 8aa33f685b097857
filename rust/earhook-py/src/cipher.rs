//! `Cipher`: the TLS of a line.

use earhook_line::{Pace, Piece, RecordReader};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// TLS records in any second: more than a client needs that sends each frame in pieces. Each has
/// its price, however little it holds.
const RECORDS_PER_SECOND: usize = 2_000;
/// The same as a multiple of the frames that are allowed, once there are frames.
const RECORDS_PER_FRAME: usize = 10;
/// Records in any second that bring nothing: new keys (RFC 8446 §4.6.3), which cost much more to
/// make than to ask for.
const QUIET_RECORDS_PER_SECOND: usize = 10;

/// Python's TLS, in memory. It gets one record at a time, so that nobody can buy much work with
/// few bytes.
pub(crate) struct Cipher {
    /// `MemoryBIO.write` of what comes in, and `SSLObject.read`.
    pub(crate) write: Py<PyAny>,
    pub(crate) read: Py<PyAny>,
    records: RecordReader,
    pace: Pace,
    quiet_pace: Pace,
}

/// What TLS gets next.
pub(crate) struct Step {
    pub(crate) bytes: usize,
    pub(crate) then: Then,
    /// It is no TLS. The cipher may say so to the peer; then it is the end, whatever it thinks.
    pub(crate) is_last: bool,
}

/// What is done when TLS has it.
pub(crate) enum Then {
    /// A record is not complete.
    Wait,
    /// The handshake goes on.
    Greet,
    /// There is a record to be read.
    Read,
    /// It does not get it: there are too many records.
    Cut,
}

impl Cipher {
    pub(crate) fn new(write: Py<PyAny>, read: Py<PyAny>) -> Self {
        Self {
            write,
            read,
            records: RecordReader::default(),
            pace: Pace::in_blocks(RECORDS_PER_SECOND),
            quiet_pace: Pace::one_by_one(QUIET_RECORDS_PER_SECOND),
        }
    }

    pub(crate) fn expect_frames(&mut self, frames_per_second: usize) {
        self.pace = Pace::in_blocks(frames_per_second.saturating_mul(RECORDS_PER_FRAME));
    }

    pub(crate) fn step(&mut self, bytes: &[u8], greets: bool, now: f64) -> Step {
        let (bytes, piece) = self.records.next(bytes);
        let then = match piece {
            Piece::Part => Then::Wait,
            _ if greets => Then::Greet,
            _ if self.pace.admits(now) => Then::Read,
            _ => Then::Cut,
        };
        Step { bytes, then, is_last: piece == Piece::Unknown }
    }

    /// Whether a record that brought nothing is one too many.
    pub(crate) fn is_flooded(&mut self, now: f64) -> bool {
        !self.quiet_pace.admits(now)
    }
}

/// Whether TLS only waits for more bytes.
pub(crate) fn wants_more(py: Python<'_>, error: &PyErr) -> bool {
    static WANT_READ: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = WANT_READ.import(py, "ssl", "SSLWantReadError");
    class.is_ok_and(|class| error.is_instance(py, class))
}
