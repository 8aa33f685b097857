//! What a frame costs between decode and socket: one write, and its share of a drain.

#![allow(clippy::expect_used)]

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use earhook_ring::{Budget, Feed, Item, Outlet, Ring, RingShape};
use earhook_wire::{write_audio_with, write_gap};

/// 200 ms at 8 kHz: what Genesys Cloud sends in one frame.
const FRAME_SAMPLES: usize = 1600;
const CALLS: u32 = 100;

#[derive(Default)]
struct Frames(Vec<u8>);

impl Outlet for Frames {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>) {
        match item {
            Item::Gap(gap) => write_gap(&mut self.0, call, gap.position, gap.samples, gap.reason),
            Item::Audio(audio) => {
                let place = (audio.position, audio.samples);
                for channel in channels {
                    if let Some(lane) = audio.channel(*channel) {
                        let write = |bytes: &mut [u8]| lane.write_le(bytes, 1);
                        write_audio_with(&mut self.0, call, *channel, place, write)
                            .expect("a turn is shorter than a frame");
                    }
                }
            }
        }
    }

    fn mark(&self) -> usize {
        self.0.len()
    }

    fn rewind(&mut self, mark: usize) {
        self.0.truncate(mark);
    }
}

fn ring() -> Ring {
    let shape = RingShape { channels: vec![0, 1], capacity_samples: 16_000 };
    Ring::new(&Budget::new(u64::MAX), &shape).expect("an endless budget")
}

fn write(ring: &Ring, frame: &[Vec<i16>]) {
    let (_, news) = ring.write(frame).expect("a stereo frame");
    news.announce();
}

fn bench_ring(criterion: &mut Criterion) {
    let frame = vec![vec![1_i16; FRAME_SAMPLES]; 2];
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(1));
    group.bench_function("write", |bencher| {
        let ring = ring();
        bencher.iter(|| write(&ring, &frame));
    });
    group.bench_function("write and drain", |bencher| {
        let (ring, feed, mut out) = (ring(), Feed::new(|| {}), Frames::default());
        feed.attach(1, &ring, &[0, 1], Some(0)).expect("a new call");
        bencher.iter(|| {
            write(&ring, &frame);
            out.0.clear();
            feed.drain(usize::MAX, &mut out)
        });
    });
    group.throughput(Throughput::Elements(CALLS.into()));
    group.bench_function("write and drain 100 calls", |bencher| {
        let (feed, mut out) = (Feed::new(|| {}), Frames::default());
        let rings: Vec<Ring> = (0..CALLS).map(|_| ring()).collect();
        for (call, ring) in (1..).zip(&rings) {
            feed.attach(call, ring, &[0, 1], Some(0)).expect("a new call");
        }
        bencher.iter(|| {
            rings.iter().for_each(|ring| write(ring, &frame));
            out.0.clear();
            feed.drain(usize::MAX, &mut out)
        });
    });
    group.finish();
}

criterion_group!(benches, bench_ring);
criterion_main!(benches);
