//! Any writes, gaps, readers and drains, against a model that remembers everything.
#![allow(clippy::unwrap_used)]
#![cfg(not(loom))]

mod shelf;

use earhook_audio::g711::{decode_mu, Law};
use earhook_ring::{Books, Budget, Feed, GapReason, Ring, RingShape, Start};
use proptest::collection::vec;
use proptest::prelude::*;
use shelf::{Shelf, Slot};

const CAPACITY: usize = 12;
const CHANNELS: [u8; 2] = [1, 0];

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Gap(u64, GapReason),
    Attach {
        reader: u32,
        position: Option<u64>,
        owed: Owed,
    },
    /// Remembers what a reader that comes now, and is attached later, will be owed.
    Come,
    Detach(u32),
    Drain(usize),
    End,
}

/// From where on a reader is owed audio.
#[derive(Debug, Clone)]
enum Owed {
    WhereItBegins,
    From(u64),
    /// What the ring held at the last [`Step::Come`].
    SinceItCame,
    /// What the ring holds.
    SinceNow,
}

fn owed() -> impl Strategy<Value = Owed> {
    prop_oneof![
        Just(Owed::WhereItBegins),
        (0_u64..100).prop_map(Owed::From),
        Just(Owed::SinceItCame),
        Just(Owed::SinceNow),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reason = prop::sample::select(GapReason::ALL.to_vec());
    let reader = 0_u32..4;
    let position = prop::option::weighted(0.8, 0_u64..80);
    vec(
        prop_oneof![
            6 => (0_usize..20).prop_map(Step::Write),
            3 => (0_u64..9, reason).prop_map(|(samples, reason)| Step::Gap(samples, reason)),
            3 => (reader.clone(), position, owed())
                .prop_map(|(reader, position, owed)| Step::Attach { reader, position, owed }),
            1 => Just(Step::Come),
            1 => reader.prop_map(Step::Detach),
            4 => prop_oneof![Just(usize::MAX), 1_usize..200].prop_map(Step::Drain),
            1 => Just(Step::End),
        ],
        1..60,
    )
}

/// Remembers every position there ever was.
#[derive(Debug, Default)]
struct Model {
    track: Vec<Option<GapReason>>,
    ended: bool,
    readers: Vec<ModelReader>,
}

#[derive(Debug, Clone)]
struct ModelReader {
    call: u32,
    start: usize,
    owed: usize,
    position: usize,
    forwarded: u64,
    overrun: u64,
}

impl Model {
    fn code_at(position: usize, channel: u8) -> u8 {
        u8::try_from((position * 2 + usize::from(channel)) % 251).unwrap()
    }

    fn sample_at(position: usize, channel: u8) -> i16 {
        decode_mu(Self::code_at(position, channel))
    }

    fn is_audio(&self, position: usize) -> bool {
        self.track[position].is_none()
    }

    fn samples_from(&self, position: usize) -> u64 {
        (position..self.track.len()).filter(|at| self.is_audio(*at)).count() as u64
    }

    /// Whether the ring still holds the sample at a position.
    fn holds(&self, position: usize) -> bool {
        self.samples_from(position) <= CAPACITY as u64
    }

    /// The first sample that the ring still holds, or the end.
    fn oldest(&self) -> usize {
        let held = |at: &usize| self.is_audio(*at) && self.holds(*at);
        (0..self.track.len()).find(held).unwrap_or(self.track.len())
    }

    fn books(&self, reader: &ModelReader) -> Books {
        let unread = reader.position.max(reader.owed)..self.track.len();
        let held = unread.clone().filter(|at| self.is_audio(*at) && self.holds(*at)).count();
        let lost = unread.filter(|at| self.is_audio(*at) && !self.holds(*at)).count();
        let mut books = Books {
            received: self.samples_from(reader.owed),
            forwarded: reader.forwarded,
            buffered: held as u64,
            late: self.samples_from(reader.start) - self.samples_from(reader.owed),
            position: reader.position as u64,
            ..Books::default()
        };
        books.dropped.overrun = reader.overrun + lost as u64;
        books
    }

    /// Checks what a reader was given and moves it on.
    fn accept(&mut self, call: u32, given: &[(u64, Slot)]) {
        let index = self.readers.iter().position(|reader| reader.call == call).unwrap();
        let mut reader = self.readers[index].clone();
        for (position, slot) in given {
            assert_eq!(*position, reader.position as u64, "items are contiguous");
            let at = reader.position;
            match (self.track[at], self.holds(at)) {
                (Some(reason), _) => assert_eq!(*slot, Slot::Gap(reason)),
                (None, true) => {
                    let sample = |channel| Some(Self::sample_at(at, channel));
                    assert_eq!(*slot, Slot::Samples(vec![sample(0), sample(1)]));
                    reader.forwarded += 1;
                }
                (None, false) if at < reader.owed => {
                    assert_eq!(*slot, Slot::Gap(GapReason::Late));
                }
                (None, false) => {
                    assert_eq!(*slot, Slot::Gap(GapReason::Overrun));
                    reader.overrun += 1;
                }
            }
            reader.position += 1;
        }
        self.readers[index] = reader;
    }
}

struct Bench {
    ring: Ring,
    is_coded: bool,
    feed: Feed,
    model: Model,
    /// The oldest position at the last [`Step::Come`].
    oldest_then: u64,
}

impl Bench {
    fn new(is_coded: bool) -> Self {
        let shape = RingShape { channels: CHANNELS.to_vec(), capacity_samples: CAPACITY };
        let ring = Ring::new(&Budget::new(shape.bytes()), &shape).unwrap();
        Self { ring, is_coded, feed: Feed::new(|| {}), model: Model::default(), oldest_then: 0 }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Write(samples) => self.write(samples),
            Step::Gap(samples, reason) => {
                self.ring.gap(samples, reason).unwrap().announce();
                if !self.model.ended {
                    self.model.track.extend((0..samples).map(|_| Some(reason)));
                }
            }
            Step::Attach { reader, position, ref owed } => self.attach(reader, position, owed),
            Step::Come => self.oldest_then = self.ring.oldest_position(),
            Step::Detach(call) => self.detach(call),
            Step::Drain(max_bytes) => self.drain(max_bytes),
            Step::End => {
                self.ring.end().announce();
                self.model.ended = true;
            }
        }
    }

    fn write(&mut self, samples: usize) {
        let start = self.model.track.len();
        let places = start..start + samples;
        let (written, news) = if self.is_coded {
            let group = |at| CHANNELS.map(|channel| Model::code_at(at, channel));
            let codes: Vec<u8> = places.flat_map(group).collect();
            self.ring.write_codes(&codes, Law::Mu).unwrap()
        } else {
            let lanes = CHANNELS.map(|channel| -> Vec<i16> {
                places.clone().map(|at| Model::sample_at(at, channel)).collect()
            });
            self.ring.write(&lanes).unwrap()
        };
        news.announce();
        if self.model.ended {
            assert_eq!(written, 0);
            return;
        }
        assert_eq!(written, samples);
        self.model.track.resize(start + samples, None);
    }

    fn attach(&mut self, call: u32, position: Option<u64>, owed: &Owed) {
        let owed_from = match *owed {
            Owed::WhereItBegins => None,
            Owed::From(position) => Some(position),
            Owed::SinceItCame => Some(self.oldest_then),
            Owed::SinceNow => Some(self.ring.oldest_position()),
        };
        let known = self.model.readers.iter().any(|reader| reader.call == call);
        let begin = Start { position, owed_from };
        let attached = self.feed.attach_late(call, &self.ring, &[0, 1], begin);
        assert_eq!(attached.is_err(), known);
        if !known {
            let end = self.model.track.len();
            let position = position.map_or(end, |wanted| end.min(usize::try_from(wanted).unwrap()));
            let start = position;
            let latest = start.max(self.model.oldest());
            let owed = owed_from.map_or(start, |from| usize::try_from(from).unwrap());
            let owed = owed.clamp(start, latest);
            self.model.readers.push(ModelReader {
                call,
                start,
                owed,
                position,
                forwarded: 0,
                overrun: 0,
            });
        }
    }

    fn detach(&mut self, call: u32) {
        let index = self.model.readers.iter().position(|reader| reader.call == call);
        let books = self.feed.detach(call);
        assert_eq!(books.is_ok(), index.is_some());
        if let Some(index) = index {
            let mut expected = self.model.books(&self.model.readers[index]);
            expected.dropped.detached = std::mem::take(&mut expected.buffered);
            assert_eq!(books.unwrap(), expected);
            self.model.readers.remove(index);
        }
    }

    fn drain(&mut self, max_bytes: usize) {
        let mut shelf = Shelf::default();
        assert!(self.feed.drain(max_bytes, &mut shelf).is_empty());
        for (call, given) in &shelf.given {
            self.model.accept(*call, given);
        }
    }

    fn check(&self) {
        assert_eq!(self.ring.position(), self.model.track.len() as u64);
        assert_eq!(self.ring.written_samples(), self.model.samples_from(0));
        assert_eq!(self.ring.oldest_position(), self.model.oldest() as u64);
        for reader in &self.model.readers {
            let books = self.feed.books(reader.call).unwrap();
            assert!(books.balance(), "{books:?}");
            assert_eq!(books, self.model.books(reader));
        }
    }

    /// Nothing is left behind: without another write, a drain gets every reader to the end.
    fn check_end(&mut self) {
        self.drain(usize::MAX);
        assert!(!self.feed.is_pending());
        for reader in &self.model.readers {
            assert_eq!(reader.position, self.model.track.len());
        }
        if self.model.ended {
            let mut finished = self.feed.finished();
            finished.sort_unstable();
            let mut calls: Vec<u32> = self.model.readers.iter().map(|it| it.call).collect();
            calls.sort_unstable();
            assert_eq!(finished, calls);
        }
        assert!(self.feed.finished().is_empty());
    }
}

/// Miri is some hundred times slower, and keeps tests away from files.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::with_cases(1024);
    if cfg!(miri) {
        config.cases = 8;
        config.failure_persistence = None;
    }
    config
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn readers_get_what_the_model_says(steps in steps(), is_coded in any::<bool>()) {
        let mut bench = Bench::new(is_coded);
        for step in &steps {
            bench.take(step);
            bench.check();
        }
        bench.check_end();
    }
}
