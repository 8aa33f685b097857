//! Laws of the envelope of a call: no cut changes it, nothing is missed or counted twice, and it is
//! bounded.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use earhook_audio::analysis::{CallAnalysis, Loud, Settings, Span, Stretch};
use proptest::collection::vec;
use proptest::prelude::*;

const RATE: u32 = 8_000;
const STEP: usize = 800;
const MOST: usize = 768;
const FINE: usize = 256;

fn analysis(channels: usize) -> CallAnalysis {
    CallAnalysis::new(RATE, channels, &Settings::default()).unwrap()
}

fn size(samples: u64) -> usize {
    usize::try_from(samples).unwrap()
}

/// Twice the dBFS plus 255.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 8 bits")]
fn half_decibels(value: f64) -> u8 {
    (255.0 + 40.0 * (value / 32_768.0).log10()).round().max(1.0) as u8
}

/// Whether two levels are the same to one of their steps.
fn is_near(one: u8, two: u8) -> bool {
    one.abs_diff(two) <= 1
}

fn rms_of(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// What there is of a call: so many samples of audio, or none.
#[derive(Clone, Debug)]
struct Piece {
    is_gap: bool,
    samples: usize,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = (any::<bool>(), 1..4_000_usize);
    let piece = piece.prop_map(|(is_gap, samples)| Piece { is_gap, samples });
    let pause = (1..400_000_usize).prop_map(|samples| Piece { is_gap: true, samples });
    vec(prop_oneof![9 => piece, 1 => pause], 1..20)
}

/// Takes a call in any cuts; gives the envelope after each of them as far as it was not known.
fn told(pieces: &[Piece], lanes: &[Vec<i16>; 2], cuts: &[usize]) -> (CallAnalysis, Vec<Stretch>) {
    let (mut analysis, mut facts, mut told) = (analysis(2), Vec::new(), Vec::new());
    let (mut position, mut known, mut cuts) = (0, 0, cuts.iter().copied().cycle());
    for piece in pieces {
        let end = position + piece.samples;
        while position < end {
            let to = end.min(position.saturating_add(cuts.next().unwrap_or(usize::MAX)));
            if piece.is_gap {
                analysis.push_gap(position as u64, (to - position) as u64, &mut facts);
            } else {
                let cut = [&lanes[0][position..to], &lanes[1][position..to]];
                analysis.push_audio(position as u64, &cut, &mut facts);
            }
            position = to;
            told.push(analysis.envelope(known));
            known = told.last().unwrap().span.end;
        }
    }
    analysis.finish(&mut facts);
    told.push(analysis.envelope(known));
    (analysis, told)
}

/// What a page has that puts each piece where it belongs, in place of what was there: the point of
/// every tenth sample.
fn put_together(told: &[Stretch]) -> Vec<Option<[Loud; 2]>> {
    let mut found = Vec::new();
    for Stretch { step, span, points } in told {
        let [start, end, step] = [span.start, span.end, *step].map(size);
        assert!(points.is_empty() || start / 10 <= found.len(), "a hole before {start}");
        found.truncate(start.div_ceil(10));
        found.extend(
            (start.next_multiple_of(10)..end).step_by(10).map(|at| points[(at - start) / step]),
        );
    }
    found
}

fn loudest(points: &[Option<[Loud; 2]>]) -> Option<[u8; 2]> {
    let peaks = points.iter().flatten().map(|point| point.map(|loud| loud.peak));
    peaks.reduce(|one, two| [one[0].max(two[0]), one[1].max(two[1])])
}

#[test]
fn a_point_is_a_tenth_of_a_second_and_the_last_one_as_far_as_it_goes() {
    let (mut analysis, mut facts) = (analysis(2), Vec::new());
    analysis.push_audio(0, &[&[-3_277; 1_000], &[328; 1_000]], &mut facts);
    analysis.push_gap(1_000, 1_400, &mut facts);
    analysis.push_audio(2_400, &[&[0; 170], &[0; 170]], &mut facts);
    let loud = [Loud { peak: 215, rms: 215 }, Loud { peak: 175, rms: 175 }];
    let silent = [Loud::default(); 2];
    let points = vec![Some(loud), Some(loud), None, Some(silent)];
    // Ten samples are no block yet.
    let all = Stretch { step: 800, span: Span { start: 0, end: 2_560 }, points };
    assert_eq!(analysis.envelope(0), all);
    let rest = Stretch { span: Span { start: 1_600, end: 2_560 }, ..all };
    let rest = Stretch { points: vec![None, Some(silent)], ..rest };
    assert_eq!(analysis.envelope(1_600), rest);
    assert_eq!(analysis.envelope(2_399), rest);
    assert_eq!(analysis.envelope(2_559).points, [Some(silent)]);
    for known in [2_560, 1 << 40, u64::MAX] {
        assert_eq!(analysis.envelope(known).points, []);
    }
}

#[test]
fn one_lane_will_do() {
    let mut analysis = CallAnalysis::new(16_000, 1, &Settings::default()).unwrap();
    analysis.push_audio(0, &[&[i16::MIN; 1_600]], &mut Vec::new());
    let stretch = analysis.envelope(0);
    let loud = [Loud { peak: 255, rms: 255 }, Loud::default()];
    assert_eq!((stretch.step, stretch.points), (1_600, vec![Some(loud)]));
}

#[test]
fn an_eternity_of_nothing_is_bounded() {
    for gap in [RATE as u64 * 3_600 * 8, 1 << 60, u64::MAX] {
        let (mut analysis, mut facts) = (analysis(2), Vec::new());
        analysis.push_audio(0, &[&[700; STEP], &[7; STEP]], &mut facts);
        analysis.push_gap(STEP as u64, gap, &mut facts);
        let stretch = analysis.envelope(0);
        assert!((MOST / 2..=MOST).contains(&stretch.points.len()), "{}", stretch.points.len());
        let [first, second] = stretch.points[0].unwrap();
        assert_eq!((first, second.peak), (Loud { peak: 188, rms: 188 }, 108));
        assert!(stretch.points[1..].iter().all(Option::is_none));
        assert_eq!(stretch.span.end, gap.saturating_add(STEP as u64));
    }
}

#[test]
fn a_long_call_is_coarser_and_as_loud() {
    let lane: Vec<i16> = (0..2_500).flat_map(|tenth| [tenth * 13 % 9_000; STEP]).collect();
    let (mut analysis, mut facts) = (analysis(2), Vec::new());
    analysis.push_audio(0, &[&lane, &lane], &mut facts);
    let stretch = analysis.envelope(0);
    assert_eq!(stretch.step, 4 * STEP as u64);
    assert_eq!(stretch.points.len(), 625);
    for (point, samples) in stretch.points.iter().zip(lane.chunks(4 * STEP)) {
        let [loud, _] = point.unwrap();
        assert_eq!(loud.peak, half_decibels(f64::from(*samples.iter().max().unwrap())));
        assert!(is_near(loud.rms, half_decibels(rms_of(samples))), "{loud:?}");
    }
}

#[test]
fn whoever_follows_a_long_call_closely_has_fine_points() {
    let (mut analysis, mut facts) = (analysis(1), Vec::new());
    analysis.push_gap(0, (9 * MOST * STEP) as u64, &mut facts);
    let mut known = analysis.envelope(0).span.end;
    let mut heard = Vec::new();
    for turn in 0..3 * FINE {
        let start = known;
        if turn % 100 == 99 {
            analysis.push_gap(start, (FINE * STEP - 700) as u64, &mut facts);
        } else {
            analysis.push_audio(start, &[&[500; 1_440]], &mut facts);
            heard.push(start..analysis.end());
        }
        let news = analysis.envelope(known);
        assert_eq!((news.step, news.span.start), (STEP as u64, known / 800 * 800));
        for (place, point) in (0..).zip(&news.points) {
            let start = news.span.start + place * news.step;
            let end = news.span.end.min(start + news.step);
            let is_heard = heard.iter().any(|heard| heard.start < end && start < heard.end);
            assert_eq!(point.is_some(), is_heard);
        }
        known = news.span.end;
    }
    let late = known - ((FINE + 1) * STEP) as u64;
    let missed = analysis.envelope(late);
    assert_eq!(
        (missed.step, missed.span.start),
        (16 * STEP as u64, late / missed.step * missed.step)
    );
}

#[test]
fn half_a_point_counts_as_half() {
    let (mut analysis, mut facts) = (analysis(1), Vec::new());
    analysis.push_audio(0, &[&[8_000; 160]], &mut facts);
    analysis.push_gap(160, STEP as u64 - 160, &mut facts);
    analysis.push_audio(STEP as u64, &[&[0; STEP]], &mut facts);
    analysis.push_gap(2 * STEP as u64, (MOST * STEP) as u64, &mut facts);
    let [loud, _] = analysis.envelope(0).points[0].unwrap();
    let heard = [&[8_000; 160][..], &[0; STEP][..]].concat();
    assert_eq!(loud, Loud { peak: half_decibels(8_000.0), rms: half_decibels(rms_of(&heard)) });
}

proptest! {
    #[test]
    fn no_cut_changes_it_and_whoever_follows_it_has_all_of_it(
        pieces in pieces(),
        wave in vec(any::<i16>(), 1..400),
        cuts in vec(1..5_000_usize, 1..9),
    ) {
        let samples: usize = pieces.iter().map(|piece| piece.samples).sum();
        let lane: Vec<i16> = wave.iter().copied().cycle().take(samples).collect();
        let quiet = lane.iter().map(|sample| sample >> 4).collect();
        let lanes = [lane, quiet];
        let (whole, _) = told(&pieces, &lanes, &[usize::MAX]);
        let (cut, parts) = told(&pieces, &lanes, &cuts);
        let all = cut.envelope(0);
        prop_assert_eq!(&all, &whole.envelope(0));
        prop_assert_eq!(all.span, Span { start: 0, end: samples as u64 });
        // What was told while the call was short is finer, and says the same.
        let found = put_together(&parts);
        prop_assert_eq!(found.len(), samples.div_ceil(10));
        for (point, finer) in all.points.iter().zip(found.chunks(size(all.step) / 10)) {
            prop_assert_eq!(loudest(&[*point]), loudest(finer));
        }
        if all.step == STEP as u64 {
            prop_assert_eq!(found, put_together(&[all]));
        }
    }

    #[test]
    fn what_has_audio_is_no_gap_and_what_has_none_is_one(pieces in pieces()) {
        let samples: usize = pieces.iter().map(|piece| piece.samples).sum();
        let lanes = [vec![1_000; samples], vec![-50; samples]];
        let (analysis, _) = told(&pieces, &lanes, &[usize::MAX]);
        let heard: Vec<bool> =
            pieces.iter().flat_map(|piece| vec![!piece.is_gap; piece.samples]).collect();
        let points = analysis.envelope(0).points;
        let step = size(analysis.envelope(0).step);
        prop_assert_eq!(points.len(), samples.div_ceil(step));
        for (point, heard) in points.iter().zip(heard.chunks(step)) {
            prop_assert_eq!(point.is_some(), heard.contains(&true));
            let Some([loud, quiet]) = point else { continue };
            prop_assert_eq!((loud.peak, quiet.peak), (194, 142));
            prop_assert!(is_near(loud.rms, 194) && is_near(quiet.rms, 142));
        }
    }

    #[test]
    fn every_point_is_as_loud_as_its_samples(
        wave in vec(any::<i16>(), 1..400),
        shift in 0..12_u32,
        tenths in 1..6_usize,
    ) {
        let wave = wave.iter().map(|sample| sample >> shift);
        let lane: Vec<i16> = wave.collect::<Vec<_>>().into_iter().cycle().take(tenths * STEP).collect();
        let mut analysis = analysis(2);
        analysis.push_audio(0, &[&lane, &lane], &mut Vec::new());
        for (point, samples) in analysis.envelope(0).points.iter().zip(lane.chunks(STEP)) {
            let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            let [one, other] = point.unwrap();
            prop_assert_eq!(one, other);
            prop_assert_eq!(one.peak, if peak == 0 { 0 } else { half_decibels(f64::from(peak)) });
            prop_assert!(peak == 0 || is_near(one.rms, half_decibels(rms_of(samples))));
        }
    }
}
