//! The bytes of the stream, written down once in `tests/data/pcm_stream` and shared with Python.
#![allow(clippy::unwrap_used)] // A vector that cannot be read must fail the test.

use earhook_wire::{
    write_ack, write_audio, write_gap, write_json, Decoder, Frame, GapReason, Kind, ALL_CHANNELS,
};
use serde_json::{json, Value};

const FRAMES: &str = include_str!("../../../tests/data/pcm_stream/frames.json");
const REFUSED: &str = include_str!("../../../tests/data/pcm_stream/refused.json");

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn bytes_of(vector: &Value) -> Vec<u8> {
    let digits = vector["hex"].as_str().unwrap().replace(' ', "");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn fields_of(frame: &Frame<'_>) -> Value {
    match frame {
        Frame::Audio(audio) => json!({
            "kind": "audio", "call": audio.call, "channel": audio.channel,
            "position": audio.position, "samples": audio.samples().collect::<Vec<_>>(),
        }),
        Frame::Gap(gap) => json!({
            "kind": "gap", "call": gap.call, "channel": gap.channel,
            "position": gap.position, "length": gap.samples, "reason": gap.reason,
        }),
        Frame::Ack(ack) => json!({
            "kind": "ack", "call": ack.call, "channel": ack.channel, "position": ack.position,
        }),
        Frame::Json(json) => {
            json!({"kind": word(json.kind), "call": json.call, "body": json.body})
        }
    }
}

fn word(kind: Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn kind_of(fields: &Value) -> Kind {
    Kind::ALL.into_iter().find(|&kind| fields["kind"] == word(kind)).unwrap()
}

/// Writes the frame that the fields describe.
fn write(fields: &Value) -> Vec<u8> {
    let number = |name: &str| fields[name].as_u64().unwrap();
    let call = u32::try_from(number("call")).unwrap();
    let channel = || u8::try_from(number("channel")).unwrap();
    let mut out = Vec::new();
    match kind_of(fields) {
        Kind::Audio => {
            let samples: Vec<i16> = serde_json::from_value(fields["samples"].clone()).unwrap();
            let (first, second) = samples.split_at(samples.len() / 2);
            write_audio(&mut out, call, channel(), number("position"), first, second);
        }
        Kind::Gap => {
            assert_eq!(channel(), ALL_CHANNELS);
            let reason = GapReason::from_number(u32::try_from(number("reason")).unwrap()).unwrap();
            write_gap(&mut out, call, number("position"), number("length"), reason);
        }
        Kind::Ack => write_ack(&mut out, call, channel(), number("position")),
        kind => {
            write_json(&mut out, kind, call, fields["body"].as_str().unwrap().as_bytes()).unwrap();
        }
    }
    out
}

#[test]
fn every_golden_frame_reads_as_its_fields() {
    for vector in vectors(FRAMES) {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.feed(&bytes_of(&vector)), Ok(()), "{vector}");
        let fields = decoder.next_frame().as_ref().map_or(Value::Null, fields_of);
        assert_eq!(fields, vector["fields"], "{vector}");
        assert_eq!(decoder.next_frame(), None, "{vector}");
        assert_eq!(decoder.buffered_bytes(), 0, "{vector}");
    }
}

#[test]
fn every_golden_frame_that_a_writer_can_mean_is_written_so() {
    for vector in vectors(FRAMES) {
        if vector["written"] == true {
            assert_eq!(write(&vector["fields"]), bytes_of(&vector), "{vector}");
        }
    }
}

#[test]
fn the_golden_frames_have_every_kind_and_every_reason() {
    let fields: Vec<Value> =
        vectors(FRAMES).into_iter().map(|vector| vector["fields"].clone()).collect();
    for kind in Kind::ALL {
        assert!(fields.iter().any(|fields| fields["kind"] == word(kind)), "{kind:?}");
    }
    for reason in GapReason::ALL {
        assert!(fields.iter().any(|fields| fields["reason"] == reason.number()), "{reason:?}");
    }
}

#[test]
fn every_broken_rule_is_named_and_sticks() {
    for vector in vectors(REFUSED) {
        let mut decoder = Decoder::new();
        let fault = decoder.feed(&bytes_of(&vector)).unwrap_err();
        assert_eq!(fault.to_string(), vector["rule"].as_str().unwrap(), "{vector}");
        assert_eq!(decoder.next_frame(), None, "{vector}");
        assert_eq!(decoder.feed(&[]), Err(fault), "{vector}");
        assert_eq!(decoder.buffered_bytes(), 0, "{vector}");
    }
}
