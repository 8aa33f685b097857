//! Packets behind their lengths: the form of `audio/opus` bodies.

/// Bytes of a length.
const LENGTH_BYTES: usize = 2;

/// Cuts a body into packets, wherever chunks cut it. A packet is never longer than 65,535 bytes,
/// which is all that is ever kept.
#[derive(Default)]
pub(crate) struct PacketFraming {
    /// Length and packet, as far as they have come.
    partial: Vec<u8>,
}

impl PacketFraming {
    /// Takes bytes in, up to the end of one packet at most; gives the packet if it is complete,
    /// and what is left of the bytes. A packet without bytes is one that was lost.
    pub(crate) fn take<'a, 'chunk: 'a>(
        &'a mut self,
        chunk: &'chunk [u8],
    ) -> (Option<&'a [u8]>, &'chunk [u8]) {
        if self.is_complete() {
            self.partial.clear();
        }
        if self.partial.is_empty() {
            // The usual way: the packet lies in the chunk as a whole and is not copied.
            if let Some((packet, rest)) = split_packet(chunk) {
                return (Some(packet), rest);
            }
        }
        let mut rest = self.fill(chunk, LENGTH_BYTES);
        if let Some(wanted) = wanted_bytes(&self.partial) {
            rest = self.fill(rest, wanted);
        }
        let packet = if self.is_complete() { self.partial.get(LENGTH_BYTES..) } else { None };
        (packet, rest)
    }

    /// No packet goes on in another body. Gives the bytes that are dropped for that.
    pub(crate) fn end(&mut self) -> usize {
        let dropped = if self.is_complete() { 0 } else { self.partial.len() };
        self.partial.clear();
        dropped
    }

    fn is_complete(&self) -> bool {
        wanted_bytes(&self.partial).is_some_and(|wanted| wanted == self.partial.len())
    }

    fn fill<'chunk>(&mut self, chunk: &'chunk [u8], wanted: usize) -> &'chunk [u8] {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = chunk.split_at(missing.min(chunk.len()));
        self.partial.extend_from_slice(taken);
        rest
    }
}

fn wanted_bytes(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [high, low, ..] => Some(LENGTH_BYTES + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

fn split_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (whole, rest) = bytes.split_at_checked(wanted_bytes(bytes)?)?;
    Some((whole.get(LENGTH_BYTES..)?, rest))
}
