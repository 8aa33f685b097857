//! How fast payloads become samples. Throughput is in bytes of payload.

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use earhook_audio::{g711, Codec, Decoder, Level};

/// 200 ms of stereo as Genesys sends it, and 20 ms of it.
const PAYLOAD_BYTES: [usize; 2] = [3_200, 320];

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::L16Le] {
        for (channels, name) in [(1, "mono"), (2, "stereo")] {
            let Ok(decoder) = Decoder::new(codec, channels) else { continue };
            for bytes in PAYLOAD_BYTES {
                let payload = noise(bytes);
                let (mut first, mut second) = (vec![0; bytes], vec![0; bytes]);
                group.throughput(Throughput::Bytes(bytes as u64));
                group.bench_function(
                    BenchmarkId::new(format!("{codec}/{name}"), bytes),
                    |bencher| {
                        bencher.iter(|| {
                            let lanes: &mut [&mut [i16]] = &mut [&mut first, &mut second];
                            decoder.decode_planar(
                                black_box(&payload),
                                black_box(&mut lanes[..channels]),
                            )
                        });
                    },
                );
            }
        }
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let samples: Vec<i16> =
        noise(3_200).chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut codes = vec![0; samples.len()];
    for law in [g711::Law::Mu, g711::Law::A] {
        group.throughput(Throughput::Bytes(samples.len() as u64));
        group.bench_function(format!("{law:?}"), |bencher| {
            bencher.iter(|| g711::encode(law, black_box(&samples), black_box(&mut codes)));
        });
    }
    group.finish();
}

fn meter(criterion: &mut Criterion) {
    let samples: Vec<i16> = noise(3_200).into_iter().map(g711::decode_mu).collect();
    let mut group = criterion.benchmark_group("meter");
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("level", |bencher| bencher.iter(|| Level::of(black_box(&samples))));
    group.finish();
}

/// Bytes without a pattern that a branch predictor could learn; the same in every run.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

criterion_group!(benches, decode, encode, meter);
criterion_main!(benches);
