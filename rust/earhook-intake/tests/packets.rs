//! Opus, behind lengths and in Ogg: what is lost, what is bad, and how it adds up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

mod material;

use earhook_intake::{Collected, Format, Intake, IntakeError};
use material::{encoder, format, framed, heard, interleaved, ogg, packets, speech};

#[test]
fn speech_comes_through() {
    for (channels, rate) in [(1, 8_000), (2, 8_000), (1, 16_000), (2, 16_000)] {
        let samples = some_speech(channels);
        for (name, body) in [
            ("OPUS", framed(&packets(&mut encoder(channels), &samples))),
            ("OGG", ogg(channels, &samples)),
        ] {
            let format = Format { rate, ..format(name, channels) };
            let (heard, outcome) = heard(format, None, &body, &[1_000]);
            assert_eq!(outcome, Ok(()));
            let ratio = rate as usize / 8_000;
            assert_eq!(heard.lanes.len(), channels);
            let lanes: Vec<Vec<i16>> = (heard.lanes.iter())
                .map(|lane| lane.iter().copied().step_by(ratio).collect())
                .collect();
            assert_likeness(&samples, channels, &lanes, name);
        }
    }
}

#[test]
fn an_ogg_stream_has_exactly_its_samples() {
    let samples = some_speech(1);
    let (heard, _) = heard(format("OGG", 1), None, &ogg(1, &samples), &[]);
    let given = heard.position();
    // The writer ends its stream where the last packet ends, after what it skips at the start.
    assert!(given.abs_diff(samples.len() as u64) < 160, "{given} of {}", samples.len());
}

#[test]
fn lost_packets_take_their_time() {
    let all = packets(&mut encoder(1), &some_speech(1));
    for lost in [1_usize, 2, 6, 7, 40] {
        let mut sent = all.clone();
        sent[50..50 + lost].iter_mut().for_each(Vec::clear);
        let (heard, outcome) = heard(format("OPUS", 1), None, &framed(&sent), &[]);
        assert_eq!(outcome, Ok(()));
        assert_eq!(heard.position(), 160 * all.len() as u64, "{lost} lost");
        // Up to 120 ms there is sound instead, beyond it is a gap.
        let gap = if lost > 6 { vec![(50 * 160, 160 * lost as u64)] } else { vec![] };
        assert_eq!(heard.missing, gap);
    }
}

#[test]
fn the_next_packet_brings_back_a_lost_one() {
    let samples = some_speech(1);
    let mut encoder = encoder(1);
    encoder.use_inband_fec = true;
    encoder.packet_loss_perc = 20;
    let all = packets(&mut encoder, &samples);
    let whole = heard(format("OPUS", 1), None, &framed(&all), &[]).0;
    let mut sent = all.clone();
    (40..sent.len() - 1).step_by(9).for_each(|lost| sent[lost].clear());
    let mut intake = Intake::new(format("OPUS", 1)).unwrap();
    let mut with_copies = Collected::default();
    intake.begin(None);
    intake.push(&framed(&sent), &mut with_copies).unwrap();
    intake.end(&mut with_copies).unwrap();
    let tally = intake.tally();
    assert!(tally.recovered_packets > tally.concealed_packets, "{tally:?}");
    let lost = sent.iter().filter(|packet| packet.is_empty()).count() as u64;
    assert_eq!(tally.recovered_packets + tally.concealed_packets, lost);
    let noise = distance(&with_copies.lanes[0], &whole.lanes[0]);
    let silence = (40..sent.len() - 1).step_by(9).fold(whole.lanes[0].clone(), |mut lane, lost| {
        lane[lost * 160..(lost + 1) * 160].fill(0);
        lane
    });
    assert!(noise < distance(&silence, &whole.lanes[0]) / 2.0);
}

#[test]
fn a_loss_at_the_end_of_a_body_is_brought_back_by_the_next() {
    let all = packets(&mut encoder(1), &some_speech(1));
    let mut sent = all[..60].to_vec();
    sent[29].clear();
    let whole = heard(format("OPUS", 1), None, &framed(&sent), &[]).0;
    let mut intake = Intake::new(format("OPUS", 1)).unwrap();
    let mut heard = Collected::default();
    for body in [&sent[..30], &sent[30..]] {
        intake.begin(None);
        intake.push(&framed(body), &mut heard).unwrap();
        intake.end(&mut heard).unwrap();
    }
    intake.finish(&mut heard);
    assert_eq!(heard, whole);
}

#[test]
fn a_bad_packet_counts_as_lost() {
    let mut sent = packets(&mut encoder(1), &some_speech(1));
    // Three frames in a packet that has room for none (RFC 6716 §3.2.5).
    sent[30] = vec![sent[30][0] | 3, 0x83];
    let mut intake = Intake::new(format("OPUS", 1)).unwrap();
    let mut heard = Collected::default();
    intake.begin(None);
    intake.push(&framed(&sent), &mut heard).unwrap();
    intake.end(&mut heard).unwrap();
    intake.finish(&mut heard);
    assert_eq!(intake.tally().bad_packets, 1);
    assert_eq!(heard.position(), 160 * sent.len() as u64);
}

#[test]
fn what_is_no_opus_at_all_is_given_up() {
    let bad = vec![vec![0x03]; 30];
    let (heard, outcome) = heard(format("OPUS", 1), None, &framed(&bad), &[5]);
    assert!(matches!(outcome, Err(IntakeError::Malformed(_))), "{outcome:?}");
    assert_eq!(heard.lanes.iter().map(Vec::len).sum::<usize>(), 0);
}

/// A few bytes can stand for hours, a page for half a minute: nobody waits for all of it.
#[test]
fn opus_is_decoded_a_quarter_of_a_second_at_a_time() {
    // 48 frames of 2.5 ms without a byte in them (RFC 6716 §3.2.5).
    let silence = framed(&vec![vec![0xE3, 48]; 1_100]);
    let page = ogg(1, &some_speech(1));
    for (name, body) in [("OPUS", &silence), ("OGG", &page)] {
        let (whole, outcome) = heard(format(name, 1), None, body, &[]);
        assert_eq!(outcome, Ok(()));
        let (mut intake, mut so_far) =
            (Intake::new(format(name, 1)).unwrap(), Collected::default());
        intake.begin(None);
        intake.push(body, &mut so_far).unwrap();
        let (mut before, mut steps) = (0, 0);
        while intake.is_behind() {
            intake.go_on(&mut so_far).unwrap();
            let step = so_far.position() - before;
            assert!(step <= 2 * (2_000 + 960), "{name}: {step} samples in one go");
            (before, steps) = (so_far.position(), steps + 1);
        }
        intake.end(&mut so_far).unwrap();
        intake.finish(&mut so_far);
        assert!(steps >= 3, "{name}: {steps} steps");
        assert_eq!(so_far.lanes, whole.lanes, "{name}");
    }
}

#[test]
fn a_missing_body_is_counted_once() {
    let body = ogg(1, &some_speech(1));
    let whole = heard(format("OGG", 1), None, &body, &[]).0;
    // Three blocks, cut anywhere; the one in the middle never comes.
    let (first, rest) = body.split_at(body.len() / 3);
    let (_, last) = rest.split_at(rest.len() / 2);
    let mut intake = Intake::new(format("OGG", 1)).unwrap();
    let mut heard = Collected::default();
    intake.begin(None);
    intake.push(first, &mut heard).unwrap();
    intake.end(&mut heard).unwrap();
    intake.lose(4_000, &mut heard);
    intake.begin(None);
    intake.push(last, &mut heard).unwrap();
    intake.end(&mut heard).unwrap();
    intake.finish(&mut heard);
    assert_eq!(heard.position(), whole.position());
    assert!(!heard.missing.is_empty());
}

#[test]
fn a_stream_with_other_channels_is_refused() {
    for (channels, announced) in [(1, 2), (2, 1)] {
        let body = ogg(channels, &some_speech(channels));
        let (heard, outcome) = heard(format("OGG", announced), None, &body, &[]);
        assert!(matches!(outcome, Err(IntakeError::Malformed(_))), "{outcome:?}");
        assert_eq!(heard.position(), 0);
    }
}

#[test]
fn after_a_body_that_was_given_up_the_next_may_be_good() {
    let good = ogg(1, &some_speech(1));
    let mut intake = Intake::new(format("OGG", 1)).unwrap();
    let mut heard = Collected::default();
    intake.begin(None);
    let outcome = intake.push(&[b'x'; 200_000], &mut heard);
    assert!(matches!(outcome, Err(IntakeError::Malformed(_))), "{outcome:?}");
    assert_eq!(intake.push(&good, &mut heard), outcome);
    assert_eq!(intake.end(&mut heard), outcome);
    intake.begin(None);
    assert_eq!(intake.push(&good, &mut heard), Ok(()));
    assert!(heard.position() > 0);
}

fn some_speech(channels: usize) -> Vec<i16> {
    let [customer, agent] = speech();
    let range = 16_000..36_000;
    interleaved(&[&customer[range.clone()], &agent[range]][..channels])
}

/// The sound is what was sent, some milliseconds later: what the codec and filters take.
fn assert_likeness(sent: &[i16], channels: usize, lanes: &[Vec<i16>], name: &str) {
    for (channel, lane) in lanes.iter().enumerate() {
        let sent: Vec<f64> =
            sent.iter().skip(channel).step_by(channels).map(|&sample| f64::from(sample)).collect();
        let best = (0..240)
            .map(|delay| correlation(&sent, &lane[delay.min(lane.len())..]))
            .fold(f64::MIN, f64::max);
        assert!(best > 0.9, "{name}, {channels} channels: channel {channel} correlates by {best}");
    }
}

fn correlation(sent: &[f64], given: &[i16]) -> f64 {
    let pairs = || sent.iter().zip(given).map(|(&one, &other)| (one, f64::from(other)));
    let product: f64 = pairs().map(|(one, other)| one * other).sum();
    let (ones, others) =
        pairs().fold((0.0, 0.0), |(a, b), (one, other)| (a + one * one, b + other * other));
    product / (ones * others).sqrt()
}

fn distance(one: &[i16], other: &[i16]) -> f64 {
    let square = |(&a, &b): (&i16, &i16)| (f64::from(a) - f64::from(b)).powi(2);
    one.iter().zip(other).map(square).sum()
}
