//! The analysis of a human voice, clean and in noise, and of a machine's. `just bench-signal` has the
//! figures of more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

use earhook_audio::analysis::{CallAnalysis, Fact, Settings};
use earhook_audio::{Codec, Decoder};

const RATE: u32 = 8_000;
const BLOCK: usize = 160;
/// Pauses of so many blocks are part of what is said.
const PAUSE_BLOCKS: usize = 10;

/// Prompts at 20 dB below full scale, with pauses of digital silence between them.
fn prompts() -> Vec<i16> {
    let bytes = include_bytes!("data/prompts.l16");
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Where somebody speaks: less than 25 dB below the level of speech.
fn truth(clean: &[i16]) -> Vec<bool> {
    let least = 3_277.0 * 10.0_f64.powf(-25.0 / 20.0);
    let mut truth: Vec<bool> = clean.chunks_exact(BLOCK).map(|block| rms(block) > least).collect();
    let spoken: Vec<usize> = (0..truth.len()).filter(|&block| truth[block]).collect();
    for pair in spoken.windows(2) {
        if pair[1] - pair[0] <= PAUSE_BLOCKS + 1 {
            truth[pair[0]..pair[1]].fill(true);
        }
    }
    truth
}

fn rms(block: &[i16]) -> f64 {
    (block.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / block.len() as f64).sqrt()
}

/// White noise on top, the sum of four even ones each.
fn noisy(clean: &[i16], snr_db: f64) -> Vec<i16> {
    let amplitude = 3_277.0 * 10.0_f64.powf(-snr_db / 20.0) * 3.0_f64.sqrt() / 2.0;
    let mut state = 7_u32;
    let mut even = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    clean
        .iter()
        .map(|&sample| {
            let noise = amplitude * (even() + even() + even() + even());
            #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
            let sum = (f64::from(sample) + noise) as i16;
            sum
        })
        .collect()
}

fn f1(sound: &[i16], truth: &[bool]) -> f64 {
    let mut analysis = CallAnalysis::new(RATE, 1, &Settings::default()).unwrap();
    let mut facts = Vec::new();
    analysis.push_audio(0, &[sound], &mut facts);
    analysis.finish(&mut facts);
    let is_spoken = |block: usize| {
        let middle = (block * BLOCK + BLOCK / 2) as u64;
        facts.iter().any(|fact| {
            matches!(fact, Fact::Speech { span, .. } if (span.start..span.end).contains(&middle))
        })
    };
    let found: Vec<bool> = (0..truth.len()).map(is_spoken).collect();
    let both = found.iter().zip(truth).filter(|(found, truth)| **found && **truth).count();
    let either = [&found[..], truth].map(|blocks| blocks.iter().filter(|&&block| block).count());
    2.0 * both as f64 / (either[0] + either[1]) as f64
}

#[test]
fn a_voice_is_found_clean_and_in_noise() {
    let clean = prompts();
    let truth = truth(&clean);
    for (snr_db, least) in [(60.0, 0.94), (20.0, 0.94), (10.0, 0.92), (5.0, 0.9)] {
        let found = f1(&noisy(&clean, snr_db), &truth);
        println!("{snr_db} dB: F1 {found:.3}");
        assert!(found > least, "{snr_db} dB: {found:.3}");
    }
}

#[test]
fn a_voice_is_no_key_no_tone_and_no_music() {
    let mut analysis = CallAnalysis::new(RATE, 1, &Settings::default()).unwrap();
    let mut facts = Vec::new();
    analysis.push_audio(0, &[&prompts()], &mut facts);
    analysis.finish(&mut facts);
    assert!(facts.iter().all(|fact| matches!(fact, Fact::Speech { .. })), "{facts:?}");
}

/// Its words are of one loudness, so only its pauses tell it from a tune.
#[test]
fn a_machine_that_speaks_is_no_music_and_interrupts_nobody() {
    let lanes = conversation();
    // Music is looked for once a second, from wherever the call began.
    for cut in (0..8_000).step_by(1_600) {
        let mut analysis = CallAnalysis::new(RATE, 2, &Settings::default()).unwrap();
        let mut facts = Vec::new();
        analysis.push_audio(0, &[&lanes[0][cut..], &lanes[1][cut..]], &mut facts);
        analysis.finish(&mut facts);
        let is_expected = |fact: &Fact| {
            matches!(fact, Fact::Speech { .. } | Fact::TalkOver { .. } | Fact::DeadAir { .. })
        };
        assert!(facts.iter().all(is_expected), "{cut}: {facts:?}");
    }
}

/// Two synthetic voices that take turns, some of which touch.
fn conversation() -> [Vec<i16>; 2] {
    let file = include_bytes!("../../../python/earhook/demo/speech.wav");
    let codes = &file[58..];
    let mut lanes = [vec![0; codes.len() / 2], vec![0; codes.len() / 2]];
    let [first, second] = &mut lanes;
    Decoder::new(Codec::Pcmu, 2).unwrap().decode_planar(codes, &mut [first, second]).unwrap();
    lanes
}
