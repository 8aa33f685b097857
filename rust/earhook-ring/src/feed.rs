//! The readers of one consumer, drained together.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::bell::{Bell, News, Queue, Ticket};
use crate::cursor::{Books, Cursor, Start};
use crate::ring::{Appetite, Progress, Ring};
use crate::sync::{lock, Arc, Mutex};
use crate::timeline::Item;
use crate::RingError;

/// How many samples of a call go out before the next call has its turn (one second at 8 kHz).
/// Also the longest [`Item::Audio`].
pub const TURN_SAMPLES: usize = 8000;

/// Where a drain writes to.
pub trait Outlet {
    /// Bytes taken so far; a drain ends when they reach its limit.
    fn bytes(&self) -> usize;
    /// Takes one item of a call. Called under the lock of the call's ring: copy, do no more.
    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>);
    /// Where it stands; means something to [`Outlet::rewind`] only.
    fn mark(&self) -> usize;
    /// Forgets everything taken since `mark`: the call that it belongs to has failed.
    fn rewind(&mut self, mark: usize);
}

/// The readers of one consumer. Calls are known by numbers that the consumer chooses.
///
/// Any thread may call anything; drains wait for each other.
pub struct Feed {
    queue: Arc<Queue>,
    seats: Mutex<Seats>,
    finished: Mutex<Vec<u32>>,
    drain: Mutex<()>,
}

#[derive(Default)]
struct Seats {
    by_call: BTreeMap<u32, Arc<Seat>>,
    attachments: u64,
}

/// One attached call.
struct Seat {
    ring: Ring,
    bell: Arc<Bell>,
    channels: Vec<u8>,
    reader: Mutex<Reader>,
}

#[derive(Default)]
struct Reader {
    cursor: Cursor,
    stage: Stage,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Live,
    /// The consumer has been told that the call is over.
    Finished,
    /// Detached, while a drain was about to serve it.
    Gone,
}

impl Feed {
    /// A feed without calls.
    ///
    /// `wake` runs, in the thread that writes, ends or attaches and with no lock held, when the
    /// feed becomes pending after a drain or a look at [`Feed::is_pending`] found it not to be.
    /// It may come once too often, and never once too seldom.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            queue: Arc::new(Queue::new(Box::new(wake))),
            seats: Mutex::default(),
            finished: Mutex::default(),
            drain: Mutex::default(),
        }
    }

    /// Adds a reader that is owed everything from `position` on, or from the end of what is
    /// written (`None`). Of its items the consumer gets `channels`.
    ///
    /// # Errors
    /// [`RingError::AlreadyAttached`].
    pub fn attach(
        &self,
        call: u32,
        ring: &Ring,
        channels: &[u8],
        position: Option<u64>,
    ) -> Result<(), RingError> {
        self.attach_late(call, ring, channels, Start { position, owed_from: None })
    }

    /// Adds a reader that may have come when some of the audio was gone already.
    ///
    /// # Errors
    /// [`RingError::AlreadyAttached`].
    pub fn attach_late(
        &self,
        call: u32,
        ring: &Ring,
        channels: &[u8],
        start: Start,
    ) -> Result<(), RingError> {
        let mut seats = lock(&self.seats);
        if seats.by_call.contains_key(&call) {
            return Err(RingError::AlreadyAttached(call));
        }
        seats.attachments += 1;
        let attachment = seats.attachments;
        let ticket = Ticket { call, attachment };
        let bell = Arc::new(Bell::new(ticket, Arc::clone(&self.queue)));
        // A write that comes from now on queues a ticket. Whoever takes it waits at the lock of
        // the seats until this call has its seat, so that the ticket is not lost.
        let (cursor, pending) = ring.subscribe(Arc::clone(&bell), start);
        let reader = Reader { cursor, ..Reader::default() };
        let seat = Seat {
            ring: ring.clone(),
            bell: Arc::clone(&bell),
            channels: channels.to_vec(),
            reader: Mutex::new(reader),
        };
        seats.by_call.insert(call, Arc::new(seat));
        drop(seats);
        if pending {
            bell.ring();
        }
        Ok(())
    }

    /// Removes a reader; what it has not read is dropped. Gives its last books.
    ///
    /// # Errors
    /// [`RingError::NotAttached`].
    pub fn detach(&self, call: u32) -> Result<Books, RingError> {
        let seat = lock(&self.seats).by_call.remove(&call).ok_or(RingError::NotAttached(call))?;
        seat.ring.unsubscribe(&seat.bell);
        let mut books = seat.leave();
        self.queue.forget(seat.bell.ticket);
        lock(&self.finished).retain(|finished| *finished != call);
        books.dropped.detached = std::mem::take(&mut books.buffered);
        Ok(books)
    }

    /// Hands out what the calls have, a turn each, until `outlet` holds `max_bytes` or more, or
    /// nothing is left. Gives the calls in whose turn `outlet` panicked: these have ended, and
    /// the rest of their audio is dropped as a fault.
    pub fn drain(&self, max_bytes: usize, outlet: &mut dyn Outlet) -> Vec<u32> {
        let _one_at_a_time = lock(&self.drain);
        let mut faults = Vec::new();
        while outlet.bytes() < max_bytes {
            let Some(ticket) = self.queue.pop() else {
                return faults;
            };
            let seat = lock(&self.seats).by_call.get(&ticket.call).cloned();
            if let Some(seat) = seat.filter(|seat| seat.bell.ticket == ticket) {
                if !self.serve(&seat, max_bytes, outlet) {
                    faults.push(ticket.call);
                }
            }
        }
        self.queue.rest();
        faults
    }

    /// Hands out what one call has, out of its turn: `max_bytes` or more, if it has so much. Gives
    /// whether something is left; of a call in whose turn `outlet` panicked, nothing is.
    ///
    /// # Errors
    /// [`RingError::NotAttached`].
    pub fn drain_call(
        &self,
        call: u32,
        max_bytes: usize,
        outlet: &mut dyn Outlet,
    ) -> Result<bool, RingError> {
        let seat = lock(&self.seats).by_call.get(&call).cloned();
        let seat = seat.ok_or(RingError::NotAttached(call))?;
        self.serve(&seat, max_bytes, outlet);
        let reached = lock(&seat.reader).cursor.position;
        Ok(reached < seat.ring.position())
    }

    /// The calls that have ended and are read to their end; each is named once.
    #[must_use]
    pub fn finished(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.finished))
    }

    /// The books of a call now.
    ///
    /// # Errors
    /// [`RingError::NotAttached`].
    pub fn books(&self, call: u32) -> Result<Books, RingError> {
        let seat = lock(&self.seats).by_call.get(&call).cloned();
        let seat = seat.ok_or(RingError::NotAttached(call))?;
        let reader = lock(&seat.reader);
        Ok(seat.books(&reader))
    }

    /// Whether a drain would find something to look at.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.queue.is_empty()
    }

    /// One turn; false if `outlet` panicked.
    fn serve(&self, seat: &Seat, max_bytes: usize, outlet: &mut dyn Outlet) -> bool {
        seat.bell.reset();
        let mut reader = lock(&seat.reader);
        if reader.stage == Stage::Gone {
            return true;
        }
        let before = reader.cursor;
        let mark = outlet.mark();
        let turn = || seat.turn(&mut reader.cursor, max_bytes, outlet);
        let outcome = catch_unwind(AssertUnwindSafe(turn));
        let healthy = outcome.is_ok();
        let (progress, news) = outcome.map_or_else(
            |_| {
                outlet.rewind(mark);
                reader.cursor = before;
                (Progress::Finished, seat.ring.abandon(&mut reader.cursor))
            },
            |progress| (progress, News::default()),
        );
        if progress == Progress::Finished && reader.stage == Stage::Live {
            reader.stage = Stage::Finished;
            lock(&self.finished).push(seat.bell.ticket.call);
        }
        drop(reader);
        if progress == Progress::More {
            seat.bell.ring();
        }
        news.announce();
        healthy
    }
}

impl Seat {
    fn turn(&self, cursor: &mut Cursor, max_bytes: usize, outlet: &mut dyn Outlet) -> Progress {
        self.ring.read(cursor, TURN_SAMPLES, |item| {
            outlet.take(self.bell.ticket.call, &self.channels, &item);
            if outlet.bytes() < max_bytes {
                Appetite::Hungry
            } else {
                Appetite::Full
            }
        })
    }

    fn books(&self, reader: &Reader) -> Books {
        self.ring.books(&reader.cursor)
    }

    fn leave(&self) -> Books {
        let mut reader = lock(&self.reader);
        reader.stage = Stage::Gone;
        self.books(&reader)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        for seat in lock(&self.seats).by_call.values() {
            seat.ring.unsubscribe(&seat.bell);
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Feed").field("queue", &self.queue).finish_non_exhaustive()
    }
}
