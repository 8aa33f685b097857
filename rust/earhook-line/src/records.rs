//! Where TLS records end.

const HEAD_BYTES: usize = 5;

/// Counts the TLS records that are complete, without looking into them (RFC 8446 §5.1; the
/// framing is the same in TLS 1.2, and never encrypted).
#[derive(Debug, Default)]
pub struct RecordCounter {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    left: usize,
}

impl RecordCounter {
    /// Takes the next bytes of a connection; gives how many records end in them.
    pub fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut records = 0;
        while !bytes.is_empty() {
            if self.head_bytes < HEAD_BYTES {
                bytes = self.take_head(bytes);
                if self.head_bytes < HEAD_BYTES {
                    break;
                }
                self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
            }
            let taken = self.left.min(bytes.len());
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                records += 1;
                self.head_bytes = 0;
            }
        }
        records
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let taken = (HEAD_BYTES - self.head_bytes).min(bytes.len());
        self.head[self.head_bytes..self.head_bytes + taken].copy_from_slice(&bytes[..taken]);
        self.head_bytes += taken;
        &bytes[taken..]
    }
}
