//! What is not what was announced is noticed, and what is, is left alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

mod material;

use std::f64::consts::TAU;

use earhook_audio::Codec;
use earhook_intake::{Collected, Format, Intake};
use material::{encoder, format, framed, interleaved, ogg, packets, speech, written};

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::L16Le, Codec::L16Be];

#[test]
fn speech_sent_as_something_else_is_noticed() {
    for (channels, voice) in voices([0.1, 0.5, 1.5]) {
        for announced in CODECS {
            for sent in CODECS {
                let found = suspicion(format(announced.name(), channels), &written(sent, &voice));
                let expected = (announced != sent).then(|| name_of(sent));
                assert_eq!(found, expected, "{sent} sent as {announced}, {channels} channels");
            }
        }
    }
}

/// Too quiet or too loud to be told apart is no reason for an alarm, let alone for a wrong one.
#[test]
fn whispers_and_shouts_raise_no_false_alarm() {
    for (channels, voice) in voices([0.004, 0.03, 4.0]) {
        for announced in CODECS {
            for sent in CODECS {
                let found = suspicion(format(announced.name(), channels), &written(sent, &voice));
                let is_right = found == Some(name_of(sent)) || found == Some("unknown");
                assert!(
                    found.is_none() || is_right && announced != sent,
                    "{sent} sent as {announced}: {found:?}"
                );
            }
        }
    }
}

/// The false alarms, over everything that a telephone carries besides speech. None is allowed.
#[test]
fn what_is_as_announced_is_left_alone() {
    for (name, sound) in sounds() {
        for announced in CODECS {
            for channels in [1, 2] {
                let body = written(announced, &sound);
                let found = suspicion(format(announced.name(), channels), &body);
                assert_eq!(found, None, "{name} as {announced}, {channels} channels");
            }
        }
    }
}

#[test]
fn it_takes_a_second_of_sound_and_not_much_more() {
    let [customer, _] = speech();
    let body = written(Codec::Pcma, &customer[..]);
    let mut intake = Intake::new(format("PCMU", 1)).unwrap();
    let mut heard = Collected::default();
    intake.begin(None);
    let mut samples = 0;
    for chunk in body.chunks(1_600) {
        intake.push(chunk, &mut heard).unwrap();
        samples += chunk.len();
        if intake.suspicion().is_some() {
            break;
        }
    }
    assert_eq!(intake.suspicion(), Some("PCMA"));
    assert!((8_000..32_000).contains(&samples), "{samples}");
}

#[test]
fn packets_are_left_alone() {
    let [customer, agent] = speech();
    let (customer, agent) = (&customer[..80_000], &agent[..80_000]);
    for (channels, voice) in [(1, customer.to_vec()), (2, interleaved(&[customer, agent]))] {
        let body = framed(&packets(&mut encoder(channels), &voice));
        assert_eq!(suspicion(format("OPUS", channels), &body), None);
        assert_eq!(suspicion(format("OGG", channels), &ogg(channels, &voice)), None);
    }
}

#[test]
fn packets_and_samples_are_told_apart() {
    let [customer, agent] = speech();
    let both = interleaved(&[&customer, &agent]);
    let opus = framed(&packets(&mut encoder(1), &customer)).repeat(2);
    for announced in CODECS {
        assert_eq!(suspicion(format(announced.name(), 1), &opus), Some("unknown"), "{announced}");
    }
    for sent in CODECS {
        let found = suspicion(format("OPUS", 1), &written(sent, &customer));
        assert!(found == Some(name_of(sent)) || found == Some("unknown"), "{sent}: {found:?}");
    }
    let stereo = framed(&packets(&mut encoder(2), &both));
    assert_eq!(suspicion(format("OPUS", 1), &stereo), Some("audio/opus;channels=2"));
}

#[test]
fn containers_are_known_by_their_first_bytes() {
    let cases: [(&[u8], &str); 6] = [
        (b"OggS\0\x02\0\0\0\0\0\0", "audio/ogg"),
        (b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ", "audio/wav"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\x1A\x45\xDF\xA3\x01", "audio/webm"),
        (b".snd\0\0\0\x20", "audio/basic"),
    ];
    for (head, container) in cases {
        for announced in ["PCMU", "L16BE", "OPUS", "OGG"] {
            let expected = ((announced, container) != ("OGG", "audio/ogg")).then_some(container);
            assert_eq!(suspicion(format(announced, 1), head), expected, "{announced}");
        }
    }
}

#[test]
fn only_a_call_begins_with_a_container() {
    let mut intake = Intake::new(format("PCMU", 1)).unwrap();
    let mut heard = Collected::default();
    for body in [&[0xFF; 3][..], b"OggS\0\x02\0\0\0\0\0\0"] {
        intake.begin(None);
        intake.push(body, &mut heard).unwrap();
        intake.end(&mut heard).unwrap();
    }
    assert_eq!(intake.suspicion(), None);
}

/// The customer, the agent, and both, at some loudnesses; what is too loud is clipped.
fn voices(gains: [f64; 3]) -> Vec<(usize, Vec<i16>)> {
    let at = |gain: f64| {
        speech().map(|lane| lane.iter().map(|&one| (f64::from(one) * gain) as i16).collect())
    };
    let three = |gain: f64| {
        let [customer, agent]: [Vec<i16>; 2] = at(gain);
        let both = interleaved(&[&customer, &agent]);
        [(1, customer), (1, agent), (2, both)]
    };
    gains.into_iter().flat_map(three).collect()
}

fn suspicion(format: Format, body: &[u8]) -> Option<&'static str> {
    let mut intake = Intake::new(format).unwrap();
    let mut heard = Collected::default();
    intake.begin(None);
    for chunk in body.chunks(1_001) {
        let _ = intake.push(chunk, &mut heard);
    }
    intake.suspicion()
}

fn sounds() -> Vec<(String, Vec<i16>)> {
    let mut sounds = vec![
        ("silence".to_owned(), vec![0; SAMPLES]),
        ("a constant".to_owned(), vec![700; SAMPLES]),
        ("the last bit".to_owned(), made(|_, random| (random * 2.9) as i16)),
    ];
    for peak in [20.0, 100.0, 1_000.0, 8_000.0] {
        let noise = made(|_, random| (random * peak) as i16);
        sounds.push((format!("noise of {peak}"), noise));
        for hertz in [50, 300, 425, 697, 1_004, 1_633, 2_100, 2_700, 3_400, 3_800] {
            let tone = made(|second, _| (peak * (TAU * f64::from(hertz) * second).sin()) as i16);
            sounds.push((format!("{hertz} Hz of {peak}"), tone));
        }
    }
    let chord = |second: f64| {
        [220.0, 277.2, 329.6, 440.0, 1_318.5].iter().map(|hertz| (TAU * hertz * second).sin()).sum()
    };
    sounds.push((
        "music on hold".to_owned(),
        made(|second, _| {
            let sum: f64 = chord(second);
            (sum * 2_000.0 * (0.6 + 0.4 * (TAU * 2.0 * second).sin())) as i16
        }),
    ));
    let keys = |second: f64| (TAU * 770.0 * second).sin() + (TAU * 1_336.0 * second).sin();
    sounds.push((
        "a key held down".to_owned(),
        made(|second, _| if second % 0.2 < 0.1 { (keys(second) * 6_000.0) as i16 } else { 0 }),
    ));
    sounds
}

const SAMPLES: usize = 8_000 * 5;

/// Sound as a function of the time in seconds and of a random number between -1 and 1.
fn made(sample: impl Fn(f64, f64) -> i16) -> Vec<i16> {
    let mut state = 0x2545_F491_u32;
    (0..SAMPLES)
        .map(|index| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            sample(index as f64 / 8_000.0, f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0)
        })
        .collect()
}

fn name_of(codec: Codec) -> &'static str {
    if codec == Codec::L16Le {
        "L16LE"
    } else {
        codec.name()
    }
}
