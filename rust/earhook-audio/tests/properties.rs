//! Laws of decoding, weaving and measuring that hold for any input.

use earhook_audio::g711::{self, Law};
use earhook_audio::{interleave, Codec, Decoder, FrameError, Level};
use proptest::collection::vec;
use proptest::prelude::*;

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::L16Le, Codec::L16Be];

fn codecs() -> impl Strategy<Value = Codec> {
    prop::sample::select(CODECS.as_slice())
}

/// One sample from its bytes, the plain way.
fn sample_of(codec: Codec, bytes: &[u8]) -> i16 {
    match codec {
        Codec::Pcmu => g711::decode_mu(bytes[0]),
        Codec::Pcma => g711::decode_a(bytes[0]),
        Codec::L16Le => i16::from(bytes[1] as i8) * 256 + i16::from(bytes[0]),
        Codec::L16Be => i16::from(bytes[0] as i8) * 256 + i16::from(bytes[1]),
    }
}

/// Decodes into lanes that are longer than needed by `spare` samples of value 99.
fn decode(
    decoder: Decoder,
    payload: &[u8],
    spare: usize,
) -> Result<(usize, Vec<Vec<i16>>), FrameError> {
    let room = payload.len() / decoder.group_bytes() + spare;
    let mut lanes = vec![vec![99; room]; decoder.channels()];
    let mut borrowed: Vec<&mut [i16]> = lanes.iter_mut().map(Vec::as_mut_slice).collect();
    let samples = decoder.decode_planar(payload, &mut borrowed)?;
    Ok((samples, lanes))
}

proptest! {
    #[test]
    fn each_lane_gets_every_sample_of_its_channel_in_order(
        codec in codecs(), channels in 1..=2_usize, bytes in vec(any::<u8>(), 0..2_000), spare in 0..3_usize,
    ) {
        let decoder = Decoder::new(codec, channels).unwrap();
        let whole = bytes.len() / decoder.group_bytes() * decoder.group_bytes();
        let payload = &bytes[..whole];
        let (samples, lanes) = decode(decoder, payload, spare).unwrap();
        prop_assert_eq!(samples * decoder.group_bytes(), whole);
        let plain: Vec<i16> =
            payload.chunks(codec.bytes_per_sample()).map(|bytes| sample_of(codec, bytes)).collect();
        for (channel, lane) in lanes.iter().enumerate() {
            let expected: Vec<i16> =
                plain.iter().skip(channel).step_by(channels).copied().collect();
            prop_assert_eq!(&lane[..samples], &expected[..]);
            prop_assert!(lane[samples..].iter().all(|&sample| sample == 99));
        }
    }

    #[test]
    fn a_frame_decoded_in_pieces_is_the_frame(
        codec in codecs(), channels in 1..=2_usize, groups in 0..500_usize, cut in 0..500_usize,
    ) {
        let decoder = Decoder::new(codec, channels).unwrap();
        let payload: Vec<u8> =
            (0..groups * decoder.group_bytes()).map(|at| (at * 37).to_le_bytes()[0]).collect();
        let cut = cut.min(groups) * decoder.group_bytes();
        let (_, whole) = decode(decoder, &payload, 0).unwrap();
        let (_, mut head) = decode(decoder, &payload[..cut], 0).unwrap();
        let (_, tail) = decode(decoder, &payload[cut..], 0).unwrap();
        for (lane, rest) in head.iter_mut().zip(tail) {
            lane.extend(rest);
        }
        prop_assert_eq!(head, whole);
    }

    #[test]
    fn a_length_that_is_not_whole_groups_is_refused_and_touches_nothing(
        codec in codecs(), channels in 1..=2_usize, bytes in 0..2_000_usize,
    ) {
        let decoder = Decoder::new(codec, channels).unwrap();
        let group_bytes = decoder.group_bytes();
        prop_assume!(bytes % group_bytes != 0);
        let mut lanes = [[99_i16; 2_000]; 2];
        let [first, second] = &mut lanes;
        let mut borrowed: Vec<&mut [i16]> = vec![first, second];
        borrowed.truncate(channels);
        let refused = decoder.decode_planar(&vec![0; bytes], &mut borrowed);
        prop_assert_eq!(refused, Err(FrameError::PartialGroup { payload_bytes: bytes, group_bytes }));
        prop_assert_eq!(lanes, [[99; 2_000]; 2]);
    }

    #[test]
    fn interleaving_undoes_stereo_decoding(groups in vec(any::<(i16, i16)>(), 0..500)) {
        let payload: Vec<u8> = groups
            .iter()
            .flat_map(|&(one, two)| [one.to_le_bytes(), two.to_le_bytes()].concat())
            .collect();
        let decoder = Decoder::new(Codec::L16Le, 2).unwrap();
        let (samples, lanes) = decode(decoder, &payload, 0).unwrap();
        let mut woven = vec![0; 2 * samples];
        prop_assert_eq!(interleave(&lanes[0], &lanes[1], &mut woven), samples);
        let bytes: Vec<u8> = woven.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        prop_assert_eq!(bytes, payload);
    }

    #[test]
    fn interleaving_stops_at_the_shortest(one in 0..20_usize, two in 0..20_usize, room in 0..50_usize) {
        let mut out = vec![0_u8; room];
        let groups = interleave(&vec![1; one], &vec![2; two], &mut out);
        prop_assert_eq!(groups, one.min(two).min(room / 2));
        prop_assert_eq!(out.iter().filter(|&&value| value == 1).count(), groups);
        prop_assert!(out[2 * groups..].iter().all(|&value| value == 0));
    }

    #[test]
    fn levels_are_what_wide_arithmetic_says(samples in vec(any::<i16>(), 1..3_000)) {
        let level = Level::of(&samples);
        let peak = samples.iter().map(|&sample| i32::from(sample).abs()).max();
        prop_assert_eq!(Some(i32::from(level.peak)), peak);
        let energy: i128 = samples.iter().map(|&sample| i128::from(sample).pow(2)).sum();
        let rms = (energy as f64 / samples.len() as f64).sqrt();
        prop_assert_eq!(i128::from(level.energy), energy);
        prop_assert!((level.rms() - rms).abs() < 1e-6);
        prop_assert!(level.rms() <= f64::from(level.peak));
    }

    #[test]
    fn mu_law_slices_agree_with_single_samples(samples in vec(any::<i16>(), 0..100)) {
        let (mut codes, mut back) = (vec![0; samples.len()], vec![0; samples.len()]);
        for (law, encode_one, decode_one) in [
            (Law::Mu, g711::encode_mu as fn(i16) -> u8, g711::decode_mu as fn(u8) -> i16),
            (Law::A, g711::encode_a, g711::decode_a),
        ] {
            g711::encode(law, &samples, &mut codes);
            g711::decode(law, &codes, &mut back);
            prop_assert!(samples.iter().zip(&codes).all(|(&sample, &code)| encode_one(sample) == code));
            prop_assert!(codes.iter().zip(&back).all(|(&code, &sample)| decode_one(code) == sample));
        }
    }
}

#[test]
fn lanes_and_channels_must_fit_the_decoder() {
    for channels in [0, 3, usize::MAX] {
        assert_eq!(Decoder::new(Codec::Pcmu, channels), Err(FrameError::ChannelCount { channels }));
    }
    let stereo = Decoder::new(Codec::Pcmu, 2).unwrap();
    let (mut first, mut second) = ([0; 2], [0; 1]);
    assert_eq!(
        stereo.decode_planar(&[0; 4], &mut [&mut first]),
        Err(FrameError::LaneCount { lanes: 1, channels: 2 })
    );
    assert_eq!(
        stereo.decode_planar(&[0; 4], &mut [&mut first, &mut second]),
        Err(FrameError::LaneTooShort { lane_samples: 1, samples: 2 })
    );
    assert_eq!(first, [0; 2]);
}

#[test]
fn an_empty_frame_is_legal() {
    for codec in CODECS {
        let decoder = Decoder::new(codec, 1).unwrap();
        assert_eq!(decoder.decode_planar(&[], &mut [&mut []]), Ok(0));
    }
}

#[test]
fn names_and_widths_of_codecs_agree() {
    for codec in CODECS {
        assert_eq!(Codec::from_name(codec.name()), Some(codec));
        assert_eq!(codec.to_string(), codec.name());
    }
    assert_eq!(CODECS.map(Codec::bytes_per_sample), [1, 1, 2, 2]);
    assert_eq!(["pcmu", "OPUS", ""].map(Codec::from_name), [None; 3]);
}

#[test]
fn levels_of_nothing_silence_and_full_scale() {
    let figures = |samples: &[i16]| (Level::of(samples).peak, Level::of(samples).rms());
    assert_eq!(figures(&[]), (0, 0.0));
    assert_eq!(figures(&[0; 160]), (0, 0.0));
    assert_eq!(figures(&[i16::MIN; 160]), (32_768, 32_768.0));
}
