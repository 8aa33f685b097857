//! What listening to a frame costs, beside decoding it and writing it into a ring. A frame is
//! 200 ms of stereo at 8 kHz, as Genesys Cloud sends it.

#![allow(clippy::expect_used)]

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use earhook_audio::analysis::{CallAnalysis, Settings};
use earhook_audio::{Codec, Decoder};
use earhook_ring::{Budget, Ring, RingShape};

/// Samples of a frame, per channel.
const FRAME: usize = 1_600;

fn listen(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("listen");
    group.throughput(Throughput::Elements(1));
    for (name, lanes) in calls() {
        group.bench_function(name, |bencher| {
            let mut analysis =
                CallAnalysis::new(8_000, 2, &Settings::default()).expect("a stereo call");
            let mut frames = (0..lanes[0].len()).step_by(FRAME).cycle();
            let mut facts = Vec::new();
            bencher.iter(|| {
                let from = frames.next().unwrap_or(0);
                let frame = [0, 1].map(|lane: usize| &lanes[lane][from..from + FRAME]);
                analysis.push_audio(analysis.end(), black_box(&frame), &mut facts);
                facts.clear();
            });
        });
    }
    group.finish();
}

fn decode_and_ring(criterion: &mut Criterion) {
    let decoder = Decoder::new(Codec::Pcmu, 2).expect("a stereo format");
    let payload: Vec<u8> = (0..=250).cycle().take(FRAME * 2).collect();
    let shape = RingShape { channels: vec![0, 1], capacity_samples: 16_000 };
    let ring = Ring::new(&Budget::new(u64::MAX), &shape).expect("an endless budget");
    let (mut first, mut second) = ([0; FRAME], [0; FRAME]);
    criterion.bench_function("decode the same and write it into a ring", |bencher| {
        bencher.iter(|| {
            let planar: &mut [&mut [i16]] = &mut [&mut first, &mut second];
            decoder.decode_planar(black_box(&payload), planar).expect("whole groups");
            let (_, news) = ring.write(&[&first, &second]).expect("a stereo frame");
            news.announce();
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

criterion_group!(benches, listen, decode_and_ring);
criterion_main!(benches);
