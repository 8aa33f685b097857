//! Laws of the readers: how bytes are cut means nothing, and what is sent is what is told.

use earhook_line::{Event, FrameLimits, FrameReader, Piece, RecordReader, Rule};
use proptest::collection::vec;
use proptest::prelude::*;

const GENEROUS: FrameLimits = FrameLimits {
    message_bytes: 65_536,
    fragments: 64,
    frames_per_second: 1_000_000,
    control_frames_per_second: 1_000_000,
};

/// An event that owns what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close(Option<u16>),
    Broken(Rule),
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(payload) => Self::Text(payload.to_vec()),
            Event::Binary(payload) => Self::Binary(payload.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Close(code) => Self::Close(code),
            Event::Broken(rule) => Self::Broken(rule),
        }
    }
}

fn read(limits: FrameLimits, bytes: &[u8], cuts: &[usize]) -> Vec<Told> {
    let mut reader = FrameReader::new(limits);
    let mut told = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut start = 0;
    for end in cuts {
        let mut chunk = bytes[start..end].to_vec();
        let mut at = 0;
        while at < chunk.len() {
            let (taken, event) = reader.next(&mut chunk[at..], 0.0);
            assert!(taken > 0, "it goes on");
            let is_event = event.is_some();
            told.extend(event.map(Told::from));
            at += taken;
            assert!(is_event || at == chunk.len(), "without an event all is taken");
        }
        start = end;
    }
    told
}

fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    let length = (payload.len() as u64).to_be_bytes();
    match payload.len() {
        0..=125 => bytes.push(0x80 | length[7]),
        126..=65_535 => bytes.extend([0x80 | 126, length[6], length[7]]),
        _ => bytes.extend([&[0x80 | 127][..], &length].concat()),
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// A message as a peer may send it: whole or in fragments, with pings in between.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<Told>)> {
    let payload = prop_oneof![vec(any::<u8>(), 0..300), vec(any::<u8>(), 3_190..3_210)];
    let text = "[a-zé€𝄞]{0,40}";
    (payload, text, any::<bool>(), vec(any::<usize>(), 0..4), any::<[u8; 4]>(), any::<bool>())
        .prop_map(|(binary, text, is_text, cuts, mask, pings)| {
            let payload = if is_text { text.into_bytes() } else { binary };
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
            ends.push(payload.len());
            ends.sort_unstable();
            let (mut bytes, mut told, mut start) = (Vec::new(), Vec::new(), 0);
            for (number, end) in ends.iter().enumerate() {
                let opcode = if number > 0 { 0 } else { 2 - u8::from(is_text) };
                let is_last = number + 1 == ends.len();
                let fin = if is_last { 0x80 } else { 0 };
                bytes.extend(frame(fin | opcode, &payload[start..*end], mask));
                start = *end;
                if pings && !is_last {
                    bytes.extend(frame(0x89, b"between", mask));
                    bytes.extend(frame(0x8A, b"nobody asked", mask));
                    told.push(Told::Ping(b"between".to_vec()));
                }
            }
            told.push(if is_text { Told::Text(payload) } else { Told::Binary(payload) });
            (bytes, told)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_sent_is_what_is_told(
        messages in vec(message(), 1..6), cuts in vec(any::<usize>(), 0..12), close in 1000_u16..1004,
    ) {
        let mut bytes: Vec<u8> = messages.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let mut expected: Vec<Told> = messages.into_iter().flat_map(|(_, told)| told).collect();
        bytes.extend(frame(0x88, &[&close.to_be_bytes()[..], b"bye"].concat(), [7; 4]));
        expected.push(Told::Close(Some(close)));
        prop_assert_eq!(read(GENEROUS, &bytes, &cuts), expected);
    }

    #[test]
    fn any_cutting_of_any_bytes_tells_the_same(
        messages in vec(message(), 0..3), noise in vec(any::<u8>(), 0..60),
        cuts in vec(any::<usize>(), 0..12), limits in prop_oneof![
            Just(GENEROUS),
            Just(FrameLimits { message_bytes: 1024, fragments: 2, frames_per_second: 20,
                               control_frames_per_second: 2 }),
        ],
    ) {
        let mut bytes: Vec<u8> = messages.into_iter().flat_map(|(bytes, _)| bytes).collect();
        bytes.extend(noise);
        let whole = read(limits, &bytes, &[]);
        prop_assert_eq!(&read(limits, &bytes, &cuts), &whole);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&read(limits, &bytes, &every), &whole);
        let broken = whole.iter().position(|told| matches!(told, Told::Broken(_)));
        prop_assert!(broken.is_none_or(|at| at + 1 == whole.len()), "nothing follows a broken rule");
    }

    #[test]
    fn records_are_counted_where_they_end(
        lengths in vec(0_u16..400, 0..12), cuts in vec(any::<usize>(), 0..20),
    ) {
        let mut bytes = Vec::new();
        for length in &lengths {
            bytes.extend([23, 3, 3]);
            bytes.extend(length.to_be_bytes());
            bytes.resize(bytes.len() + usize::from(*length), 0xAA);
        }
        bytes.extend([23, 3, 3, 0]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let (mut reader, mut at, mut ends) = (RecordReader::default(), 0, Vec::new());
        for end in cuts {
            while at < end {
                let (taken, piece) = reader.next(&bytes[at..end]);
                at += taken;
                prop_assert!(piece == Piece::Record || (piece == Piece::Part && at == end));
                ends.extend((piece == Piece::Record).then_some(at));
            }
        }
        let mut expected = lengths.iter().scan(0, |at, length| {
            *at += 5 + usize::from(*length);
            Some(*at)
        });
        prop_assert!(ends.iter().all(|end| expected.next() == Some(*end)));
        prop_assert_eq!(ends.len(), lengths.len());
    }
}

#[test]
fn what_is_no_record_is_known_by_its_head() {
    let sound = [23, 3, 3, 0, 1, 7];
    // A length that no record has, an unknown type, a version, and a greeting of SSL 2.
    for head in [[23, 3, 3, 0x48, 1], [25, 3, 3, 0, 1], [22, 2, 0, 0, 1], [0x80, 46, 1, 3, 3]] {
        let mut reader = RecordReader::default();
        assert_eq!(reader.next(&sound), (6, Piece::Record));
        assert_eq!(reader.next(&head), (5, Piece::Unknown), "{head:?}");
        assert_eq!(reader.next(&sound), (6, Piece::Unknown), "it stays lost");
    }
    let longest = [22, 3, 1, 0x48, 0];
    assert_eq!(RecordReader::default().next(&longest), (5, Piece::Part), "the longest there is");
}

#[test]
fn a_pace_is_kept_in_any_second() {
    let mut reader = FrameReader::new(FrameLimits::default());
    let mut taken = 0;
    // 190 a second for ten seconds; then a burst.
    for number in 0..1900 {
        let now = f64::from(number) / 190.0;
        assert_eq!(reader.next(&mut frame(0x82, b"", [0; 4]), now).1, Some(Event::Binary(b"")));
    }
    for _ in 0..201 {
        match reader.next(&mut frame(0x82, b"", [0; 4]), 11.5).1 {
            Some(Event::Binary(_)) => taken += 1,
            other => assert_eq!(other, Some(Event::Broken(Rule::FrameRate))),
        }
    }
    assert_eq!(taken, 200);
    assert_eq!(reader.next(&mut frame(0x82, b"", [0; 4]), 99.0), (6, None), "deaf for ever");
}

#[test]
fn a_frame_that_is_too_long_is_refused_at_its_head() {
    let mut reader = FrameReader::new(FrameLimits::default());
    let mut head = [&[0x82, 0xFF][..], &65_537_u64.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(reader.next(&mut head, 0.0), (14, Some(Event::Broken(Rule::TooLarge))));
}

#[test]
fn every_rule_has_a_word_and_floods_get_no_farewell() {
    let ends = [
        (Rule::Framing, "framing", Some(1002)),
        (Rule::Sequence, "sequence", Some(1002)),
        (Rule::Text, "text", Some(1007)),
        (Rule::CloseCode, "close-code", Some(1002)),
        (Rule::TooLarge, "too-large", Some(1009)),
        (Rule::Fragments, "fragments", None),
        (Rule::FrameRate, "frame-rate", None),
        (Rule::ControlRate, "control-rate", None),
    ];
    for (rule, word, code) in ends {
        assert_eq!((rule.word(), rule.close_code()), (word, code));
    }
}
