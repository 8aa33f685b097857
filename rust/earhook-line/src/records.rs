//! Where TLS records end.

const HEAD_BYTES: usize = 5;

/// The most behind a head: what TLS 1.2 allows, of which TLS 1.3 uses less (RFC 5246 §6.2.3).
const MOST_BYTES: usize = (1 << 14) + 2048;
/// From change_cipher_spec to application_data, and heartbeat (RFC 6520 §3).
const FIRST_TYPE: u8 = 20;
const LAST_TYPE: u8 = 24;

/// What the next bytes of a connection are to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A part of a record, up to where the bytes end.
    Part,
    /// A record, or the rest of one, ends here.
    Record,
    /// There has been what cannot be a record, and nobody knows where one ends: the cipher has to
    /// say when it has had enough.
    Unknown,
}

/// Finds where TLS records end, without looking into them (RFC 8446 §5.1; the framing is the same
/// in TLS 1.2, and never encrypted).
#[derive(Debug, Default)]
pub struct RecordReader {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    left: usize,
    is_lost: bool,
}

impl RecordReader {
    /// Takes bytes up to the end of a record; gives how many it took, and what they are. What is
    /// not a `Record` took them all.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Piece) {
        let mut rest = bytes;
        if !self.is_lost && self.head_bytes < HEAD_BYTES {
            rest = self.take_head(bytes);
            if self.head_bytes < HEAD_BYTES {
                return (bytes.len(), Piece::Part);
            }
            self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
            self.is_lost = !self.is_sound();
        }
        if self.is_lost {
            return (bytes.len(), Piece::Unknown);
        }
        let taken = self.left.min(rest.len());
        self.left -= taken;
        let taken = bytes.len() - rest.len() + taken;
        if self.left > 0 {
            return (taken, Piece::Part);
        }
        self.head_bytes = 0;
        (taken, Piece::Record)
    }

    /// Whether this can be the head of a record.
    fn is_sound(&self) -> bool {
        let is_type = (FIRST_TYPE..=LAST_TYPE).contains(&self.head[0]);
        is_type && self.head[1] == 3 && self.left <= MOST_BYTES
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let taken = (HEAD_BYTES - self.head_bytes).min(bytes.len());
        self.head[self.head_bytes..self.head_bytes + taken].copy_from_slice(&bytes[..taken]);
        self.head_bytes += taken;
        &bytes[taken..]
    }
}
