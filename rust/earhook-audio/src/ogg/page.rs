//! Pages: finding them in a stream of bytes, and trusting only those whose checksum is right.

use std::ops::Range;

use super::OggError;

/// One page (RFC 3533 §6), a view of the reader's buffer.
pub(super) struct Page<'bytes> {
    flags: u8,
    /// Where the stream is at the end of the last packet that ends here; `None` if none does.
    pub(super) granule: Option<u64>,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    lacing: &'bytes [u8],
    pub(super) body: &'bytes [u8],
}

impl<'bytes> Page<'bytes> {
    /// The page starts within a packet.
    pub(super) fn continues(&self) -> bool {
        self.flags & CONTINUED != 0
    }

    /// The first page of its stream.
    pub(super) fn begins(&self) -> bool {
        self.flags & BEGINS != 0
    }

    /// The last page of its stream.
    pub(super) fn ends(&self) -> bool {
        self.flags & ENDS != 0
    }

    /// The pieces of packets on this page, each with whether its packet ends with it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&'bytes [u8], bool)> + use<'bytes> {
        let (mut lacing, mut body) = (self.lacing, self.body);
        std::iter::from_fn(move || {
            // A lacing value of 255 goes on in the next one, a smaller one ends the packet.
            let ending = lacing.iter().position(|&length| length < 255);
            let count = ending.map_or(lacing.len(), |index| index + 1);
            let (values, lacing_left) = lacing.split_at(count);
            let length = values.iter().map(|&length| usize::from(length)).sum();
            let (piece, body_left) = body.split_at(length);
            (lacing, body) = (lacing_left, body_left);
            (count > 0).then_some((piece, ending.is_some()))
        })
    }
}

/// Bytes on their way to becoming pages. Holds at most one page and what came with it.
#[derive(Default)]
pub(super) struct PageBuffer {
    bytes: Vec<u8>,
    /// What is before this has been read.
    start: usize,
    /// A page has been read, so the bytes are Ogg.
    proven: bool,
    /// Bytes skipped since the last good page.
    astray_bytes: usize,
    /// Checksums that were wrong since the last good page.
    broken_in_a_row: u32,
    /// Checksums that were wrong.
    pub(super) damaged_pages: u64,
    /// Bytes that belonged to no good page.
    pub(super) skipped_bytes: u64,
}

impl PageBuffer {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their page.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The next good page, or `None` until more bytes come.
    pub(super) fn next(&mut self) -> Result<Option<Page<'_>>, OggError> {
        loop {
            self.find_capture_pattern()?;
            let header = match Header::read(&self.bytes[self.start..]) {
                Reading::Page(header) => header,
                Reading::Short => return Ok(None),
                Reading::NoPage => {
                    self.skip(1)?;
                    continue;
                }
            };
            let page = self.start..self.start + header.page_bytes();
            if !checksum_is_right(&self.bytes[page.clone()]) {
                self.damaged()?;
                continue;
            }
            self.start = page.end;
            (self.astray_bytes, self.broken_in_a_row, self.proven) = (0, 0, true);
            return Ok(Some(header.page(&self.bytes[page])));
        }
    }

    /// Moves to the next "OggS", or to where one may still begin.
    fn find_capture_pattern(&mut self) -> Result<(), OggError> {
        let bytes = &self.bytes[self.start..];
        let found = bytes.windows(CAPTURE_PATTERN.len()).position(|four| four == CAPTURE_PATTERN);
        // The last three bytes may be its beginning.
        let length = found.unwrap_or(bytes.len().saturating_sub(CAPTURE_PATTERN.len() - 1));
        if length > 0 {
            self.skip(length)?;
        }
        Ok(())
    }

    /// The page at the start is not what was sent. Its length may be wrong too, so the search goes
    /// on right behind its capture pattern.
    fn damaged(&mut self) -> Result<(), OggError> {
        self.damaged_pages += 1;
        self.broken_in_a_row += 1;
        // Each attempt may cost a checksum of 64 KiB for the 27 bytes of a made-up header.
        if self.broken_in_a_row > MAX_BROKEN_IN_A_ROW {
            return Err(OggError::NoPages);
        }
        self.skip(CAPTURE_PATTERN.len())
    }

    fn skip(&mut self, bytes: usize) -> Result<(), OggError> {
        if !self.proven && self.astray_bytes == 0 && self.broken_in_a_row == 0 {
            return Err(OggError::NotOgg);
        }
        self.start += bytes;
        self.skipped_bytes += bytes as u64;
        self.astray_bytes += bytes;
        if self.astray_bytes > MAX_ASTRAY_BYTES {
            return Err(OggError::NoPages);
        }
        Ok(())
    }
}

/// The fixed fields of a page, and how long its lacing and its body are.
struct Header {
    segments: usize,
    body_bytes: usize,
}

enum Reading {
    Page(Header),
    Short,
    NoPage,
}

impl Header {
    /// Reads the header of a page whose capture pattern, if it is there at all, is first, and
    /// looks whether the whole page is.
    fn read(bytes: &[u8]) -> Reading {
        let Some(fixed) = bytes.first_chunk::<HEADER_BYTES>() else { return Reading::Short };
        let (version, flags, segments) = (fixed[4], fixed[5], usize::from(fixed[26]));
        if version != 0 || flags & !(CONTINUED | BEGINS | ENDS) != 0 {
            return Reading::NoPage;
        }
        let Some(lacing) = bytes.get(HEADER_BYTES..HEADER_BYTES + segments) else {
            return Reading::Short;
        };
        let body_bytes = lacing.iter().map(|&length| usize::from(length)).sum();
        let header = Self { segments, body_bytes };
        if bytes.len() < header.page_bytes() {
            return Reading::Short;
        }
        Reading::Page(header)
    }

    fn page_bytes(&self) -> usize {
        HEADER_BYTES + self.segments + self.body_bytes
    }

    fn page<'bytes>(&self, bytes: &'bytes [u8]) -> Page<'bytes> {
        let (header, body) = bytes.split_at(HEADER_BYTES + self.segments);
        let (fixed, lacing) = header.split_at(HEADER_BYTES);
        let granule = little_endian(&fixed[6..14]);
        Page {
            flags: fixed[5],
            granule: (granule != u64::MAX).then_some(granule),
            serial: little_endian_word(&fixed[14..18]),
            sequence: little_endian_word(&fixed[18..22]),
            lacing,
            body,
        }
    }
}

fn checksum_is_right(page: &[u8]) -> bool {
    let mut digest = CHECKSUM.digest();
    digest.update(&page[..CHECKSUM_FIELD.start]);
    // The field counts as zero in its own checksum.
    digest.update(&[0; 4]);
    digest.update(&page[CHECKSUM_FIELD.end..]);
    digest.finalize() == little_endian_word(&page[CHECKSUM_FIELD])
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn little_endian_word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

const CAPTURE_PATTERN: [u8; 4] = *b"OggS";
const CONTINUED: u8 = 1;
const BEGINS: u8 = 2;
const ENDS: u8 = 4;
const HEADER_BYTES: usize = 27;
const CHECKSUM_FIELD: Range<usize> = 22..26;
/// Two of the longest pages: a damaged one, and what its damage hid of the next.
const MAX_ASTRAY_BYTES: usize = 2 * 65_307;
const MAX_BROKEN_IN_A_ROW: u32 = 32;

/// The checksum of RFC 3533 §6, field 7: not reflected, from zero, not inverted.
const CHECKSUM: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&ALGORITHM);
const ALGORITHM: crc::Algorithm<u32> = crc::Algorithm {
    width: 32,
    poly: 0x04C1_1DB7,
    init: 0,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x89A1_897F,
    residue: 0,
};
