//! Laws of the stream that hold for any frames, any bytes and any way of cutting them.

use earhook_wire::{
    write_ack, write_audio, write_gap, write_json, Decoder, Frame, GapReason, Kind, WireError,
    HEADER_BYTES, MAX_AUDIO_SAMPLES, MAX_CONSUMER_FRAME_BYTES, MAX_GATEWAY_FRAME_BYTES,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A frame as its writer means it, owned.
#[derive(Clone, Debug, PartialEq)]
enum Meant {
    Audio { call: u32, channel: u8, position: u64, samples: Vec<i16> },
    Gap { call: u32, position: u64, samples: u64, reason: GapReason },
    Ack { call: u32, channel: u8, position: u64 },
    Json { kind: Kind, call: u32, body: String },
    Unknown { kind: u8, body: Vec<u8> },
}

impl Meant {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Audio { call, channel, position, samples } => {
                let (first, second) = samples.split_at(samples.len() / 3);
                write_audio(out, *call, *channel, *position, first, second);
            }
            Self::Gap { call, position, samples, reason } => {
                write_gap(out, *call, *position, *samples, *reason);
            }
            Self::Ack { call, channel, position } => write_ack(out, *call, *channel, *position),
            Self::Json { kind, call, body } => {
                assert_eq!(write_json(out, *kind, *call, body.as_bytes()), Ok(()));
            }
            Self::Unknown { kind, body } => {
                let rest = u32::try_from(body.len() + HEADER_BYTES - 4).unwrap_or(u32::MAX);
                out.extend(rest.to_le_bytes());
                out.extend([*kind, 1, 2, 3, 4, 5, 6, 7]);
                out.extend(body);
            }
        }
    }

    fn read(frame: Frame<'_>) -> Option<Self> {
        Some(match frame {
            Frame::Audio(audio) => Self::Audio {
                call: audio.call,
                channel: audio.channel,
                position: audio.position,
                samples: audio.samples().collect(),
            },
            Frame::Gap(gap) => Self::Gap {
                call: gap.call,
                position: gap.position,
                samples: gap.samples,
                reason: gap.known_reason()?,
            },
            Frame::Ack(ack) => {
                Self::Ack { call: ack.call, channel: ack.channel, position: ack.position }
            }
            Frame::Json(json) => {
                Self::Json { kind: json.kind, call: json.call, body: json.body.to_owned() }
            }
        })
    }
}

fn frames() -> impl Strategy<Value = Meant> {
    let call = 1..=u32::MAX;
    let position = 0..u64::MAX / 2;
    let json_kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_json()).collect();
    prop_oneof![
        (call.clone(), 0..255_u8, position.clone(), vec(any::<i16>(), 1..400)).prop_map(
            |(call, channel, position, samples)| Meant::Audio { call, channel, position, samples }
        ),
        (
            call.clone(),
            position.clone(),
            position.clone(),
            prop::sample::select(&GapReason::ALL[..])
        )
            .prop_map(|(call, position, samples, reason)| {
                Meant::Gap { call, position, samples, reason }
            }),
        (call, any::<u8>(), position).prop_map(|(call, channel, position)| Meant::Ack {
            call,
            channel,
            position
        }),
        (prop::sample::select(json_kinds), any::<u32>(), ".{0,60}")
            .prop_map(|(kind, call, body)| Meant::Json { kind, call, body }),
        (10..=u8::MAX, vec(any::<u8>(), 0..60))
            .prop_map(|(kind, body)| Meant::Unknown { kind, body }),
    ]
}

/// Bytes that are nearly frames: a short length, a known kind, and anything after it.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let nearly = (0..40_u32, 0..11_u8, vec(any::<u8>(), 0..60))
        .prop_map(|(length, kind, rest)| [&length.to_le_bytes()[..], &[kind], &rest].concat());
    prop_oneof![vec(any::<u8>(), 0..200), vec(nearly, 0..6).prop_map(|parts| parts.concat())]
}

/// Feeds the bytes cut at multiples of `step`, taking frames after each feed.
fn read(bytes: &[u8], step: usize) -> (Vec<Meant>, Option<WireError>) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        let outcome = decoder.feed(chunk);
        while let Some(frame) = decoder.next_frame() {
            frames.extend(Meant::read(frame));
        }
        if let Err(fault) = outcome {
            return (frames, Some(fault));
        }
    }
    (frames, None)
}

proptest! {
    #[test]
    fn what_was_written_is_read_however_it_is_cut(meant in vec(frames(), 0..12), step in 1..300_usize) {
        let mut bytes = Vec::new();
        for frame in &meant {
            frame.write(&mut bytes);
        }
        let known: Vec<Meant> =
            meant.into_iter().filter(|frame| !matches!(frame, Meant::Unknown { .. })).collect();
        prop_assert_eq!(read(&bytes, step), (known.clone(), None));
        prop_assert_eq!(read(&bytes, 1), (known, None));
    }

    #[test]
    fn any_bytes_give_the_same_frames_and_the_same_fault_however_they_are_cut(
        meant in vec(frames(), 0..3), hostile in hostile_bytes(), step in 1..50_usize,
    ) {
        let mut bytes = Vec::new();
        for frame in &meant {
            frame.write(&mut bytes);
        }
        bytes.extend(hostile);
        let whole = read(&bytes, bytes.len());
        prop_assert_eq!(read(&bytes, step), whole.clone());
        prop_assert_eq!(read(&bytes, 1), whole);
    }

    #[test]
    fn after_a_fault_nothing_is_held_and_nothing_more_is_read(
        meant in frames(), hostile in hostile_bytes(),
    ) {
        let mut decoder = Decoder::new();
        prop_assume!(decoder.feed(&hostile).is_err());
        while decoder.next_frame().is_some() {}
        prop_assert_eq!(decoder.buffered_bytes(), 0);
        let mut bytes = Vec::new();
        meant.write(&mut bytes);
        prop_assert!(decoder.feed(&bytes).is_err());
        prop_assert_eq!(decoder.next_frame(), None);
        prop_assert_eq!(decoder.buffered_bytes(), 0);
    }
}

proptest! {
    // Megabytes a case: a few are enough, and unoptimised more would take minutes.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn audio_too_long_for_one_frame_becomes_several_that_follow_each_other(
        first in 0..2 * MAX_AUDIO_SAMPLES + 2, second in 0..2 * MAX_AUDIO_SAMPLES + 2,
    ) {
        let samples: Vec<i16> =
            (0..first + second).map(|at| i16::from_le_bytes([at.to_le_bytes()[0], at.to_le_bytes()[1]])).collect();
        let mut bytes = Vec::new();
        write_audio(&mut bytes, 1, 0, 5, &samples[..first], &samples[first..]);
        let mut decoder = Decoder::new();
        prop_assert_eq!(decoder.feed(&bytes), Ok(()));
        let mut read = Vec::new();
        while let Some(Frame::Audio(audio)) = decoder.next_frame() {
            prop_assert_eq!(audio.position, 5 + read.len() as u64);
            read.extend(audio.samples());
        }
        prop_assert!(read == samples);
        prop_assert_eq!(bytes.len(), 2 * samples.len() + 24 * samples.len().div_ceil(MAX_AUDIO_SAMPLES));
    }
}

#[test]
fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_is_not_written() {
    let body = vec![b' '; MAX_GATEWAY_FRAME_BYTES - HEADER_BYTES];
    let mut bytes = Vec::new();
    assert_eq!(write_json(&mut bytes, Kind::Event, 1, &body), Ok(()));
    assert_eq!(bytes.len(), MAX_GATEWAY_FRAME_BYTES);
    let mut decoder = Decoder::new();
    assert_eq!(decoder.feed(&bytes), Ok(()));
    assert!(decoder.next_frame().is_some());

    let too_long = [&body[..], b" "].concat();
    let refused = write_json(&mut bytes, Kind::Event, 1, &too_long);
    assert!(matches!(refused, Err(WireError::FrameTooLong { .. })));
    assert_eq!(bytes.len(), MAX_GATEWAY_FRAME_BYTES);
}

#[test]
fn a_gateway_refuses_a_long_frame_before_its_body_arrives() {
    let mut decoder = Decoder::with_limit(MAX_CONSUMER_FRAME_BYTES);
    let fault = WireError::FrameTooLong {
        frame_bytes: MAX_CONSUMER_FRAME_BYTES as u64 + 1,
        limit_bytes: MAX_CONSUMER_FRAME_BYTES,
    };
    assert_eq!(decoder.feed(&[0xFD, 0xFF, 0x03]), Ok(()));
    assert_eq!(decoder.feed(&[0x00]), Err(fault));
}

#[test]
fn kinds_without_json_cannot_be_written_as_json() {
    for kind in [Kind::Audio, Kind::Gap, Kind::Ack] {
        let mut bytes = Vec::new();
        assert_eq!(write_json(&mut bytes, kind, 1, b"{}"), Err(WireError::NotJson { kind }));
        assert!(bytes.is_empty());
    }
}

#[test]
fn numbers_and_names_are_those_of_the_specification() {
    assert_eq!(Kind::ALL.map(Kind::number), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!([0, 10, 255].map(Kind::from_number), [None; 3]);
    assert_eq!(GapReason::ALL.map(GapReason::number), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(
        GapReason::ALL.map(GapReason::name),
        ["paused", "discarded", "overrun", "malformed", "unreported", "missing", "late"]
    );
    assert_eq!([0, 8].map(GapReason::from_number), [None; 2]);
}
