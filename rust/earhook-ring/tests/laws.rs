//! The laws of rings and feeds, one example each.
#![allow(clippy::unwrap_used)]
#![cfg(not(loom))]

mod shelf;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use earhook_audio::g711::{decode_mu, Law};
use earhook_ring::{
    Budget, Feed, Gap, GapReason, Item, Outlet, Ring, RingError, RingShape, Start, MAX_GAPS,
    MAX_POSITION, TURN_SAMPLES,
};
use shelf::{Shelf, Slot};

fn ring(capacity_samples: usize) -> Ring {
    let shape = RingShape { channels: vec![0], capacity_samples };
    Ring::new(&Budget::new(u64::MAX), &shape).unwrap()
}

fn write(ring: &Ring, samples: &[i16]) {
    let (written, news) = ring.write(&[samples]).unwrap();
    news.announce();
    assert_eq!(written, samples.len());
}

fn drain(feed: &Feed) -> Shelf {
    let mut shelf = Shelf::default();
    assert!(feed.drain(usize::MAX, &mut shelf).is_empty());
    shelf
}

/// Drains a feed; gives what one call was given.
fn slots(feed: &Feed, call: u32) -> Vec<Slot> {
    let given = drain(feed).given.remove(&call).unwrap_or_default();
    given.into_iter().map(|(_, slot)| slot).collect()
}

fn audio(samples: &[i16]) -> Vec<Slot> {
    samples.iter().map(|sample| Slot::Samples(vec![Some(*sample)])).collect()
}

fn gap(samples: usize, reason: GapReason) -> Vec<Slot> {
    vec![Slot::Gap(reason); samples]
}

/// A feed that counts how often it was woken.
fn woken_feed() -> (Feed, Arc<AtomicUsize>) {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&wakes);
    let feed = Feed::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    (feed, wakes)
}

#[test]
fn a_reader_that_fell_behind_keeps_the_gaps_that_others_made() {
    let (ring, feed) = (ring(4), Feed::new(|| {}));
    feed.attach(1, &ring, &[0], Some(0)).unwrap();
    write(&ring, &[1, 2, 3]);
    ring.gap(2, GapReason::Paused).unwrap().announce();
    write(&ring, &[4, 5, 6, 7, 8, 9]);
    let expected = [
        gap(3, GapReason::Overrun),
        gap(2, GapReason::Paused),
        gap(2, GapReason::Overrun),
        audio(&[6, 7, 8, 9]),
    ];
    assert_eq!(slots(&feed, 1), expected.concat());
    let books = feed.books(1).unwrap();
    assert_eq!((books.received, books.forwarded, books.dropped.overrun), (9, 4, 5));
}

/// A reader from the start of a call that came when the ring held what it holds now.
fn late(ring: &Ring) -> Start {
    Start { position: Some(0), owed_from: Some(ring.oldest_position()) }
}

#[test]
fn what_was_gone_before_a_reader_came_is_late_and_no_loss() {
    let (ring, feed) = (ring(4), Feed::new(|| {}));
    write(&ring, &[1, 2, 3]);
    ring.gap(2, GapReason::Paused).unwrap().announce();
    write(&ring, &[4, 5, 6, 7, 8, 9]);
    feed.attach_late(1, &ring, &[0], late(&ring)).unwrap();
    let before = feed.books(1).unwrap();
    assert_eq!((before.received, before.buffered, before.late), (4, 4, 5));
    let expected = [
        gap(3, GapReason::Late),
        gap(2, GapReason::Paused),
        gap(2, GapReason::Late),
        audio(&[6, 7, 8, 9]),
    ];
    assert_eq!(slots(&feed, 1), expected.concat());
    let books = feed.detach(1).unwrap();
    assert_eq!((books.received, books.forwarded, books.late), (4, 4, 5));
    assert_eq!(books.dropped.total(), 0);
}

#[test]
fn what_is_overwritten_after_a_reader_came_is_an_overrun() {
    let (ring, feed) = (ring(4), Feed::new(|| {}));
    write(&ring, &[1, 2, 3, 4, 5, 6]);
    let came = late(&ring);
    write(&ring, &[7]);
    feed.attach_late(1, &ring, &[0], came).unwrap();
    write(&ring, &[8]);
    let expected =
        [gap(2, GapReason::Late), gap(2, GapReason::Overrun), audio(&[5, 6, 7, 8])].concat();
    assert_eq!(slots(&feed, 1), expected);
    let books = feed.books(1).unwrap();
    assert_eq!((books.received, books.forwarded, books.dropped.overrun, books.late), (6, 4, 2, 2));
}

#[test]
fn what_the_ring_still_has_is_never_late() {
    let (ring, feed) = (ring(4), Feed::new(|| {}));
    write(&ring, &[1, 2, 3, 4, 5]);
    let start = Start { position: Some(0), owed_from: Some(u64::MAX) };
    feed.attach_late(1, &ring, &[0], start).unwrap();
    feed.attach_late(2, &ring, &[0], Start { position: Some(3), ..start }).unwrap();
    let books = [feed.books(1).unwrap(), feed.books(2).unwrap()];
    assert_eq!(books.map(|it| (it.received, it.buffered, it.late)), [(4, 4, 1), (2, 2, 0)]);
}

#[test]
fn a_late_reader_survives_a_flood_of_gaps() {
    let (ring, feed) = (ring(1 << 20), Feed::new(|| {}));
    let flood = |gaps: usize| {
        for _ in 0..gaps {
            write(&ring, &[1]);
            ring.gap(1, GapReason::Malformed).unwrap().announce();
        }
    };
    flood(MAX_GAPS + 10);
    assert_eq!(ring.oldest_position(), 20);
    for (call, position) in [(1, 0), (2, 7)] {
        let start = Start { position: Some(position), ..late(&ring) };
        feed.attach_late(call, &ring, &[0], start).unwrap();
    }
    flood(5);
    let given = drain(&feed).given;
    for (call, late) in [(1, 20), (2, 13)] {
        let counted = |reason| given[&call].iter().filter(|it| it.1 == Slot::Gap(reason)).count();
        assert_eq!((counted(GapReason::Late), counted(GapReason::Overrun)), (late, 10));
        let books = feed.books(call).unwrap();
        assert!(books.balance());
        assert_eq!((books.dropped.overrun, books.forwarded), (5, MAX_GAPS as u64));
        assert_eq!(books.position, ring.position());
    }
    assert_eq!(feed.books(1).unwrap().late, 10);
}

#[test]
fn of_a_write_longer_than_the_ring_the_end_stays() {
    let (ring, feed) = (ring(3), Feed::new(|| {}));
    write(&ring, &[9]);
    write(&ring, &[1, 2, 3, 4, 5]);
    assert_eq!(ring.last_write(), [(0, vec![3, 4, 5])]);
    feed.attach(1, &ring, &[0], Some(0)).unwrap();
    let expected = [gap(3, GapReason::Overrun), audio(&[3, 4, 5])].concat();
    assert_eq!(slots(&feed, 1), expected);
}

#[test]
fn gaps_of_one_reason_without_audio_between_are_one() {
    let ring = ring(4);
    for samples in [1, 2, 3] {
        ring.gap(samples, GapReason::Paused).unwrap().announce();
    }
    ring.gap(1, GapReason::Discarded).unwrap().announce();
    write(&ring, &[1]);
    ring.gap(1, GapReason::Discarded).unwrap().announce();
    let spans: Vec<(u64, u64)> =
        ring.gaps().iter().map(|gap| (gap.position, gap.samples)).collect();
    assert_eq!(spans, [(0, 6), (6, 1), (8, 1)]);
}

#[test]
fn a_reader_gets_the_rest_of_a_gap_that_grew() {
    let (ring, feed) = (ring(4), Feed::new(|| {}));
    feed.attach(1, &ring, &[0], Some(0)).unwrap();
    ring.gap(2, GapReason::Paused).unwrap().announce();
    assert_eq!(drain(&feed).given[&1].len(), 2);
    ring.gap(3, GapReason::Paused).unwrap().announce();
    let positions: Vec<u64> = drain(&feed).given[&1].iter().map(|(at, _)| *at).collect();
    assert_eq!(positions, [2, 3, 4]);
}

#[test]
fn a_flood_of_gaps_costs_bounded_memory_and_no_position() {
    let (ring, early, late) = (ring(1 << 20), Feed::new(|| {}), Feed::new(|| {}));
    early.attach(1, &ring, &[0], Some(0)).unwrap();
    let gaps = MAX_GAPS as u64 + 10;
    for sample in 0..gaps {
        write(&ring, &[i16::try_from(sample).unwrap()]);
        ring.gap(1, GapReason::Malformed).unwrap().announce();
    }
    assert_eq!(ring.gaps().len(), MAX_GAPS);
    assert_eq!(ring.position(), 2 * gaps);
    late.attach(1, &ring, &[0], Some(7)).unwrap();
    let before = early.books(1).unwrap();
    assert_eq!((before.buffered, before.dropped.overrun), (MAX_GAPS as u64, 10));
    let given = &drain(&early).given[&1];
    assert_eq!(given[..20].iter().filter(|it| it.1 == Slot::Gap(GapReason::Overrun)).count(), 20);
    assert_eq!(given[20], (20, Slot::Samples(vec![Some(10)])));
    assert_eq!(given[21], (21, Slot::Gap(GapReason::Malformed)));
    assert_eq!(given.len() as u64, 2 * gaps);
    assert_eq!(drain(&late).given[&1][0], (7, Slot::Gap(GapReason::Overrun)));
    for books in [early.books(1).unwrap(), late.books(1).unwrap()] {
        assert!(books.balance());
        assert_eq!((books.buffered, books.position), (0, 2 * gaps));
    }
}

#[test]
fn positions_have_an_end() {
    let ring = ring(4);
    write(&ring, &[1]);
    let refused = RingError::PositionLimit { position: 1, samples: MAX_POSITION };
    assert_eq!(ring.gap(MAX_POSITION, GapReason::Paused).unwrap_err(), refused);
    assert!(ring.gap(u64::MAX, GapReason::Paused).is_err());
    ring.gap(MAX_POSITION - 1, GapReason::Paused).unwrap().announce();
    assert_eq!(ring.position(), MAX_POSITION);
}

#[test]
fn a_write_that_does_not_fit_the_channels_changes_nothing() {
    let shape = RingShape { channels: vec![0, 1], capacity_samples: 4 };
    let ring = Ring::new(&Budget::new(1000), &shape).unwrap();
    assert_eq!(ring.write(&[[1, 2]]).unwrap_err(), RingError::Lanes);
    assert_eq!(ring.write(&[&[1, 2][..], &[3][..]]).unwrap_err(), RingError::Lanes);
    assert_eq!(ring.position(), 0);
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let budget = Budget::new(1000);
    for (channels, capacity_samples) in [(vec![], 1), (vec![0, 0], 1), (vec![0, 1], 0)] {
        let shape = RingShape { channels, capacity_samples };
        assert_eq!(Ring::new(&budget, &shape).unwrap_err(), RingError::Shape);
    }
    let endless = RingShape { channels: vec![0, 1], capacity_samples: usize::MAX };
    assert!(matches!(Ring::new(&budget, &endless), Err(RingError::BudgetExhausted { .. })));
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_ring_that_the_machine_cannot_hold_is_refused_and_costs_nothing() {
    let budget = Budget::new(u64::MAX);
    let shape = RingShape { channels: vec![0], capacity_samples: usize::MAX / 2 };
    let ring = Ring::new(&budget, &shape).unwrap();
    assert_eq!(ring.write(&[[1]]).unwrap_err(), RingError::Memory);
    assert_eq!(ring.position(), 0);
    drop(ring);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_ring_of_codes_costs_half_and_stays_one() {
    let budget = Budget::new(u64::MAX);
    let shape = RingShape { channels: vec![0, 1], capacity_samples: 3 };
    let ring = Ring::new(&budget, &shape).unwrap();
    assert_eq!(budget.used_bytes(), 12);
    assert_eq!(ring.write_codes(&[1, 2, 3], Law::Mu).unwrap_err(), RingError::Lanes);
    ring.write_codes(&[1, 2, 3, 4], Law::Mu).unwrap().1.announce();
    ring.write_codes(&[5, 6, 7, 8], Law::Mu).unwrap().1.announce();
    assert_eq!(budget.used_bytes(), 6);
    assert_eq!(ring.write(&[[1], [1]]).unwrap_err(), RingError::Coded);
    assert_eq!(
        ring.last_write(),
        [(0, vec![decode_mu(5), decode_mu(7)]), (1, vec![decode_mu(6), decode_mu(8)])]
    );
    drop(ring);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn codes_are_decoded_for_a_ring_of_samples() {
    let shape = RingShape { channels: vec![1, 0], capacity_samples: 8 };
    let ring = Ring::new(&Budget::new(32), &shape).unwrap();
    ring.write(&[[1, 2], [3, 4]]).unwrap().1.announce();
    ring.write_codes(&[5, 6, 7, 8], Law::Mu).unwrap().1.announce();
    assert_eq!(
        ring.last_write(),
        [(1, vec![decode_mu(5), decode_mu(7)]), (0, vec![decode_mu(6), decode_mu(8)])]
    );
    assert_eq!(ring.written_samples(), 4);
}

#[test]
fn bytes_go_back_with_the_last_who_holds_the_ring() {
    let budget = Budget::new(100);
    let shape = RingShape { channels: vec![0, 1], capacity_samples: 25 };
    let ring = Ring::new(&budget, &shape).unwrap();
    assert_eq!(budget.used_bytes(), 100);
    let refused =
        RingError::BudgetExhausted { wanted_bytes: 100, used_bytes: 100, limit_bytes: 100 };
    assert_eq!(Ring::new(&budget, &shape).unwrap_err(), refused);
    let feed = Feed::new(|| {});
    feed.attach(1, &ring, &[0], None).unwrap();
    drop(ring);
    assert_eq!(budget.used_bytes(), 100);
    feed.detach(1).unwrap();
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_feed_that_goes_lets_its_rings_go() {
    let budget = Budget::new(100);
    let ring = Ring::new(&budget, &RingShape { channels: vec![0], capacity_samples: 5 }).unwrap();
    let (feed, wakes) = woken_feed();
    feed.attach(1, &ring, &[0], None).unwrap();
    drop(feed);
    write(&ring, &[1]);
    assert_eq!(wakes.load(Ordering::SeqCst), 0);
    drop(ring);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn calls_take_turns() {
    let feed = Feed::new(|| {});
    let rings = [ring(4 * TURN_SAMPLES), ring(4 * TURN_SAMPLES)];
    for (call, ring) in (1..).zip(&rings) {
        feed.attach(call, ring, &[0], Some(0)).unwrap();
        write(ring, &vec![1; 3 * TURN_SAMPLES]);
    }
    assert_eq!(drain(&feed).order, [1, 2, 1, 2, 1, 2]);
}

#[test]
fn a_drain_that_is_full_goes_on_where_it_stopped() {
    let feed = Feed::new(|| {});
    let rings = [ring(100), ring(100), ring(100)];
    for (call, ring) in (1..).zip(&rings) {
        feed.attach(call, ring, &[0], Some(0)).unwrap();
        write(ring, &[1; 50]);
    }
    let mut served = Vec::new();
    while feed.is_pending() {
        let mut shelf = Shelf::default();
        feed.drain(1, &mut shelf);
        served.extend(shelf.order);
    }
    assert_eq!(served, [1, 2, 3]);
}

#[test]
fn a_call_can_be_drained_out_of_its_turn() {
    let (feed, [one, two]) = (Feed::new(|| {}), [ring(100), ring(100)]);
    feed.attach(1, &one, &[0], Some(0)).unwrap();
    feed.attach(2, &two, &[0], Some(0)).unwrap();
    write(&one, &[7; 9]);
    write(&two, &[1, 2]);
    two.gap(3, GapReason::Paused).unwrap().announce();
    let mut shelf = Shelf::default();
    assert_eq!(feed.drain_call(2, 1, &mut shelf), Ok(true));
    assert_eq!(feed.drain_call(2, usize::MAX, &mut shelf), Ok(false));
    assert_eq!(feed.drain_call(2, usize::MAX, &mut shelf), Ok(false), "nothing is nothing");
    let given = shelf.given.remove(&2).unwrap().into_iter().map(|(_, slot)| slot);
    let wanted = [audio(&[1, 2]), gap(3, GapReason::Paused)].concat();
    assert_eq!((given.collect::<Vec<_>>(), shelf.given.len()), (wanted, 0));
    assert_eq!(slots(&feed, 1), audio(&[7; 9]));
    assert!(!feed.is_pending());
    assert_eq!(feed.drain_call(3, 1, &mut shelf), Err(RingError::NotAttached(3)));
}

#[test]
fn a_feed_is_woken_once_until_it_has_been_drained_empty() {
    let (feed, wakes) = woken_feed();
    let rings = [ring(100), ring(100)];
    for (call, ring) in (1..).zip(&rings) {
        feed.attach(call, ring, &[0], Some(0)).unwrap();
    }
    assert_eq!(wakes.load(Ordering::SeqCst), 0, "there is nothing to read yet");
    for ring in &rings {
        write(ring, &[1]);
        write(ring, &[1]);
    }
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
    feed.drain(1, &mut Shelf::default());
    write(&rings[0], &[1]);
    assert_eq!(wakes.load(Ordering::SeqCst), 1, "it is pending still, and knows");
    drain(&feed);
    write(&rings[0], &[1]);
    assert_eq!(wakes.load(Ordering::SeqCst), 2);
}

#[test]
fn attaching_to_what_can_be_read_or_has_ended_wakes() {
    let (feed, wakes) = woken_feed();
    let (full, ended) = (ring(10), ring(10));
    write(&full, &[1]);
    feed.attach(1, &full, &[0], Some(0)).unwrap();
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
    drain(&feed);
    ended.end().announce();
    feed.attach(2, &ended, &[0], None).unwrap();
    assert_eq!(wakes.load(Ordering::SeqCst), 2);
    drain(&feed);
    assert_eq!(feed.finished(), [2]);
}

#[test]
fn detaching_the_last_pending_call_leaves_a_feed_that_can_be_woken() {
    let (feed, wakes) = woken_feed();
    let rings = [ring(10), ring(10)];
    for (call, ring) in (1..).zip(&rings) {
        feed.attach(call, ring, &[0], Some(0)).unwrap();
    }
    write(&rings[0], &[1, 2]);
    assert_eq!(feed.detach(1).unwrap().dropped.detached, 2);
    write(&rings[0], &[3]);
    assert!(!feed.is_pending(), "a call that is gone rings no more");
    write(&rings[1], &[1]);
    assert_eq!(wakes.load(Ordering::SeqCst), 2);
}

#[test]
fn a_call_is_finished_once_and_only_after_its_last_sample() {
    let (ring, feed) = (ring(10), Feed::new(|| {}));
    feed.attach(7, &ring, &[0], Some(0)).unwrap();
    write(&ring, &[1, 2]);
    ring.end().announce();
    ring.end().announce();
    assert!(feed.finished().is_empty());
    assert_eq!(slots(&feed, 7), audio(&[1, 2]));
    assert_eq!(feed.finished(), [7]);
    drain(&feed);
    assert!(feed.finished().is_empty());
    assert_eq!(ring.write(&[[3]]).unwrap().0, 0);
    assert_eq!(ring.position(), 2);
}

#[test]
fn calls_are_known_by_their_numbers() {
    let (ring, feed) = (ring(10), Feed::new(|| {}));
    feed.attach(1, &ring, &[0], None).unwrap();
    assert_eq!(feed.attach(1, &ring, &[0], None), Err(RingError::AlreadyAttached(1)));
    assert_eq!(feed.books(2).unwrap_err(), RingError::NotAttached(2));
    assert_eq!(feed.detach(2).unwrap_err(), RingError::NotAttached(2));
}

#[test]
fn a_missing_channel_is_told_apart_from_silence() {
    let (ring, feed) = (ring(10), Feed::new(|| {}));
    feed.attach(1, &ring, &[1, 0], Some(0)).unwrap();
    write(&ring, &[5]);
    assert_eq!(slots(&feed, 1), [Slot::Samples(vec![None, Some(5)])]);
}

/// Takes everything but one call's items, at which it panics.
struct Allergic {
    inner: Vec<u32>,
    call: u32,
}

impl Outlet for Allergic {
    fn bytes(&self) -> usize {
        self.inner.len()
    }

    fn take(&mut self, call: u32, _channels: &[u8], item: &Item<'_>) {
        self.inner.push(call);
        assert!(call != self.call || matches!(item, Item::Audio(_)), "no gaps of this call");
    }

    fn mark(&self) -> usize {
        self.inner.len()
    }

    fn rewind(&mut self, mark: usize) {
        self.inner.truncate(mark);
    }
}

#[test]
fn a_panic_ends_the_call_it_happened_in_and_no_other() {
    let (feed, other) = (Feed::new(|| {}), Feed::new(|| {}));
    let rings = [ring(10), ring(10), ring(10)];
    for (call, ring) in (1..).zip(&rings) {
        feed.attach(call, ring, &[0], Some(0)).unwrap();
        other.attach(call, ring, &[0], Some(0)).unwrap();
        write(ring, &[1, 2, 3]);
    }
    rings[1].gap(4, GapReason::Paused).unwrap().announce();
    let mut outlet = Allergic { inner: Vec::new(), call: 2 };
    assert_eq!(feed.drain(usize::MAX, &mut outlet), [2]);
    assert_eq!(outlet.inner, [1, 3], "the call's items are taken back");
    assert_eq!(feed.finished(), [2]);
    assert!(rings[1].is_ended() && !rings[0].is_ended());
    let books = feed.books(2).unwrap();
    assert!(books.balance());
    assert_eq!((books.forwarded, books.buffered, books.dropped.fault), (0, 0, 3));
    write(&rings[0], &[4]);
    assert_eq!(slots(&feed, 1), audio(&[4]));
    assert_eq!(drain(&other).given.len(), 3, "what was there is there for the others");
    assert_eq!(other.finished(), [2]);
}

#[test]
fn a_wake_that_panics_leaves_the_feed_in_order() {
    let (ring, feed) = (ring(10), Feed::new(|| panic!("waking fails")));
    feed.attach(1, &ring, &[0], Some(0)).unwrap();
    let (_, news) = ring.write(&[[1]]).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| news.announce())).is_err());
    assert_eq!(slots(&feed, 1), audio(&[1]));
}

#[test]
fn a_gap_knows_its_end() {
    let gap = Gap { position: 5, samples: 3, reason: GapReason::Paused };
    assert_eq!(gap.end(), 8);
}
