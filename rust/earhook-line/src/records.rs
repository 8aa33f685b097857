//! Where TLS records end.

const HEAD_BYTES: usize = 5;

/// The most behind a head: what TLS 1.2 allows, of which TLS 1.3 uses less (RFC 5246 §6.2.3).
const MOST_BYTES: usize = (1 << 14) + 2048;
/// From change_cipher_spec to application_data, and heartbeat (RFC 6520 §3).
const FIRST_TYPE: u8 = 20;
const LAST_TYPE: u8 = 24;

/// Counts the TLS records that are complete, without looking into them (RFC 8446 §5.1; the
/// framing is the same in TLS 1.2, and never encrypted).
#[derive(Debug, Default)]
pub struct RecordCounter {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    left: usize,
    is_lost: bool,
}

impl RecordCounter {
    /// Takes the next bytes of a connection; gives how many records end in them.
    ///
    /// After what cannot be a record nobody knows where one ends: then it is always
    /// `usize::MAX`, and the cipher has to say when it has had enough.
    pub fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut records = 0;
        while !bytes.is_empty() && !self.is_lost {
            if self.head_bytes < HEAD_BYTES {
                bytes = self.take_head(bytes);
                if self.head_bytes < HEAD_BYTES {
                    break;
                }
                self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
                self.is_lost = !self.is_sound();
            }
            let taken = self.left.min(bytes.len());
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                records += 1;
                self.head_bytes = 0;
            }
        }
        if self.is_lost {
            usize::MAX
        } else {
            records
        }
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
