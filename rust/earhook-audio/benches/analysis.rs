//! What listening to a frame costs, beside decoding it. A frame is 200 ms of stereo at 8 kHz, as
//! Genesys Cloud sends it.

#![allow(clippy::expect_used)]

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use earhook_audio::analysis::{CallAnalysis, Settings};
use earhook_audio::{Codec, Decoder};

/// Samples of a frame, per channel.
const FRAME: usize = 1_600;

fn listen(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("listen");
    group.throughput(Throughput::Elements(1));
    for (name, lanes) in calls() {
        group.bench_function(name, |bencher| {
            let mut analysis =
                CallAnalysis::new(8_000, 2, &Settings::default()).expect("a stereo call");
            let (mut facts, mut position, frames) = (Vec::new(), 0, lanes[0].len() / FRAME);
            bencher.iter(|| {
                let from = (position as usize / FRAME % frames) * FRAME;
                let frame: [&[i16]; 2] = [0, 1].map(|lane| &lanes[lane][from..from + FRAME]);
                analysis.push_audio(position, black_box(&frame), &mut facts);
                position += FRAME as u64;
                facts.clear();
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let decoder = Decoder::new(Codec::Pcmu, 2).expect("a stereo format");
    let payload: Vec<u8> = (0..FRAME * 2).map(|byte| (byte * 37 % 251) as u8).collect();
    let (mut first, mut second) = (vec![0; FRAME], vec![0; FRAME]);
    criterion.bench_function("decode the same", |bencher| {
        bencher.iter(|| {
            decoder.decode_planar(black_box(&payload), &mut [&mut first[..], &mut second[..]])
        });
    });
}

/// Calls of half a minute: what they sound like, and their lanes.
fn calls() -> [(&'static str, [Vec<i16>; 2]); 3] {
    let [customer, agent] = demo();
    let quiet = vec![0; customer.len()];
    let both: Vec<i16> =
        customer.iter().zip(&agent).map(|(&one, &two)| one.saturating_add(two)).collect();
    [
        ("a quiet line", [quiet.clone(), quiet]),
        ("two who take turns", [customer, agent]),
        ("two at once", [both.clone(), both]),
    ]
}

/// The conversation of `earhook demo`, in whole frames.
fn demo() -> [Vec<i16>; 2] {
    let wav = include_bytes!("../../../python/earhook/demo/speech.wav");
    let codes = &wav[WAV_HEAD_BYTES..];
    let groups = codes.len() / 2 / FRAME * FRAME;
    let (mut first, mut second) = (vec![0; groups], vec![0; groups]);
    Decoder::new(Codec::Pcmu, 2)
        .and_then(|decoder| {
            decoder.decode_planar(&codes[..groups * 2], &mut [&mut first[..], &mut second[..]])
        })
        .expect("stereo mu-law");
    [first, second]
}

/// Of a file of mu-law.
const WAV_HEAD_BYTES: usize = 58;

criterion_group!(benches, listen, decode);
criterion_main!(benches);
