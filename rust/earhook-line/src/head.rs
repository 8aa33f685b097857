//! The head of a frame (RFC 6455 §5.2), and the rules that it can break by itself.

use crate::rule::Rule;

const SHORTEST: usize = 6;
const LONGEST: usize = 14;
const MASK_BYTES: usize = 4;
const MOST_OF_CONTROL: u64 = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A head that has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) opcode: Opcode,
    pub(crate) fin: bool,
    pub(crate) payload_bytes: u64,
    pub(crate) mask: [u8; MASK_BYTES],
}

impl Head {
    pub(crate) const fn is_control(&self) -> bool {
        matches!(self.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// Collects a head that may come in pieces.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    bytes: [u8; LONGEST],
    count: usize,
}

impl HeadReader {
    /// Takes what belongs to the head, and moves `at` behind it. None: more is needed.
    ///
    /// # Errors
    /// The rule that the head breaks, as soon as it is seen.
    pub(crate) fn take(&mut self, chunk: &[u8], at: &mut usize) -> Result<Option<Head>, Rule> {
        loop {
            let wanted = self.wanted()?;
            let taken = (wanted - self.count).min(chunk.len() - *at);
            self.bytes[self.count..self.count + taken].copy_from_slice(&chunk[*at..*at + taken]);
            self.count += taken;
            *at += taken;
            if self.count < wanted {
                return self.wanted().map(|_| None);
            }
            if wanted == self.wanted()? {
                let head = self.read()?;
                self.count = 0;
                return Ok(Some(head));
            }
        }
    }

    /// How long the head is, as far as that is known; what can be wrong so far.
    fn wanted(&self) -> Result<usize, Rule> {
        if self.count >= 1 {
            opcode_of(self.bytes[0])?;
        }
        if self.count < 2 {
            return Ok(2);
        }
        if self.bytes[1] & 0x80 == 0 {
            return Err(Rule::Framing);
        }
        Ok(match self.bytes[1] & 0x7F {
            126 => SHORTEST + 2,
            127 => SHORTEST + 8,
            _ => SHORTEST,
        })
    }

    fn read(&self) -> Result<Head, Rule> {
        let bytes = &self.bytes[..self.count];
        let (first, rest) = (bytes[0], &bytes[2..]);
        let (length, mask) = rest.split_at(rest.len() - MASK_BYTES);
        let short = u64::from(bytes[1] & 0x7F);
        let stated = length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        // The shortest form only, and 63 bits.
        let payload_bytes = match length.len() {
            0 => short,
            2 if stated > MOST_OF_CONTROL => stated,
            8 if stated > u64::from(u16::MAX) && stated >> 63 == 0 => stated,
            _ => return Err(Rule::Framing),
        };
        let head = Head {
            opcode: opcode_of(first)?,
            fin: first & 0x80 != 0,
            payload_bytes,
            mask: [mask[0], mask[1], mask[2], mask[3]],
        };
        if head.is_control() && (!head.fin || payload_bytes > MOST_OF_CONTROL) {
            return Err(Rule::Framing);
        }
        Ok(head)
    }
}

fn opcode_of(first: u8) -> Result<Opcode, Rule> {
    // The reserved bits belong to extensions, and none is ever agreed.
    match first & 0x7F {
        0x0 => Ok(Opcode::Continuation),
        0x1 => Ok(Opcode::Text),
        0x2 => Ok(Opcode::Binary),
        0x8 => Ok(Opcode::Close),
        0x9 => Ok(Opcode::Ping),
        0xA => Ok(Opcode::Pong),
        _ => Err(Rule::Framing),
    }
}
