//! Laws of merging: what each source sends arrives whole and in order, however it is cut.

use std::collections::HashMap;

use earhook_wire::{
    write_audio, write_gap, write_json, Decoder, Frame, GapReason, Kind, Merger, Note, Route,
    WireError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// What happens in one call after its open: samples of every channel, a gap, or an event.
#[derive(Clone, Debug)]
enum Step {
    Audio(Vec<i16>),
    Gap(u64),
    Event(String),
}

#[derive(Clone, Debug)]
struct Script {
    channels: u8,
    steps: Vec<Step>,
    closes: bool,
}

impl Script {
    fn open(&self, session: &str) -> String {
        let channels: &[&str] = if self.channels == 2 { &["external", "internal"] } else { &["x"] };
        let facts = serde_json::json!({
            "session": session, "channels": channels, "position": 5, "custom_config": {"channels": 7},
        });
        facts.to_string()
    }

    /// Every frame of the call on its own, under `number`.
    fn frames(&self, number: u32, session: &str) -> Vec<Vec<u8>> {
        let mut frames = vec![json(Kind::Open, number, &self.open(session))];
        let mut position = 5;
        for step in &self.steps {
            let mut frame = Vec::new();
            match step {
                Step::Audio(samples) => {
                    for channel in 0..self.channels {
                        write_audio(&mut frame, number, channel, position, samples, &[]);
                    }
                    position += samples.len() as u64;
                }
                Step::Gap(samples) => {
                    write_gap(&mut frame, number, position, *samples, reason_of(*samples));
                    position += samples;
                }
                Step::Event(text) => frame = json(Kind::Event, number, text),
            }
            frames.push(frame);
        }
        if self.closes {
            frames.push(json(Kind::Close, number, "{}"));
        }
        frames
    }
}

/// Gaps of both reasons that last words tell apart.
fn reason_of(samples: u64) -> GapReason {
    if samples.is_multiple_of(2) {
        GapReason::Overrun
    } else {
        GapReason::Late
    }
}

fn json(kind: Kind, number: u32, body: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    assert_eq!(write_json(&mut frame, kind, number, body.as_bytes()), Ok(()));
    frame
}

fn scripts() -> impl Strategy<Value = Script> {
    let step = prop_oneof![
        vec(any::<i16>(), 1..40).prop_map(Step::Audio),
        (1..1000_u64).prop_map(Step::Gap),
        "[a-z]{0,20}".prop_map(Step::Event),
    ];
    (1..=2_u8, vec(step, 0..8), any::<bool>()).prop_map(|(channels, steps, closes)| Script {
        channels,
        steps,
        closes,
    })
}

/// Interleaves the frames of a source's calls, as `order` has it.
fn interleave(calls: Vec<Vec<Vec<u8>>>, order: &[usize]) -> Vec<u8> {
    let mut calls: Vec<_> = calls.into_iter().map(std::iter::IntoIterator::into_iter).collect();
    let mut bytes = Vec::new();
    for pick in order.iter().copied().chain(0..10_000) {
        let place = pick % calls.len().max(1);
        if let Some(frame) = calls.get_mut(place).and_then(Iterator::next) {
            bytes.extend(frame);
        }
    }
    bytes
}

/// The frames of a stream by session, each with its number taken out.
fn by_session(bytes: &[u8]) -> HashMap<String, Vec<String>> {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.feed(bytes), Ok(()));
    let (mut sessions, mut found) = (HashMap::<u32, String>::new(), HashMap::new());
    while let Some(frame) = decoder.next_frame() {
        let (call, text) = match frame {
            Frame::Json(json) => {
                if json.kind == Kind::Open {
                    let facts: Value = serde_json::from_str(json.body).unwrap_or_default();
                    let session = facts["session"].to_string();
                    assert!(sessions.insert(json.call, session).is_none(), "a number came twice");
                }
                (json.call, format!("{:?} {}", json.kind, json.body))
            }
            Frame::Audio(a) => (a.call, format!("{} {} {:?}", a.channel, a.position, a.pcm)),
            Frame::Gap(g) => (g.call, format!("gap {} {}", g.position, g.samples)),
            Frame::Ack(ack) => (ack.call, String::new()),
        };
        found.entry(sessions[&call].clone()).or_insert_with(Vec::new).push(text);
    }
    found
}

fn feed_all(merger: &mut Merger, source: u32, bytes: &[u8], step: usize) -> (Vec<u8>, Vec<Note>) {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(step) {
        let outcome = merger.feed(source, chunk, &mut out);
        assert!(outcome.is_ok());
        notes.extend(outcome.unwrap_or_default());
    }
    (out, notes)
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_frames(
        calls in vec(scripts(), 1..4), order in vec(any::<usize>(), 0..40), step in 1..200_usize,
    ) {
        let frames = calls.iter().enumerate().map(|(place, call)| {
            call.frames(u32::try_from(place).unwrap() + 7, &format!("s{place}"))
        });
        let bytes = [json(Kind::Hello, 0, "{}"), interleave(frames.collect(), &order)].concat();
        let mut whole = Merger::new();
        whole.add(3);
        let expected = feed_all(&mut whole, 3, &bytes, bytes.len());
        prop_assert_eq!(by_session(&expected.0), by_session(&bytes[json(Kind::Hello, 0, "{}").len()..]));
        for step in [1, step] {
            let mut merger = Merger::new();
            merger.add(3);
            prop_assert_eq!(&feed_all(&mut merger, 3, &bytes, step), &expected);
            prop_assert_eq!(merger.held_bytes(), 0);
            prop_assert_eq!(merger.calls(), calls.iter().filter(|call| !call.closes).count());
        }
    }

    #[test]
    fn sources_that_take_turns_at_any_byte_lose_and_mix_nothing(
        east in vec(scripts(), 1..3), west in vec(scripts(), 1..3),
        cuts in vec((any::<bool>(), 1..90_usize), 0..60),
    ) {
        let mut expected = HashMap::new();
        let mut left = [(0_u32, &east), (1, &west)].map(|(source, calls)| {
            let frames = calls.iter().enumerate().map(|(place, call)| {
                call.frames(u32::try_from(place).unwrap() + 1, &format!("{source}-{place}"))
            });
            let bytes = interleave(frames.collect(), &[]);
            expected.extend(by_session(&bytes));
            bytes
        });
        let mut merger = Merger::new();
        merger.add(0);
        merger.add(1);
        let mut out = Vec::new();
        for (is_west, bytes) in cuts.into_iter().chain([(false, usize::MAX), (true, usize::MAX)]) {
            let source = u32::from(is_west);
            let rest = &mut left[usize::from(is_west)];
            let chunk: Vec<u8> = rest.drain(..bytes.min(rest.len())).collect();
            prop_assert_eq!(merger.feed(source, &chunk, &mut out), Ok(vec![]));
        }
        prop_assert_eq!(by_session(&out), expected);
    }

    #[test]
    fn a_lost_source_leaves_every_open_call_even_and_closed_once(
        calls in vec(scripts(), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let frames = calls.iter().enumerate().map(|(place, call)| {
            call.frames(u32::try_from(place).unwrap() + 1, &format!("s{place}"))
        });
        let bytes = interleave(frames.collect(), &[]);
        let mut merger = Merger::new();
        merger.add(0);
        let mut out = Vec::new();
        merger.feed(0, &bytes[..cut.index(bytes.len() + 1)], &mut out).unwrap();
        merger.lose(0, &mut out);
        prop_assert_eq!((merger.calls(), merger.held_bytes()), (0, 0));
        let mut decoder = Decoder::new();
        decoder.feed(&out).unwrap();
        let mut open = HashMap::new();
        while let Some(frame) = decoder.next_frame() {
            match frame {
                Frame::Json(json) if json.kind == Kind::Open => {
                    let facts: Value = serde_json::from_str(json.body).unwrap();
                    let channels = facts["channels"].as_array().unwrap().len();
                    open.insert(json.call, (vec![0; channels], 0, 0));
                }
                Frame::Json(json) if json.kind == Kind::Close => {
                    let (audio, overrun, late) = open.remove(&json.call).unwrap();
                    if json.body == "{}" {
                        continue;
                    }
                    let close: Value = serde_json::from_str(json.body).unwrap();
                    prop_assert_eq!(&close["reason"], "worker_lost");
                    let books = &close["books"];
                    for lane in audio {
                        prop_assert_eq!(books["forwarded"].as_u64(), Some(lane));
                        prop_assert_eq!(close["position"].as_u64(), Some(5 + lane + overrun + late));
                    }
                    let dropped = books["dropped"]["overrun"].as_u64().unwrap_or(0);
                    let forwarded = books["forwarded"].as_u64().unwrap();
                    prop_assert_eq!(dropped, overrun);
                    prop_assert_eq!(books["late"].as_u64().unwrap_or(0), late);
                    prop_assert_eq!(books["received"].as_u64(), Some(forwarded + dropped));
                }
                Frame::Audio(audio) => {
                    let lanes = &mut open.get_mut(&audio.call).unwrap().0;
                    lanes[usize::from(audio.channel)] += audio.pcm.len() as u64 / 2;
                }
                Frame::Gap(gap) => {
                    let (_, overrun, late) = open.get_mut(&gap.call).unwrap();
                    let is_late = gap.known_reason() == Some(GapReason::Late);
                    *(if is_late { late } else { overrun }) += gap.samples;
                }
                _ => {}
            }
        }
        prop_assert!(open.is_empty());
    }

    #[test]
    fn any_bytes_give_the_same_outcome_however_they_are_cut(
        bytes in vec(any::<u8>(), 0..200), step in 1..50_usize,
    ) {
        let outcome = |step: usize| {
            let (mut merger, mut out) = (Merger::new(), Vec::new());
            merger.add(0);
            let fault = bytes.chunks(step).find_map(|chunk| merger.feed(0, chunk, &mut out).err());
            (fault, out)
        };
        prop_assert_eq!(outcome(step), outcome(1));
    }
}

#[test]
fn a_route_leads_back_to_the_call_that_was_opened() {
    let script = Script { channels: 1, steps: vec![], closes: false };
    let (mut merger, mut out) = (Merger::new(), Vec::new());
    for source in [8, 9] {
        merger.add(source);
        let open = json(Kind::Open, 4, &script.open(&format!("AB-{source}")));
        assert_eq!(merger.feed(source, &open, &mut out), Ok(vec![]));
    }
    assert_eq!(merger.find("ab-9"), Some(2));
    assert_eq!(merger.route(2), Some(Route { source: 9, number: 4 }));
    assert_eq!((merger.route(3), merger.find("AB-9")), (None, None));
    assert_eq!(merger.acknowledge(2, 80), Some(Route { source: 9, number: 4 }));
    assert_eq!((merger.acknowledge(2, 80), merger.acknowledge(3, 80)), (None, None));
    assert_eq!(merger.lose(9, &mut out), 1);
    assert_eq!((merger.route(2), merger.find("ab-9")), (None, None));
    assert_eq!(merger.lose(9, &mut out), 0);
    assert_eq!(merger.feed(9, b"anything", &mut out), Ok(vec![]), "it is gone");
    merger.add(9);
    merger.feed(9, &json(Kind::Open, 4, &script.open("later")), &mut out).unwrap();
    assert_eq!(merger.find("later"), Some(3), "numbers are never given twice");
}

#[test]
fn frames_of_the_connection_are_given_and_not_passed() {
    let (mut merger, mut out) = (Merger::new(), Vec::new());
    merger.add(0);
    let body = r#"{"type":"subscribed","calls":0}"#;
    let notes = merger.feed(0, &json(Kind::Event, 0, body), &mut out).unwrap();
    assert_eq!(notes, [Note { kind: Kind::Event, body: body.to_owned() }]);
    assert!(out.is_empty());
}

#[test]
fn calls_that_are_not_open_or_open_wrongly_are_faults() {
    let fault = |frames: &[Vec<u8>]| {
        let mut merger = Merger::new();
        merger.add(0);
        merger.feed(0, &frames.concat(), &mut Vec::new()).err()
    };
    let open = json(Kind::Open, 4, r#"{"session":"s","channels":["external"],"position":0}"#);
    let bad = Some(WireError::BadOpen { call: 4 });
    assert_eq!(fault(&[json(Kind::Open, 4, r#"{"session":"s"}"#)]), bad);
    assert_eq!(fault(&[open.clone(), open]), bad);
    let not_open = WireError::NotOpen { kind: Kind::Event, call: 1 };
    assert_eq!(fault(&[json(Kind::Event, 1, "{}")]), Some(not_open));
}

#[test]
fn who_closed_a_call_is_known_for_a_while() -> Result<(), WireError> {
    let script = Script { channels: 1, steps: Vec::new(), closes: true };
    let (mut merger, mut out) = (Merger::new(), Vec::new());
    (1..=2).for_each(|source| merger.add(source));
    merger.feed(1, &script.frames(7, "A").concat(), &mut out)?;
    assert_eq!((merger.find("a"), merger.closed_by("a")), (None, Some(1)));
    let open = Script { closes: false, ..script.clone() };
    merger.feed(2, &open.frames(7, "b").concat(), &mut out)?;
    assert_eq!((merger.find("b"), merger.closed_by("b")), (Some(2), None));
    for number in 8..4104 {
        merger.feed(2, &script.frames(number, &number.to_string()).concat(), &mut out)?;
    }
    assert_eq!((merger.closed_by("a"), merger.closed_by("8")), (None, Some(2)));
    merger.lose(2, &mut out);
    assert_eq!(merger.closed_by("8"), None);
    Ok(())
}
