//! What several targets do to their input first.

/// Bytes in which every Ogg page has the checksum that it should have (RFC 3533 §6).
#[must_use]
pub fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut pages = bytes.to_vec();
    let mut at = 0;
    while at + HEADER_BYTES <= pages.len() {
        let end = page_end(&pages[at..]).map(|length| at + length);
        match end.filter(|&end| end <= pages.len()) {
            Some(end) => {
                pages[at + CHECKSUM_AT..at + CHECKSUM_AT + 4].fill(0);
                let checksum = checksum(&pages[at..end]);
                pages[at + CHECKSUM_AT..at + CHECKSUM_AT + 4]
                    .copy_from_slice(&checksum.to_le_bytes());
                at = end;
            }
            None => at += 1,
        }
    }
    pages
}

const HEADER_BYTES: usize = 27;
const CHECKSUM_AT: usize = 22;

fn page_end(bytes: &[u8]) -> Option<usize> {
    let segments = usize::from(*bytes.get(HEADER_BYTES - 1)?);
    let table = bytes.get(HEADER_BYTES..HEADER_BYTES + segments)?;
    let body: usize = table.iter().copied().map(usize::from).sum();
    bytes.starts_with(b"OggS").then_some(HEADER_BYTES + segments + body)
}

fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum: u32, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 }
        })
    })
}
