//! Rate conversion: its filter, its count of samples, its place in time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod common;

use common::{noise, signal_to_noise_db};
use earhook_audio::resample::{RateError, Resampler, FROM_HZ, TO_HZ};
use proptest::prelude::*;

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    FROM_HZ.into_iter().flat_map(|from| TO_HZ.map(|to| (from, to)))
}

fn sine(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
    let turn = std::f64::consts::TAU * hz / f64::from(rate);
    #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
    let sample = |index: usize| (AMPLITUDE * (turn * index as f64).sin()).round() as i16;
    (0..samples).map(sample).collect()
}

const AMPLITUDE: f64 = 30_000.0;

fn convert(from: u32, to: u32, samples: &[i16]) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to).unwrap();
    let mut out = Vec::new();
    resampler.push(samples.iter().copied(), &mut out);
    resampler.finish(&mut out);
    out
}

/// The middle of a signal, away from its sudden beginning and end.
fn middle(samples: &[i16]) -> &[i16] {
    &samples[samples.len() / 4..samples.len() * 3 / 4]
}

/// How loud what is at a frequency is.
fn gain_db(hz: f64, rate: u32, samples: &[i16]) -> f64 {
    let turn = std::f64::consts::TAU * hz / f64::from(rate);
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (index, &sample) in samples.iter().enumerate() {
        let (sine, cosine) = (turn * index as f64).sin_cos();
        real += f64::from(sample) * cosine;
        imaginary += f64::from(sample) * sine;
    }
    20.0 * real.hypot(imaginary).log10()
}

fn level_db(samples: &[i16]) -> f64 {
    let power: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let loudest = AMPLITUDE.powi(2) / 2.0;
    10.0 * (power / samples.len() as f64 / loudest).log10()
}

#[test]
fn up_to_nine_tenths_of_the_band_all_is_passed_as_it_is_and_where_it_is() {
    let mut worst = (0.0_f64, f64::INFINITY);
    for (from, to) in pairs() {
        let nyquist = f64::from(from.min(to)) / 2.0;
        for hz in [50.0, 300.0, 1_000.0, nyquist * 0.5, nyquist * 0.8, nyquist * 0.9] {
            let out = convert(from, to, &sine(hz, from, from as usize / 4));
            let ideal = sine(hz, to, out.len());
            let (ideal, out) = (middle(&ideal), middle(&out));
            let gain = gain_db(hz, to, out) - gain_db(hz, to, ideal);
            assert!(gain.abs() < 0.01, "{from} -> {to}, {hz} Hz: {gain:.4} dB");
            // With the ideal at the same place: the delay is none, and nothing is added.
            let purity = signal_to_noise_db(ideal, out);
            assert!(purity > 75.0, "{from} -> {to}, {hz} Hz: {purity:.1} dB");
            worst = (worst.0.max(gain.abs()), worst.1.min(purity));
        }
    }
    println!("ripple at most {:.4} dB, error at least {:.1} dB down", worst.0, worst.1);
}

#[test]
fn what_would_alias_is_80_db_down() {
    let mut worst = f64::NEG_INFINITY;
    for (from, to) in pairs().filter(|(from, to)| from > to) {
        let (nyquist, highest) = (f64::from(to) / 2.0, f64::from(from) / 2.0);
        let steps = (0..12).map(|step| nyquist + (highest - nyquist) * f64::from(step) / 12.0);
        for hz in steps {
            let out = convert(from, to, &sine(hz + 1.0, from, from as usize / 4));
            let level = level_db(middle(&out));
            assert!(level < -80.0, "{from} -> {to}, {hz} Hz: {level:.1} dB");
            worst = worst.max(level);
        }
    }
    println!("stopband at most {worst:.1} dB");
}

#[test]
fn a_constant_stays_one() {
    for (from, to) in pairs() {
        let out = convert(from, to, &vec![12_345; from as usize / 10]);
        assert!(middle(&out).iter().all(|&sample| sample == 12_345), "{from} -> {to}");
    }
}

#[test]
fn what_is_too_loud_becomes_the_loudest() {
    // A filter overshoots at the edges of a square.
    let square: Vec<i16> =
        (0..6_000).map(|at| if at / 600 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let out = convert(48_000, 8_000, &square);
    assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
    // No sample of the inner halves has turned over.
    for (index, period) in out.chunks_exact(200).enumerate() {
        assert!(period[25..75].iter().all(|&sample| sample > 28_000), "{index}");
        assert!(period[125..175].iter().all(|&sample| sample < -28_000), "{index}");
    }
}

#[test]
fn equal_rates_pass_through_at_once() {
    let samples = sine(440.0, 8_000, 160);
    let mut resampler = Resampler::new(8_000, 8_000).unwrap();
    let mut out = vec![];
    assert_eq!(resampler.lookahead(), 0);
    assert_eq!(resampler.push(samples.iter().copied(), &mut out), 160);
    assert_eq!(resampler.finish(&mut out), 0);
    assert_eq!(out, samples);
}

#[test]
fn little_waits_for_what_follows() {
    for (from, to) in pairs().filter(|(from, to)| from != to) {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        let taken = resampler.push(sine(440.0, from, from as usize / 5), &mut out);
        let due = resampler.finish(&mut out);
        assert_eq!(taken + due, to as usize / 5);
        let seconds = due as f64 / f64::from(to);
        assert!(seconds < 0.008, "{from} -> {to}: {:.1} ms", seconds * 1e3);
    }
}

#[test]
fn other_rates_are_refused() {
    for (from_hz, to_hz) in
        [(0, 8_000), (8_000, 0), (48_000, 44_100), (96_000, 8_000), (7_999, 8_000)]
    {
        assert_eq!(Resampler::new(from_hz, to_hz).err(), Some(RateError { from_hz, to_hz }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_cut_gives_the_same_samples_and_the_law_of_their_count(
        pair in 0..FROM_HZ.len() * TO_HZ.len(),
        seed: u64,
        cuts in prop::collection::vec(0_usize..2_000, 0..6),
    ) {
        let (from, to) = pairs().nth(pair).unwrap();
        let total: usize = cuts.iter().sum();
        let mut next = noise(seed);
        let samples: Vec<i16> =
            (0..total).map(|_| i16::from_ne_bytes(next().to_ne_bytes()[..2].try_into().unwrap())).collect();
        let whole = convert(from, to, &samples);
        prop_assert_eq!(whole.len(), (total * to as usize).div_ceil(from as usize));

        let mut resampler = Resampler::new(from, to).unwrap();
        // Twice: a finished one is as new.
        for _ in 0..2 {
            let (mut out, mut left) = (Vec::new(), samples.as_slice());
            let mut taken = 0;
            for &cut in &cuts {
                let (piece, rest) = left.split_at(cut);
                left = rest;
                taken += resampler.push(piece.iter().copied(), &mut out);
                prop_assert_eq!(out.len(), taken);
            }
            taken += resampler.finish(&mut out);
            prop_assert_eq!(out.len(), taken);
            prop_assert_eq!(&out, &whole);
        }
    }
}
