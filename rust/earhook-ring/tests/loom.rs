//! Every interleaving of writers, drains, attaches and detaches, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p earhook-ring --test loom --release`.
#![allow(clippy::unwrap_used)]
#![cfg(loom)]

use earhook_ring::{Books, Budget, Feed, Item, Outlet, Ring, RingShape};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Counts samples and checks that positions are contiguous, per call.
#[derive(Default)]
struct Count {
    samples: usize,
    next: [u64; 3],
}

impl Outlet for Count {
    fn bytes(&self) -> usize {
        0
    }

    fn take(&mut self, call: u32, _channels: &[u8], item: &Item<'_>) {
        let next = &mut self.next[call as usize];
        let (position, samples) = match item {
            Item::Audio(audio) => {
                self.samples += audio.samples;
                (audio.position, audio.samples as u64)
            }
            Item::Gap(gap) => (gap.position, gap.samples),
        };
        assert_eq!(position, *next);
        *next += samples;
    }

    fn mark(&self) -> usize {
        self.samples
    }

    fn rewind(&mut self, _mark: usize) {
        unreachable!();
    }
}

fn ring() -> Ring {
    let shape = RingShape { channels: vec![0], capacity_samples: 4 };
    Ring::new(&Budget::new(1000), &shape).unwrap()
}

/// What a wake rings. Whoever waits for a wake that was lost waits for ever: loom calls it a
/// deadlock, and fails.
#[derive(Default)]
struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

fn feed() -> (Arc<Feed>, Arc<Alarm>) {
    let alarm = Arc::new(Alarm::default());
    let woken = Arc::clone(&alarm);
    (Arc::new(Feed::new(move || woken.ring())), alarm)
}

fn write(ring: &Ring, samples: &[i16]) {
    ring.write(&[samples]).unwrap().1.announce();
}

/// Drains whenever woken, until so many calls have finished; gives the samples.
fn drain_to_end(feed: &Feed, woken: &Alarm, mut calls: usize) -> usize {
    let mut count = Count::default();
    loop {
        assert!(feed.drain(1, &mut count).is_empty());
        calls -= feed.finished().len();
        if calls == 0 {
            return count.samples;
        }
        woken.wait();
    }
}

fn assert_balance(books: &Books) {
    assert!(books.balance(), "{books:?}");
}

#[test]
fn a_consumer_that_sleeps_until_woken_gets_everything() {
    loom::model(|| {
        let (ring, (feed, woken)) = (ring(), feed());
        feed.attach(1, &ring, &[0], Some(0)).unwrap();
        let writer = thread::spawn(move || {
            write(&ring, &[1]);
            write(&ring, &[2]);
            ring.end().announce();
        });
        assert_eq!(drain_to_end(&feed, &woken, 1), 2);
        writer.join().unwrap();
        assert_balance(&feed.books(1).unwrap());
    });
}

#[test]
fn writers_of_two_calls_wake_one_consumer() {
    // Three threads have too many interleavings to try them all; most faults need few switches.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let (first, second, (feed, woken)) = (ring(), ring(), feed());
        feed.attach(1, &first, &[0], Some(0)).unwrap();
        feed.attach(2, &second, &[0], Some(0)).unwrap();
        let writers = [first, second].map(|ring| {
            thread::spawn(move || {
                write(&ring, &[1]);
                ring.end().announce();
            })
        });
        assert_eq!(drain_to_end(&feed, &woken, 2), 2);
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

#[test]
fn a_call_attached_in_the_middle_of_writes_is_complete() {
    loom::model(|| {
        let (ring, (feed, woken)) = (ring(), feed());
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || {
                write(&ring, &[1]);
                write(&ring, &[2]);
                ring.end().announce();
            })
        };
        feed.attach(1, &ring, &[0], Some(0)).unwrap();
        assert_eq!(drain_to_end(&feed, &woken, 1), 2);
        writer.join().unwrap();
    });
}

#[test]
fn a_call_attached_in_the_middle_of_a_drain_is_not_forgotten() {
    loom::model(|| {
        let (ring, (feed, woken)) = (ring(), feed());
        let attacher = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || {
                feed.attach(1, &ring, &[0], Some(0)).unwrap();
                write(&ring, &[1]);
                ring.end().announce();
            })
        };
        assert_eq!(drain_to_end(&feed, &woken, 1), 1);
        attacher.join().unwrap();
    });
}

#[test]
fn the_books_of_a_call_detached_in_the_middle_of_a_drain_balance() {
    loom::model(|| {
        let (ring, (feed, _)) = (ring(), feed());
        feed.attach(1, &ring, &[0], Some(0)).unwrap();
        write(&ring, &[1]);
        let drainer = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || {
                let mut count = Count::default();
                feed.drain(1, &mut count);
                count.samples as u64
            })
        };
        write(&ring, &[2]);
        let books = feed.detach(1).unwrap();
        assert_balance(&books);
        assert_eq!((books.received, books.buffered), (2, 0));
        assert_eq!(books.forwarded, drainer.join().unwrap(), "what is booked was handed out");
        assert!(!feed.is_pending());
    });
}

#[test]
fn the_books_balance_at_every_moment() {
    loom::model(|| {
        let (ring, (feed, _)) = (ring(), feed());
        feed.attach(1, &ring, &[0], Some(0)).unwrap();
        let writer = thread::spawn(move || write(&ring, &[1, 2, 3, 4, 5, 6]));
        let drainer = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || feed.drain(1, &mut Count::default()))
        };
        assert_balance(&feed.books(1).unwrap());
        writer.join().unwrap();
        drainer.join().unwrap();
        assert_balance(&feed.books(1).unwrap());
    });
}

#[test]
fn a_wake_is_armed_again_when_a_detach_empties_the_line() {
    loom::model(|| {
        let (first, second, (feed, woken)) = (ring(), ring(), feed());
        feed.attach(1, &first, &[0], Some(0)).unwrap();
        feed.attach(2, &second, &[0], Some(0)).unwrap();
        write(&first, &[1]);
        woken.wait();
        let writer = thread::spawn(move || write(&second, &[1]));
        feed.detach(1).unwrap();
        if !feed.is_pending() {
            woken.wait();
        }
        writer.join().unwrap();
        assert!(feed.is_pending());
    });
}

#[test]
fn a_budget_is_never_overdrawn() {
    loom::model(|| {
        let budget = Budget::new(100);
        let taker = {
            let budget = budget.clone();
            thread::spawn(move || budget.reserve(60).is_ok())
        };
        let reservation = budget.reserve(60);
        assert!(budget.used_bytes() <= 100);
        let other = taker.join().unwrap();
        assert!(reservation.is_ok() || other);
        drop(reservation);
        assert_eq!(budget.used_bytes(), 0);
    });
}
