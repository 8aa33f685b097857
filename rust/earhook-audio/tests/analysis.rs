//! The analysis of calls: what it says, and that cuts and gaps do not change it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

use earhook_audio::analysis::{
    CallAnalysis, Fact, Settings, ShapeError, Span, Summary, ToneKind, SILENCE_DBFS,
};
use earhook_audio::g711;
use proptest::prelude::*;

const RATE: u32 = 8_000;

/// Facts of a call that was pushed whole.
fn listen(lanes: &[&[i16]]) -> (Vec<Fact>, Summary) {
    listen_at(RATE, lanes)
}

fn listen_at(rate: u32, lanes: &[&[i16]]) -> (Vec<Fact>, Summary) {
    let mut analysis = CallAnalysis::new(rate, lanes.len(), &Settings::default()).unwrap();
    let mut facts = Vec::new();
    analysis.push_audio(0, lanes, &mut facts);
    let summary = analysis.finish(&mut facts);
    (facts, summary)
}

/// Samples in so many seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn samples(seconds: f64) -> usize {
    (seconds * f64::from(RATE)).round() as usize
}

fn silence(seconds: f64) -> Vec<i16> {
    vec![0; samples(seconds)]
}

/// A synthetic voice: a buzz with two formants' worth of harmonics, in syllables of 200 ms.
fn voice(seconds: f64) -> Vec<i16> {
    (0..samples(seconds)).map(|sample| voiced(sample as f64 / f64::from(RATE))).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
fn voiced(second: f64) -> i16 {
    let pitch = 140.0 + 25.0 * (second * 7.0).sin();
    let syllable = (second * std::f64::consts::PI / 0.2).sin().powi(2);
    let tone = |harmonic: u32| {
        let hz = pitch * f64::from(harmonic);
        let formants = 1.0 / (1.0 + ((hz - 600.0) / 200.0).powi(2))
            + 0.6 / (1.0 + ((hz - 1_700.0) / 250.0).powi(2));
        formants * (std::f64::consts::TAU * hz * second).sin()
    };
    (2_500.0 * syllable * (1..18).map(tone).sum::<f64>()) as i16
}

#[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
fn tones(rate: u32, hz: &[f64], amplitude: f64, seconds: f64) -> Vec<i16> {
    let turn = |hz: f64| std::f64::consts::TAU * hz / f64::from(rate);
    let sample = |at: f64| hz.iter().map(|&hz| amplitude * (turn(hz) * at).sin()).sum::<f64>();
    let count = (seconds * f64::from(rate)) as u32;
    (0..count).map(|at| sample(f64::from(at)) as i16).collect()
}

fn joined(parts: &[Vec<i16>]) -> Vec<i16> {
    parts.concat()
}

fn key(digit: char) -> [f64; 2] {
    let keys = ["123A", "456B", "789C", "*0#D"];
    let row = keys.iter().position(|row| row.contains(digit)).unwrap();
    let column = keys[row].find(digit).unwrap();
    [[697.0, 770.0, 852.0, 941.0][row], [1_209.0, 1_336.0, 1_477.0, 1_633.0][column]]
}

/// The conversation of `earhook demo`.
fn demo() -> [Vec<i16>; 2] {
    let wav = include_bytes!("../../../python/earhook/demo/speech.wav");
    let codes = &wav[58..];
    [0, 1].map(|lane| codes.iter().skip(lane).step_by(2).map(|&c| g711::decode_mu(c)).collect())
}

fn spans(facts: &[Fact], name: &str) -> Vec<Span> {
    let named = facts.iter().filter(|fact| fact.name() == name);
    named.map(|fact| Span { start: fact.start(), end: fact.end().unwrap() }).collect()
}

/// Whether a span is where it should be, to 60 ms.
fn is_about(span: Span, from: f64, to: f64) -> bool {
    let near = |is: u64, due: f64| is.abs_diff(samples(due) as u64) <= samples(0.06) as u64;
    near(span.start, from) && near(span.end, to)
}

#[test]
fn only_calls_of_one_or_two_channels_at_telephone_rates_are_listened_to() {
    for (rate, channels) in [(8_000, 0), (8_000, 3), (44_100, 1), (0, 2)] {
        let refused = CallAnalysis::new(rate, channels, &Settings::default()).err();
        assert_eq!(refused, Some(ShapeError { rate, channels }));
    }
}

#[test]
fn a_voice_is_a_span_and_its_pauses_are_part_of_it() {
    let lane = joined(&[silence(1.0), voice(1.2), silence(0.2), voice(0.6), silence(1.0)]);
    let (facts, summary) = listen(&[&lane]);
    let speech = spans(&facts, "speech");
    assert!(speech.len() == 1 && is_about(speech[0], 1.0, 3.0), "{facts:?}");
    assert_eq!(summary.lanes[0].talk_samples, speech[0].samples());
    assert_eq!(summary.lanes[0].spans, 1);
    assert_eq!(summary.samples, lane.len() as u64);
}

#[test]
fn the_demo_is_two_people_who_talk() {
    let [customer, agent] = demo();
    let (facts, summary) = listen(&[&customer, &agent]);
    for lane in &summary.lanes {
        let part = lane.talk_samples as f64 / summary.samples as f64;
        assert!((0.2..0.7).contains(&part), "{part}");
        assert_eq!((lane.digits, lane.tone_samples, lane.music_samples), (0, 0, 0));
    }
    assert!(spans(&facts, "speech").len() > 4);
}

#[test]
fn every_key_is_heard_once_and_never_as_speech() {
    for (rate, on) in [(8_000, 0.04), (8_000, 0.3), (16_000, 0.05)] {
        let digits = "123A456B789C*0#D";
        let mut lane = vec![0; rate as usize];
        for digit in digits.chars() {
            lane.extend(tones(rate, &key(digit), 2_000.0, on));
            lane.extend(tones(rate, &[], 0.0, 0.04));
        }
        let (facts, summary) = listen_at(rate, &[&lane]);
        let heard: String = facts
            .iter()
            .filter_map(
                |fact| if let Fact::Dtmf { digit, .. } = fact { Some(*digit) } else { None },
            )
            .collect();
        assert_eq!(heard, digits, "{rate} Hz, {on} s");
        assert_eq!(summary.lanes[0].talk_samples, 0);
        assert_eq!(summary.lanes[0].digits, 16);
    }
}

#[test]
fn what_q24_says_is_no_key_is_none() {
    let [low, high] = key('5');
    let short = tones(RATE, &[low, high], 2_000.0, 0.023);
    let off_low = tones(RATE, &[low * 1.03, high], 2_000.0, 0.1);
    let off_high = tones(RATE, &[low, high * 0.97], 2_000.0, 0.1);
    let one = tones(RATE, &[low], 2_000.0, 0.1);
    for (name, sound) in [("short", short), ("low", off_low), ("high", off_high), ("one", one)] {
        let (facts, _) = listen(&[&joined(&[silence(0.5), sound, silence(0.5)])]);
        assert!(spans(&facts, "dtmf").is_empty(), "{name}: {facts:?}");
    }
}

#[test]
fn an_interruption_of_10_ms_does_not_make_two_keys_of_one() {
    let tone = || tones(RATE, &key('7'), 2_000.0, 0.06);
    let (facts, _) =
        listen(&[&joined(&[silence(0.5), tone(), silence(0.01), tone(), silence(0.5)])]);
    assert_eq!(spans(&facts, "dtmf").len(), 1, "{facts:?}");
    let (facts, _) =
        listen(&[&joined(&[silence(0.5), tone(), silence(0.04), tone(), silence(0.5)])]);
    assert_eq!(spans(&facts, "dtmf").len(), 2, "{facts:?}");
}

#[test]
fn tones_of_the_network_are_known() {
    let cases: [(&[f64], f64, ToneKind); 8] = [
        (&[440.0, 480.0], 2.0, ToneKind::Ringback),
        (&[400.0, 450.0], 0.4, ToneKind::Ringback),
        (&[425.0], 1.0, ToneKind::Ringback),
        (&[480.0, 620.0], 0.5, ToneKind::Busy),
        (&[425.0], 0.5, ToneKind::Busy),
        (&[350.0, 440.0], 4.0, ToneKind::Dial),
        (&[425.0], 4.0, ToneKind::Dial),
        (&[2_100.0], 3.0, ToneKind::Other),
    ];
    for (hz, seconds, kind) in cases {
        let tone = tones(RATE, hz, 3_000.0, seconds);
        let (facts, summary) = listen(&[&joined(&[silence(1.0), tone, silence(1.0)])]);
        let [Fact::Tone { lane: 0, kind: heard, span }] = facts[..] else {
            panic!("{hz:?} for {seconds} s: {facts:?}");
        };
        assert_eq!(heard, kind, "{hz:?} for {seconds} s");
        assert!(is_about(span, 1.0, 1.0 + seconds), "{hz:?}: {span:?}");
        assert_eq!(summary.lanes[0].talk_samples, 0);
    }
}

#[test]
fn steady_noise_is_silence_and_not_music() {
    let mut state = 1_u32;
    let noise: Vec<i16> = (0..samples(20.0))
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 16
        })
        .collect();
    let (facts, summary) = listen(&[&noise]);
    assert_eq!(facts, []);
    assert_eq!(summary.lanes[0].talk_samples, 0);
}

#[test]
fn who_comes_in_while_the_other_talks_talks_over() {
    // The agent speaks from 1 to 5 s, the customer from 4 to 8 s.
    let customer = joined(&[silence(4.0), voice(4.0), silence(2.0)]);
    let agent = joined(&[silence(1.0), voice(4.0), silence(5.0)]);
    let (facts, summary) = listen(&[&customer, &agent]);
    let [overlap] = spans(&facts, "talk_over")[..] else { panic!("{facts:?}") };
    assert!(is_about(overlap, 4.0, 5.0), "{overlap:?}");
    assert!(facts.contains(&Fact::TalkOver { span: overlap, by: 0 }));
    assert!(facts.contains(&Fact::Interruption { span: overlap, by: 0 }), "{facts:?}");
    assert_eq!(summary.talk_over_samples, overlap.samples());
    assert_eq!([summary.lanes[0].interruptions, summary.lanes[1].interruptions], [1, 0]);
}

#[test]
fn a_word_of_assent_interrupts_nobody() {
    let customer = joined(&[silence(3.0), voice(0.4), silence(6.6)]);
    let agent = joined(&[silence(1.0), voice(6.0), silence(3.0)]);
    let (facts, summary) = listen(&[&customer, &agent]);
    assert_eq!(spans(&facts, "talk_over").len(), 1, "{facts:?}");
    assert!(spans(&facts, "interruption").is_empty(), "{facts:?}");
    assert_eq!(summary.lanes[0].interruptions, 0);
}

#[test]
fn dead_air_is_told_when_it_is_and_when_it_ends() {
    let customer = joined(&[voice(1.0), silence(9.0), voice(1.0)]);
    let agent = silence(11.0);
    let mut analysis = CallAnalysis::new(RATE, 2, &Settings::default()).unwrap();
    let mut facts = Vec::new();
    let early = samples(6.2);
    analysis.push_audio(0, &[&customer[..early], &agent[..early]], &mut facts);
    assert!(matches!(facts.last(), Some(Fact::DeadAir { .. })), "{facts:?}");
    analysis.push_audio(early as u64, &[&customer[early..], &agent[early..]], &mut facts);
    let summary = analysis.finish(&mut facts);
    let [dead] = spans(&facts, "dead_air_ended")[..] else { panic!("{facts:?}") };
    assert!(is_about(dead, 1.0, 10.0), "{dead:?}");
    assert_eq!(summary.longest_dead_air_samples, dead.samples());
}

#[test]
fn dead_air_that_goes_on_counts_up_to_now_and_once() {
    let lane = joined(&[voice(1.0), silence(9.0), voice(1.0), silence(12.0), voice(1.0)]);
    let other = silence(24.0);
    let mut analysis = CallAnalysis::new(RATE, 2, &Settings::default()).unwrap();
    let mut facts = Vec::new();
    let mut until = |seconds: f64| {
        let (from, to) = (analysis.end(), samples(seconds));
        let start = usize::try_from(from).unwrap();
        analysis.push_audio(from, &[&lane[start..to], &other[start..to]], &mut facts);
        let summary = analysis.summary();
        let ended: u64 = spans(&facts, "dead_air_ended").iter().map(Span::samples).sum();
        (summary.dead_air_samples, summary.longest_dead_air_samples, ended)
    };
    assert_eq!(until(3.0), (0, 0, 0)); // it may be a pause
    let (dead, longest, _) = until(7.0);
    assert!(is_about(Span { start: 0, end: dead }, 0.0, 6.0), "{dead}");
    assert_eq!(longest, dead);
    assert_eq!(until(9.0), (dead + 2 * 8_000, dead + 2 * 8_000, 0));
    let (first, longest, ended) = until(10.8);
    assert_eq!((first, longest), (ended, ended)); // over, and counted once
    let (both, longest, _) = until(18.0);
    assert!(both > first && longest == first, "{both} {longest}"); // the second is shorter yet
    let (both, longest, _) = until(22.6);
    assert_eq!(longest, both - first);
    assert!(longest > first);
    let (all, _, ended) = until(24.0);
    assert_eq!(all, ended);
}

#[test]
fn a_pause_of_the_stream_is_no_dead_air_and_no_silence() {
    let quiet = silence(4.0);
    let mut analysis = CallAnalysis::new(RATE, 2, &Settings::default()).unwrap();
    let mut facts = Vec::new();
    analysis.push_audio(0, &[&quiet, &quiet], &mut facts);
    analysis.push_gap(quiet.len() as u64, 80_000, &mut facts);
    analysis.push_audio(quiet.len() as u64 + 80_000, &[&quiet, &quiet], &mut facts);
    let summary = analysis.finish(&mut facts);
    assert_eq!(facts, []);
    assert_eq!(summary.samples, 2 * quiet.len() as u64);
    assert_eq!(summary.lanes[0].samples, summary.samples);
}

#[test]
fn ringing_is_no_dead_air() {
    let burst = tones(RATE, &[440.0, 480.0], 3_000.0, 2.0);
    let ringing = joined(&[burst.clone(), silence(4.0), burst, silence(4.0)]);
    let (facts, _) = listen(&[&ringing, &vec![0; ringing.len()]]);
    assert!(spans(&facts, "dead_air_ended").is_empty(), "{facts:?}");
}

#[test]
fn a_side_without_any_sound_is_one_way_audio_until_it_is_heard() {
    let customer = joined(&[silence(40.0), voice(2.0)]);
    let agent = voice(42.0);
    let (facts, summary) = listen(&[&customer, &agent]);
    let one_way: Vec<&Fact> =
        facts.iter().filter(|fact| fact.name().starts_with("one_way")).collect();
    let [Fact::OneWay { silent: 0, start: 0 }, Fact::OneWayEnded { silent: 0, span }] = one_way[..]
    else {
        panic!("{facts:?}")
    };
    assert!(is_about(*span, 0.0, 40.0), "{span:?}");
    assert_eq!(summary.one_way, Some(0));
}

#[test]
fn levels_are_those_of_the_samples() {
    let tone = tones(RATE, &[1_000.0], 16_384.0, 1.0);
    let shifted: Vec<i16> = tone.iter().map(|sample| sample + 100).collect();
    let (_, summary) = listen(&[&shifted, &vec![0; shifted.len()]]);
    let [loud, quiet] = &summary.lanes[..] else { panic!() };
    assert!((loud.rms_dbfs() - -9.03).abs() < 0.02, "{}", loud.rms_dbfs());
    assert!((loud.peak_dbfs() - -5.97).abs() < 0.02, "{}", loud.peak_dbfs());
    assert!((loud.dc() - 100.0).abs() < 0.5, "{}", loud.dc());
    assert_eq!((quiet.rms_dbfs(), quiet.dc()), (SILENCE_DBFS, 0.0));
}

#[test]
fn what_is_cut_off_at_the_end_of_the_scale_is_clipping() {
    let loud: Vec<i16> = tones(RATE, &[300.0], 60_000.0, 0.5)
        .iter()
        .map(|sample| sample.clamp(&-32_124, &32_124))
        .copied()
        .collect();
    let (facts, summary) = listen(&[&joined(&[silence(0.5), loud, silence(2.0)])]);
    let [span] = spans(&facts, "clipping")[..] else { panic!("{facts:?}") };
    assert!(is_about(span, 0.5, 1.0), "{span:?}");
    assert!(summary.lanes[0].clipped_samples > 2_000, "{summary:?}");
}

/// Sounds of all kinds, a second or so each.
fn sounds() -> impl Strategy<Value = Vec<i16>> {
    prop_oneof![
        (0.1..2.0_f64).prop_map(silence),
        (0.1..2.0_f64).prop_map(voice),
        (0.03..0.5_f64).prop_map(|seconds| tones(RATE, &key('5'), 2_000.0, seconds)),
        (0.1..2.5_f64).prop_map(|seconds| tones(RATE, &[440.0, 480.0], 3_000.0, seconds)),
        (0.1..1.0_f64).prop_map(|seconds| vec![i16::MIN; samples(seconds)]),
        prop::collection::vec(any::<i16>(), 1..4_000),
    ]
}

fn lane() -> impl Strategy<Value = Vec<i16>> {
    prop::collection::vec(sounds(), 1..8).prop_map(|sounds| sounds.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cuts_change_nothing(
        one in lane(), two in lane(), cuts in prop::collection::vec(1..4_000_usize, 1..40),
        gap in 0..30_000_u64,
    ) {
        let end = one.len().min(two.len());
        let middle = end / 2;
        let halves = [0..middle, middle..end];
        let mut found = Vec::new();
        for pieces in [&[usize::MAX][..], &cuts] {
            let mut analysis = CallAnalysis::new(RATE, 2, &Settings::default()).unwrap();
            let (mut facts, mut position, mut cut) = (Vec::new(), 0, 0);
            for half in halves.clone() {
                let mut from = half.start;
                while from < half.end {
                    let to = half.end.min(from.saturating_add(pieces[cut % pieces.len()]));
                    analysis.push_audio(position, &[&one[from..to], &two[from..to]], &mut facts);
                    position += (to - from) as u64;
                    (from, cut) = (to, cut + 1);
                }
                analysis.push_gap(position, gap, &mut facts);
                position += gap;
            }
            let summary = analysis.finish(&mut facts);
            prop_assert_eq!(analysis.end(), position);
            let hole = Span { start: middle as u64, end: middle as u64 + gap };
            for fact in &facts {
                let outside = fact.start() >= hole.end || fact.end().unwrap_or(0) <= hole.start;
                prop_assert!(outside, "{:?} and a gap of {:?}", fact, hole);
            }
            found.push((facts, summary));
        }
        prop_assert_eq!(&found[0], &found[1]);
    }

    #[test]
    fn facts_lie_in_the_call_and_figures_add_up(one in lane(), two in lane()) {
        let end = one.len().min(two.len());
        let (facts, summary) = listen(&[&one[..end], &two[..end]]);
        for fact in &facts {
            let to = fact.end().unwrap_or(end as u64);
            prop_assert!(fact.start() <= to && to <= end as u64, "{:?}", fact);
        }
        for (place, figures) in summary.lanes.iter().enumerate() {
            let own = |fact: &&Fact| matches!(fact, Fact::Speech { lane, .. } if *lane == place);
            let speech: Vec<&Fact> = facts.iter().filter(own).collect();
            let talk: u64 = speech.iter().map(|fact| fact.end().unwrap() - fact.start()).sum();
            prop_assert_eq!(talk, figures.talk_samples);
            prop_assert_eq!(speech.len() as u64, figures.spans);
            prop_assert!(speech.windows(2).all(|two| two[0].end().unwrap() <= two[1].start()));
            prop_assert_eq!(figures.samples, summary.samples);
        }
        prop_assert_eq!(summary.samples, end as u64);
    }

    #[test]
    fn any_pushes_are_borne(
        pushes in prop::collection::vec((0..100_000_u64, 0..500_usize, 0..500_usize, 0..9_000_u64), 1..30)
    ) {
        let noise: Vec<i16> = (i16::MIN..i16::MAX).step_by(131).collect();
        let mut analysis = CallAnalysis::new(16_000, 2, &Settings::default()).unwrap();
        let mut facts = Vec::new();
        for (position, one, two, gap) in pushes {
            let before = analysis.end();
            analysis.push_audio(position, &[&noise[..one], &noise[..two]], &mut facts);
            analysis.push_gap(position, gap, &mut facts);
            prop_assert!(analysis.end() >= before);
        }
        analysis.push_audio(0, &[&noise], &mut facts);
        analysis.push_gap(u64::MAX, u64::MAX, &mut facts);
        analysis.finish(&mut facts);
    }
}
