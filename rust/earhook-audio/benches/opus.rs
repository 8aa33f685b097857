//! What 20 ms of compressed or faster audio cost. Times are per 20 ms of one stream.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{criterion_group, criterion_main, Criterion};
use earhook_audio::ogg::OggReader;
use earhook_audio::opus::{packet_samples, OpusDecoder};
use earhook_audio::resample::Resampler;

const FILES: [(&str, usize, &[u8]); 2] = [
    ("speech mono, 16 kbit/s", 1, include_bytes!("../tests/data/mono.opus")),
    ("speech stereo, 40 kbit/s", 2, include_bytes!("../tests/data/stereo.opus")),
];
const GRAIN_SAMPLES: usize = 960;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("opus");
    for (name, channels, file) in FILES {
        let packets = packets_of(file);
        let Ok(mut decoder) = OpusDecoder::new(channels) else { continue };
        let mut out = Vec::new();
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter_custom(|rounds| {
                per_grain(rounds, &packets, |packet| {
                    out.clear();
                    let _ = decoder.decode(black_box(packet), &mut out);
                    black_box(&out);
                })
            });
        });
        group.bench_function(format!("conceal/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                decoder.conceal(GRAIN_SAMPLES, black_box(&mut out));
            });
        });
    }
    group.finish();
}

/// Decodes the whole stream as often as needed, and scales to `rounds` times 20 ms.
fn per_grain(rounds: u64, packets: &[Vec<u8>], mut decode: impl FnMut(&[u8])) -> Duration {
    let samples: usize = packets.iter().filter_map(|packet| packet_samples(packet).ok()).sum();
    let grains = samples as f64 / GRAIN_SAMPLES as f64;
    let passes = (rounds as f64 / grains).ceil();
    let begin = Instant::now();
    let mut pass = 0.0;
    while pass < passes {
        packets.iter().for_each(|packet| decode(packet));
        pass += 1.0;
    }
    begin.elapsed().mul_f64(rounds as f64 / (passes * grains))
}

fn packets_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut sink = |item: earhook_audio::ogg::OggItem<'_>| {
        if let earhook_audio::ogg::OggItem::Packet { packet, .. } = item {
            packets.push(packet.to_vec());
        }
    };
    let _ = OggReader::new().feed(file, &mut sink);
    packets
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ogg");
    for (name, _, file) in FILES {
        group.bench_function(format!("read 1.5 s/{name}"), |bencher| {
            bencher.iter(|| {
                let mut packets = 0;
                let _ = OggReader::new().feed(black_box(file), &mut |_| packets += 1);
                packets
            });
        });
    }
    group.finish();
}

fn resample(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample");
    for (from, to) in [(48_000, 8_000), (48_000, 16_000), (44_100, 16_000), (8_000, 16_000)] {
        let Ok(mut resampler) = Resampler::new(from, to) else { continue };
        let samples: Vec<i16> = (0..i16::try_from(from / 50).unwrap_or(0)).collect();
        let mut out = Vec::new();
        group.bench_function(format!("{from} to {to}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                resampler.push(black_box(&samples).iter().copied(), &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, read, resample);
criterion_main!(benches);
