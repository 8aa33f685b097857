//! What 20 ms of a call cost on their way from a body to samples at 8 kHz.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{criterion_group, criterion_main, Criterion};
use earhook_intake::{Destination, EncryptionKeys, Format, Intake, WireCodec};
use opus_pure::{Application, OpusEncoder};

struct Nowhere;

impl Destination for Nowhere {
    fn audio(&mut self, lanes: &[Vec<i16>]) {
        black_box(lanes);
    }

    fn missing(&mut self, _samples: u64) {}
}

fn bodies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("20 ms");
    for (name, channels, wire_rate) in
        [("PCMU", 2, 8_000), ("L16BE", 2, 8_000), ("L16BE", 2, 16_000), ("L16BE", 1, 48_000)]
    {
        let codec = WireCodec::from_name(name).unwrap();
        let group_bytes = if name == "PCMU" { channels } else { 2 * channels };
        let chunk = noise(wire_rate as usize / 50 * group_bytes);
        let mut intake = open(codec, channels, wire_rate);
        intake.begin(None);
        group.bench_function(format!("{name} x{channels} {wire_rate}"), |bench| {
            bench.iter(|| intake.push(&chunk, &mut Nowhere));
        });
    }
    for channels in [1, 2] {
        let packets = speech_like_packets(channels);
        let mut intake = open(WireCodec::Opus, channels, 48_000);
        intake.begin(None);
        let mut turn = packets.iter().cycle();
        group.bench_function(format!("OPUS x{channels}"), |bench| {
            bench.iter(|| intake.push(turn.next().unwrap(), &mut Nowhere));
        });
    }
    group.finish();
}

/// A header alone: deriving the keys of a body is what each encrypted block costs at least.
fn headers(criterion: &mut Criterion) {
    let keys = HashMap::from([(b"key".to_vec(), noise(16).into())]);
    let keys = Arc::new(EncryptionKeys::new(keys, 65_536));
    let header = [&noise(16)[..], &4_096_u32.to_be_bytes(), b"\x03key"].concat();
    let mut intake = open(WireCodec::from_name("PCMU").unwrap(), 2, 8_000);
    criterion.bench_function("aes128gcm header", |bench| {
        bench.iter(|| {
            intake.begin(Some(Arc::clone(&keys)));
            intake.push(&header, &mut Nowhere)
        });
    });
}

fn open(codec: WireCodec, channels: usize, wire_rate: u32) -> Intake {
    Intake::new(Format { codec, channels, wire_rate, rate: 8_000 }).unwrap()
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(step).collect()
}

/// Packets behind their lengths, of a buzz that comes and goes, at 24 kbit/s.
fn speech_like_packets(channels: usize) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(16_000, channels, Application::Voip).unwrap();
    encoder.bitrate_bps = 24_000;
    let mut packet = vec![0; 1_500];
    (0..100_i16)
        .map(|number| {
            let loudness = (number % 25) * 20;
            let sample = |index: i16| (index % 113 - 56) * loudness / 2;
            let frame: Vec<i16> =
                (0..320).flat_map(|index| vec![sample(index); channels]).collect();
            let bytes = encoder.encode_s16(&frame, 320, &mut packet).unwrap();
            [&u16::try_from(bytes).unwrap().to_be_bytes(), &packet[..bytes]].concat()
        })
        .collect()
}

criterion_group!(benches, bodies, headers);
criterion_main!(benches);
