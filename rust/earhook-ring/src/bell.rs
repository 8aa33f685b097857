//! How a write becomes known to the feeds that read the ring, and is never forgotten.

use std::collections::VecDeque;
use std::fmt;

use crate::sync::{lock, Arc, AtomicBool, Mutex, Ordering};

/// Names one attachment of a call to a feed; a call that is attached again gets another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) call: u32,
    pub(crate) attachment: u64,
}

/// What a ring rings for one attached feed: puts the call into the feed's queue, once.
#[derive(Debug)]
pub(crate) struct Bell {
    pub(crate) ticket: Ticket,
    queued: AtomicBool,
    queue: Arc<Queue>,
}

impl Bell {
    pub(crate) fn new(ticket: Ticket, queue: Arc<Queue>) -> Self {
        Self { ticket, queued: AtomicBool::new(false), queue }
    }

    /// Queues the call unless it is queued; may wake the feed. Hold no lock.
    pub(crate) fn ring(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.ticket);
        }
    }

    /// Queues the call unless it is queued, and wakes nobody: the next drain finds it.
    pub(crate) fn leave(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.leave(self.ticket);
        }
    }

    /// To be called after taking the ticket and *before* looking into the ring: what is written
    /// after the look then queues the call again.
    ///
    /// A swap and not a store, so that it comes after every `ring` that found the call queued,
    /// and the look sees what was written before those.
    pub(crate) fn reset(&self) {
        self.queued.swap(false, Ordering::AcqRel);
    }
}

/// The bells to ring for a change, once all locks are released.
#[must_use = "readers are not told until `announce`"]
#[derive(Debug, Default)]
pub struct News {
    pub(crate) bells: Option<Arc<Vec<Arc<Bell>>>>,
}

impl News {
    /// Tells the feeds; runs the wake functions of those that were idle. Hold no lock.
    pub fn announce(self) {
        for bell in self.bells.iter().flat_map(|bells| bells.iter()) {
            bell.ring();
        }
    }

    /// Tells the feeds at their next drain or look; runs no wake function now.
    pub fn leave(self) {
        for bell in self.bells.iter().flat_map(|bells| bells.iter()) {
            bell.leave();
        }
    }
}

type Wake = Box<dyn Fn() + Send + Sync>;

/// The calls of a feed that have news, in the order in which they got them.
pub(crate) struct Queue {
    line: Mutex<Line>,
    wake: Wake,
}

#[derive(Debug)]
struct Line {
    tickets: VecDeque<Ticket>,
    /// The consumer has seen an empty line, and waits to be woken. Nothing has come since but what
    /// was left without a word.
    armed: bool,
}

impl Queue {
    pub(crate) fn new(wake: Wake) -> Self {
        let line = Line { tickets: VecDeque::new(), armed: true };
        Self { line: Mutex::new(line), wake }
    }

    pub(crate) fn push(&self, ticket: Ticket) {
        let was_armed = {
            let mut line = lock(&self.line);
            line.tickets.push_back(ticket);
            std::mem::take(&mut line.armed)
        };
        if was_armed {
            (self.wake)();
        }
    }

    /// Puts a ticket into the line; whoever pushes the next one wakes the consumer for both.
    pub(crate) fn leave(&self, ticket: Ticket) {
        lock(&self.line).tickets.push_back(ticket);
    }

    /// The next ticket; `None` arms the wake.
    pub(crate) fn pop(&self) -> Option<Ticket> {
        let mut line = lock(&self.line);
        let ticket = line.tickets.pop_front();
        line.armed = ticket.is_none();
        ticket
    }

    /// Whether somebody is in line; if not, arms the wake.
    pub(crate) fn rest(&self) {
        let mut line = lock(&self.line);
        line.armed = line.tickets.is_empty();
    }

    /// Takes a ticket out of the line, wherever it stands.
    pub(crate) fn forget(&self, ticket: Ticket) {
        let mut line = lock(&self.line);
        line.tickets.retain(|queued| *queued != ticket);
        // The consumer may already have decided by `is_empty` not to come.
        line.armed |= line.tickets.is_empty();
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.line).tickets.is_empty()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Queue").field("line", &self.line).finish_non_exhaustive()
    }
}
