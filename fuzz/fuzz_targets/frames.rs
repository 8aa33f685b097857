//! Bytes of a WebSocket client: any cutting of them says the same and breaks the same rule, what
//! is said is no more than what came, and TLS records end where they end.
#![no_main]

use earhook_line::{Event, FrameLimits, FrameReader, Piece, RecordReader};
use libfuzzer_sys::fuzz_target;

// The first byte says how the rest is cut.
fuzz_target!(|input: &[u8]| {
    let Some((&stride, bytes)) = input.split_first() else { return };
    let (whole, said) = events(bytes, bytes.len().max(1));
    assert_eq!((whole, said), events(bytes, usize::from(stride) + 1));
    assert!(said <= bytes.len());
    assert_eq!(records(bytes, bytes.len().max(1)), records(bytes, usize::from(stride) + 1));
});

fn events(bytes: &[u8], stride: usize) -> (Vec<String>, usize) {
    let limits = FrameLimits { message_bytes: 1024, fragments: 4, ..FrameLimits::default() };
    let mut reader = FrameReader::new(limits);
    let (mut seen, mut said) = (Vec::new(), 0);
    for chunk in bytes.chunks(stride) {
        let mut chunk = chunk.to_vec();
        let mut at = 0;
        while at < chunk.len() {
            let (taken, event) = reader.next(&mut chunk[at..], 0.0);
            at += taken;
            if let Some(Event::Text(payload) | Event::Binary(payload) | Event::Ping(payload)) =
                event
            {
                assert!(payload.len() <= limits.message_bytes);
                said += payload.len();
            }
            if let Some(Event::Text(text)) = event {
                assert!(std::str::from_utf8(text).is_ok());
            }
            seen.extend(event.map(|event| format!("{event:?}")));
        }
    }
    (seen, said)
}

fn records(bytes: &[u8], stride: usize) -> usize {
    let (mut reader, mut records) = (RecordReader::default(), 0);
    for chunk in bytes.chunks(stride) {
        let mut at = 0;
        while at < chunk.len() {
            let (taken, piece) = reader.next(&chunk[at..]);
            assert!(taken > 0);
            at += taken;
            records += usize::from(piece == Piece::Record);
        }
    }
    records
}
