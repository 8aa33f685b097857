//! What an intake gives depends on the bytes of the bodies alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod material;

use earhook_audio::Codec;
use earhook_intake::{Collected, Format, Intake, IntakeError, WireCodec, RATES};
use material::{format, framed, heard, interleaved, keys, sealed, speech};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn raw_audio_is_heard_exactly(
        codec in prop::sample::select(vec![Codec::Pcmu, Codec::Pcma, Codec::L16Le, Codec::L16Be]),
        channels in 1_usize..=2,
        body in prop::collection::vec(any::<u8>(), 0..300),
        pieces in prop::collection::vec(1_usize..40, 0..8),
    ) {
        let (heard, outcome) = heard(format(codec.name(), channels), None, &body, &pieces);
        prop_assert_eq!(outcome, Ok(()));
        let group_bytes = codec.bytes_per_sample() * channels;
        let whole = &body[..body.len() / group_bytes * group_bytes];
        let given: Vec<&[i16]> = heard.lanes.iter().map(Vec::as_slice).collect();
        let given = if given.is_empty() { Vec::new() } else { interleaved(&given) };
        prop_assert_eq!(given, decoded(codec, whole));
    }

    #[test]
    fn any_cut_of_any_body_gives_the_same(
        kind in 0_usize..KINDS.len(),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        is_sealed in any::<bool>(),
        pieces in prop::collection::vec(1_usize..700, 1..8),
    ) {
        let (format, mut body) = some_body(kind);
        if is_sealed {
            body = sealed(&body, 200, 1);
        }
        if let Some((place, byte)) = damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let keys = is_sealed.then(keys);
        let whole = heard(format, keys.as_ref(), &body, &[]);
        prop_assert_eq!(heard(format, keys.as_ref(), &body, &pieces), whole);
    }

    #[test]
    fn random_bytes_never_panic(
        kind in 0_usize..KINDS.len(),
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..4),
        prefixed in any::<bool>(),
        lost in 0_u64..1_000,
    ) {
        let (format, good) = some_body(kind);
        let mut intake = Intake::new(format).unwrap();
        let mut heard = Collected::default();
        for body in bodies {
            intake.begin(None);
            if prefixed {
                let _ = intake.push(&good[..good.len() / 2], &mut heard);
            }
            let _ = intake.push(&body, &mut heard);
            let _ = intake.end(&mut heard);
            intake.lose(lost, &mut heard);
        }
        intake.finish(&mut heard);
        prop_assert_eq!(intake.held_samples(), 0);
    }

    /// The position that is told before each step is where its sound begins.
    #[test]
    fn position_counts_what_is_held(
        wire_rate in prop::sample::select(RATES.to_vec()),
        rate in prop::sample::select(vec![8_000, 16_000]),
        steps in prop::collection::vec((0_usize..900, prop::option::of(0_u64..50)), 1..12),
    ) {
        let codec = WireCodec::Raw(Codec::L16Be);
        let mut intake = Intake::new(Format { codec, channels: 1, wire_rate, rate }).unwrap();
        let mut heard = Collected::default();
        for (samples, lost) in steps {
            intake.begin(None);
            intake.push(&vec![0; 2 * samples], &mut heard).unwrap();
            intake.end(&mut heard).unwrap();
            let told = heard.position() + intake.held_samples();
            if let Some(lost) = lost {
                intake.lose(lost, &mut heard);
                prop_assert_eq!(heard.position(), told + lost);
            }
        }
        let told = heard.position() + intake.held_samples();
        intake.finish(&mut heard);
        prop_assert_eq!(heard.position(), told);
    }
}

#[test]
fn a_group_does_not_go_on_in_the_next_body() {
    let mut intake = Intake::new(format("L16BE", 2)).unwrap();
    let mut heard = Collected::default();
    for body in [&[0, 1, 0, 2, 0][..], &[0, 3, 0, 4], &[9, 9, 9]] {
        intake.begin(None);
        intake.push(body, &mut heard).unwrap();
        intake.end(&mut heard).unwrap();
    }
    assert_eq!(heard.lanes, [[1, 3], [2, 4]]);
    assert_eq!(intake.tally().trailing_bytes, 4);
}

#[test]
fn nothing_is_taken_outside_of_a_body() {
    let mut intake = Intake::new(format("PCMU", 1)).unwrap();
    let mut heard = Collected::default();
    assert_eq!(intake.push(&[1], &mut heard), Err(IntakeError::NoBody));
    assert_eq!(intake.end(&mut heard), Err(IntakeError::NoBody));
    assert_eq!(heard, Collected::default());
}

#[test]
fn a_call_that_cannot_be_taken_is_refused() {
    let good = format("PCMU", 1);
    for wrong in [
        Format { channels: 0, ..good },
        Format { channels: 3, ..good },
        Format { wire_rate: 8_001, ..good },
        Format { rate: 48_000, ..good },
    ] {
        assert!(Intake::new(wrong).is_err(), "{wrong:?}");
    }
}

const KINDS: [(&str, usize); 7] =
    [("PCMU", 1), ("PCMA", 2), ("L16BE", 2), ("OPUS", 1), ("OPUS", 2), ("OGG", 1), ("OGG", 2)];

/// A quarter of a second of speech, in a rate of its own.
fn some_body(kind: usize) -> (Format, Vec<u8>) {
    let (name, channels) = KINDS[kind];
    let format = Format { wire_rate: 11_025, rate: 16_000, ..format(name, channels) };
    let [customer, agent] = speech();
    let range = 20_000..22_000;
    let lanes = [&customer[range.clone()], &agent[range]];
    let samples = interleaved(&lanes[..channels]);
    let body = match format.codec {
        WireCodec::Raw(codec) => material::written(codec, &samples),
        WireCodec::Opus => {
            let mut packets = material::packets(&mut material::encoder(channels), &samples);
            packets[4].clear();
            framed(&packets)
        }
        WireCodec::Ogg => material::ogg(channels, &samples),
    };
    (format, body)
}

fn decoded(codec: Codec, bytes: &[u8]) -> Vec<i16> {
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match codec {
        Codec::Pcmu => bytes.iter().map(|&code| earhook_audio::g711::decode_mu(code)).collect(),
        Codec::Pcma => bytes.iter().map(|&code| earhook_audio::g711::decode_a(code)).collect(),
        Codec::L16Le => pairs().map(i16::from_le_bytes).collect(),
        Codec::L16Be => pairs().map(i16::from_be_bytes).collect(),
    }
}
