//! Opus (RFC 6716): decodes are libopus', any bytes are survived, time is kept.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod common;

use common::{noise, signal_to_noise_db, Action, Case, STRIDE};
use earhook_audio::opus::{
    carries_copy, packet_samples, toc_is_sane, OpusDecoder, OpusError, MAX_PACKET_SAMPLES,
};
use proptest::prelude::*;

const MODES_MONO: &[u8] = include_bytes!("data/modes-mono.case");
const MODES_STEREO: &[u8] = include_bytes!("data/modes-stereo.case");
const LOSSY: &[u8] = include_bytes!("data/lossy.case");
const DISCONTINUOUS: &[u8] = include_bytes!("data/discontinuous.case");

/// Decodes a case and compares the range coder's state after each packet with libopus'.
fn decode(case: &Case<'_>) -> Vec<i16> {
    let mut decoder = OpusDecoder::new(case.channels).unwrap();
    let mut out = Vec::new();
    for (index, record) in case.records.iter().enumerate() {
        let due = out.len() + record.samples * case.channels;
        match record.action {
            Action::Decode(packet) => {
                assert_eq!(decoder.decode(packet, &mut out), Ok(record.samples));
                // A packet without audio leaves no range.
                if packet.len() > 2 {
                    assert_eq!(decoder.final_range(), record.final_range, "packet {index}");
                }
            }
            Action::Conceal => decoder.conceal(record.samples, &mut out),
            Action::RecoverFromNext => {
                let Action::Decode(next) = case.records[index + 1].action else { panic!() };
                decoder.recover(next, record.samples, &mut out);
            }
        }
        assert_eq!(out.len(), due);
    }
    out
}

/// Signal-to-noise ratio against libopus' decode.
fn agreement_db(case: &Case<'_>, out: &[i16]) -> f64 {
    let sampled: Vec<i16> = out.iter().step_by(STRIDE).copied().collect();
    signal_to_noise_db(&case.reference, &sampled)
}

#[test]
fn every_mode_bandwidth_and_frame_size_decodes_as_in_libopus() {
    for (name, bytes) in [("mono", MODES_MONO), ("stereo", MODES_STEREO)] {
        let case = Case::read(bytes);
        let agreement = agreement_db(&case, &decode(&case));
        println!("{name}: {agreement:.1} dB over {} packets", case.records.len());
        assert!(agreement > 90.0, "{name}: {agreement:.1} dB");
    }
}

#[test]
fn the_cases_cover_all_configurations_and_packings() {
    for bytes in [MODES_MONO, MODES_STEREO] {
        let case = Case::read(bytes);
        let tocs = case.records.iter().filter_map(|record| match record.action {
            Action::Decode(packet) => Some(packet[0]),
            _ => None,
        });
        let tocs: std::collections::BTreeSet<u8> = tocs.collect();
        let configurations: std::collections::BTreeSet<u8> =
            tocs.iter().map(|toc| toc >> 3).collect();
        assert_eq!(configurations.len(), 32);
        assert!(tocs.iter().any(|toc| toc & 3 == 3), "packets of several frames");
        assert!(tocs.iter().any(|toc| (toc & 4 != 0) == (case.channels == 2)));
    }
}

#[test]
fn marked_losses_are_recovered_and_concealed_as_in_libopus() {
    let case = Case::read(LOSSY);
    // SILK is integer arithmetic: equal, or wrong.
    assert_eq!(agreement_db(&case, &decode(&case)), f64::INFINITY);
}

#[test]
fn the_copy_in_the_next_packet_is_better_than_concealment() {
    let case = Case::read(LOSSY);
    let mut decoders: [OpusDecoder; 3] = std::array::from_fn(|_| OpusDecoder::new(1).unwrap());
    let mut lost: [Vec<i16>; 3] = Default::default();
    for (index, pair) in case.records.windows(2).enumerate() {
        let mut block: [Vec<i16>; 3] = Default::default();
        let [whole, recovering, concealing] = &mut decoders;
        match (&pair[0].action, &pair[1].action) {
            (Action::Decode(packet), Action::Decode(next)) if index % 6 == 2 => {
                whole.decode(packet, &mut block[0]).unwrap();
                recovering.recover(next, 960, &mut block[1]);
                concealing.conceal(960, &mut block[2]);
                for (lost, block) in lost.iter_mut().zip(&block) {
                    lost.extend(block);
                }
            }
            (Action::Decode(packet), _) => {
                for (decoder, block) in decoders.iter_mut().zip(&mut block) {
                    decoder.decode(packet, block).unwrap();
                }
            }
            _ => {
                for (decoder, block) in decoders.iter_mut().zip(&mut block) {
                    decoder.conceal(960, block);
                }
            }
        }
    }
    let [whole, recovered, concealed] = lost;
    let with_copy = signal_to_noise_db(&whole, &recovered);
    let without = signal_to_noise_db(&whole, &concealed);
    println!("recovered {with_copy:.1} dB, concealed {without:.1} dB");
    assert!(with_copy > without + 3.0, "{with_copy:.1} dB against {without:.1} dB");
}

#[test]
fn a_copy_is_seen_from_outside() {
    let packets = |bytes| {
        let case = Case::read(bytes);
        let packets = case.records.into_iter().filter_map(|record| match record.action {
            Action::Decode(packet) => Some(packet),
            _ => None,
        });
        packets.collect::<Vec<_>>()
    };
    let copies = packets(LOSSY).into_iter().filter(|packet| carries_copy(packet)).count();
    assert!(copies * 2 > packets(LOSSY).len(), "{copies} copies");
    // These were encoded without, in all modes.
    for bytes in [MODES_MONO, MODES_STEREO, DISCONTINUOUS] {
        assert!(!packets(bytes).into_iter().any(carries_copy));
    }
    // 60 ms in stereo: three flags of activity and one of the copy, for the middle and the side.
    let toc = 11 << 3 | 0b100;
    for (bits, expected) in [(0b0001_0000, true), (0b0000_0001, true), (0b1110_1110, false)] {
        assert_eq!(carries_copy(&[toc, bits, 0]), expected, "{bits:#010b}");
    }
    for packet in [&[][..], &[toc], &[toc | 3], &[0xFF, 0xFF]] {
        assert!(!carries_copy(packet));
    }
}

#[test]
fn discontinuous_transmission_keeps_time_and_goes_on() {
    let case = Case::read(DISCONTINUOUS);
    let short = case
        .records
        .iter()
        .filter(|record| matches!(record.action, Action::Decode(packet) if packet.len() <= 2));
    assert!(short.count() > 50, "silence is packets of one or two bytes");
    assert_eq!(agreement_db(&case, &decode(&case)), f64::INFINITY);
}

#[test]
fn a_reset_decoder_is_a_new_one() {
    let case = Case::read(MODES_STEREO);
    let mut used = OpusDecoder::new(2).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for out in [&mut first, &mut second] {
        for record in &case.records {
            let Action::Decode(packet) = record.action else { panic!() };
            used.decode(packet, out).unwrap();
        }
        used.reset();
    }
    assert_eq!(first, second);
}

#[test]
fn packets_of_the_other_channel_count_are_mixed_or_repeated() {
    let case = Case::read(MODES_MONO);
    let (mut mono, mut stereo) = (OpusDecoder::new(1).unwrap(), OpusDecoder::new(2).unwrap());
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for record in &case.records {
        let Action::Decode(packet) = record.action else { panic!() };
        mono.decode(packet, &mut one).unwrap();
        stereo.decode(packet, &mut two).unwrap();
    }
    // Of hybrid packets the two may round differently.
    assert!(two.chunks(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1));
    let left: Vec<i16> = two.chunks(2).map(|pair| pair[0]).collect();
    assert!(signal_to_noise_db(&one, &left) > 80.0);
}

#[test]
fn gain_is_in_parts_of_a_decibel() {
    let case = Case::read(MODES_MONO);
    let mut plain = OpusDecoder::new(1).unwrap();
    let mut softer = OpusDecoder::new(1).unwrap();
    softer.set_gain(-6 * 256);
    let (mut loud, mut soft) = (Vec::new(), Vec::new());
    for record in &case.records[..20] {
        let Action::Decode(packet) = record.action else { panic!() };
        plain.decode(packet, &mut loud).unwrap();
        softer.decode(packet, &mut soft).unwrap();
    }
    let power = |of: &[i16]| of.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    let difference = 10.0 * (power(&soft) / power(&loud)).log10();
    assert!((difference + 6.0).abs() < 0.05, "{difference:.3} dB");
}

#[test]
fn concealment_fades_to_silence() {
    let case = Case::read(LOSSY);
    let mut decoder = OpusDecoder::new(1).unwrap();
    let mut out = Vec::new();
    for record in &case.records[..5] {
        let Action::Decode(packet) = record.action else { panic!() };
        decoder.decode(packet, &mut out).unwrap();
    }
    out.clear();
    decoder.conceal(48_000, &mut out);
    assert_eq!(out.len(), 48_000);
    assert!(out[44_000..].iter().all(|&sample| sample.unsigned_abs() < 200));
}

#[test]
fn a_frame_is_as_long_as_table_2_says() {
    for configuration in 0..32_u8 {
        let tenths_of_ms = match configuration {
            0..=11 => [100, 200, 400, 600][usize::from(configuration % 4)],
            12..=15 => [100, 200][usize::from(configuration % 2)],
            _ => [25, 50, 100, 200][usize::from(configuration % 4)],
        };
        assert_eq!(packet_samples(&[configuration << 3, 0]), Ok(tenths_of_ms * 48 / 10));
    }
}

#[test]
fn each_requirement_on_packets_is_named_when_it_is_broken() {
    let long = |toc: u8, bytes: usize| [&[toc][..], &vec![0; bytes]].concat();
    let cases: &[(Vec<u8>, OpusError)] = &[
        (vec![], OpusError::Empty),
        (long(0, 1_276), OpusError::FrameLength),
        (long(1, 3), OpusError::UnequalFrames),
        (long(1, 2 * 1_276), OpusError::FrameLength),
        (vec![2], OpusError::Truncated),
        (vec![2, 252], OpusError::Truncated),
        (vec![2, 4, 0, 0, 0], OpusError::Truncated),
        (long(2, 1 + 1_276), OpusError::FrameLength),
        (vec![3], OpusError::Truncated),
        (vec![3, 0], OpusError::FrameCount),
        (vec![3, 13], OpusError::FrameCount),
        (vec![0x83, 49, 0], OpusError::FrameCount),
        (vec![3, 2, 1, 1, 1], OpusError::UnequalFrames),
        (vec![3, 0x82], OpusError::Truncated),
        (vec![3, 0x82, 2, 0], OpusError::Truncated),
        (vec![3, 0x41], OpusError::Truncated),
        (vec![3, 0x41, 255], OpusError::Truncated),
        (vec![3, 0x41, 2, 0], OpusError::Truncated),
    ];
    let mut decoder = OpusDecoder::new(2).unwrap();
    for (packet, error) in cases {
        assert_eq!(packet_samples(packet), Err(*error), "{:?}", &packet[..packet.len().min(6)]);
        assert!(!toc_is_sane(packet));
        let mut out = vec![7];
        assert_eq!(decoder.decode(packet, &mut out), Err(*error));
        assert_eq!(out, [7]);
    }
}

#[test]
fn padding_is_skipped() {
    let case = Case::read(MODES_STEREO);
    let Action::Decode(packet) = case.records[0].action else { panic!() };
    assert_eq!(packet[0] & 3, 0);
    // The same frame as code 3, with 300 bytes of padding behind it.
    let padded = [&[packet[0] | 3, 0x41, 255, 46], &packet[1..], &[0xAA; 300]].concat();
    let (mut plain, mut skipped) = (Vec::new(), Vec::new());
    OpusDecoder::new(2).unwrap().decode(packet, &mut plain).unwrap();
    OpusDecoder::new(2).unwrap().decode(&padded, &mut skipped).unwrap();
    assert_eq!(plain, skipped);
}

#[test]
fn only_mono_and_stereo_exist() {
    for channels in [0, 3, 255] {
        assert_eq!(OpusDecoder::new(channels).err(), Some(OpusError::Channels(channels)));
    }
}

/// Packets that came over a bad line: real ones with bytes changed, cut, or made up.
fn hostile_packets(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let case = Case::read(MODES_STEREO);
    let seeds: Vec<Vec<u8>> = case
        .records
        .iter()
        .filter_map(|record| match record.action {
            Action::Decode(packet) => Some(packet.to_vec()),
            _ => None,
        })
        .collect();
    let mut next = noise(3);
    let mut below = move |limit: usize| next() as usize % limit;
    (0..count).map(move |_| {
        if below(2) == 0 {
            return (0..below(200)).map(|_| u8::try_from(below(256)).unwrap()).collect();
        }
        let mut packet = seeds[below(seeds.len())].clone();
        for _ in 0..below(6) {
            let place = below(packet.len());
            packet[place] = u8::try_from(below(256)).unwrap();
        }
        if below(4) == 0 {
            packet.truncate(below(packet.len() + 1));
        }
        packet
    })
}

#[test]
fn any_bytes_are_refused_or_decoded_to_their_length() {
    let mut decoders = [OpusDecoder::new(1).unwrap(), OpusDecoder::new(2).unwrap()];
    let mut out = Vec::new();
    for (index, packet) in hostile_packets(4_000).enumerate() {
        for decoder in &mut decoders {
            out.clear();
            let told = packet_samples(&packet);
            assert_eq!(decoder.decode(&packet, &mut out), told);
            assert_eq!(out.len(), told.unwrap_or(0) * decoder.channels());
            if index % 7 == 0 {
                out.clear();
                let samples = index % (2 * MAX_PACKET_SAMPLES);
                decoder.recover(&packet, samples, &mut out);
                assert_eq!(out.len(), samples * decoder.channels());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_length_of_a_packet_is_at_most_120_ms(packet: Vec<u8>) {
        if let Ok(samples) = packet_samples(&packet) {
            prop_assert!((120..=MAX_PACKET_SAMPLES).contains(&samples));
            prop_assert_eq!(samples % 120, 0);
        }
    }

    #[test]
    fn concealment_is_as_long_as_asked(samples in 0_usize..20_000, channels in 1_usize..=2) {
        let mut out = vec![1];
        OpusDecoder::new(channels).unwrap().conceal(samples, &mut out);
        prop_assert_eq!(out.len(), 1 + samples * channels);
    }
}
