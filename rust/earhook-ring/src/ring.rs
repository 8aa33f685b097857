//! The ring of one call: a timeline behind one lock.

use earhook_audio::g711::Law;

use crate::bell::{Bell, News};
use crate::budget::{Budget, Reservation};
use crate::cursor::{Books, Cursor, Start};
use crate::gaps::Gap;
use crate::sync::{lock, Arc, Mutex};
use crate::timeline::{Audio, Item, Timeline};
use crate::{GapReason, RingError};

/// What a ring holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingShape {
    /// The channel number of each lane, in the order in which writes bring them.
    pub channels: Vec<u8>,
    /// How many samples of each channel are kept.
    pub capacity_samples: usize,
}

impl RingShape {
    /// What the samples of such a ring cost at most; as codes they cost half.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let samples = (self.channels.len() as u64).saturating_mul(self.capacity_samples as u64);
        samples.saturating_mul(2)
    }

    fn is_sound(&self) -> bool {
        let distinct = |(index, channel)| !self.channels[..index].contains(channel);
        self.capacity_samples > 0
            && !self.channels.is_empty()
            && self.channels.iter().enumerate().all(distinct)
    }
}

/// The ring of one call. Clones share it; its bytes go back to the budget with the last one.
#[derive(Debug, Clone)]
pub struct Ring {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    timeline: Timeline,
    reservation: Reservation,
    ended: bool,
    /// Replaced as a whole on attach and detach, so that a write takes them along for one count.
    bells: Arc<Vec<Arc<Bell>>>,
}

impl Ring {
    /// An empty ring at position 0.
    ///
    /// # Errors
    /// [`RingError::Shape`] or [`RingError::BudgetExhausted`].
    pub fn new(budget: &Budget, shape: &RingShape) -> Result<Self, RingError> {
        if !shape.is_sound() {
            return Err(RingError::Shape);
        }
        let reservation = budget.reserve(shape.bytes())?;
        let state = State {
            timeline: Timeline::new(&shape.channels, shape.capacity_samples),
            reservation,
            ended: false,
            bells: Arc::new(Vec::new()),
        };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state) }) })
    }

    /// Appends samples, one slice per channel in the order of the ring's shape. A ring that has
    /// ended takes none. Gives the samples per channel that were written.
    ///
    /// # Errors
    /// [`RingError::Lanes`], [`RingError::Coded`], or [`RingError::Memory`] at the first write.
    pub fn write<L: AsRef<[i16]>>(&self, planar: &[L]) -> Result<(usize, News), RingError> {
        let mut state = lock(&self.shared.state);
        if state.ended {
            return Ok((0, News::default()));
        }
        let samples = state.timeline.write(planar)?;
        Ok((samples, state.news()))
    }

    /// Appends samples as codes of G.711, those of all channels in turn, which whoever reads them
    /// decodes. A ring that is begun so holds half the bytes of its reservation and gives
    /// back the other half.
    ///
    /// # Errors
    /// [`RingError::Lanes`] if a group of codes is not whole, or [`RingError::Memory`].
    pub fn write_codes(&self, codes: &[u8], law: Law) -> Result<(usize, News), RingError> {
        let mut state = lock(&self.shared.state);
        if state.ended {
            return Ok((0, News::default()));
        }
        let samples = state.timeline.write_codes(codes, law)?;
        if state.timeline.stored() == samples as u64 {
            let bytes = state.timeline.cost_bytes();
            state.reservation.shrink_to(bytes);
        }
        Ok((samples, state.news()))
    }

    /// Appends positions without samples. A ring that has ended takes none.
    ///
    /// # Errors
    /// [`RingError::PositionLimit`].
    pub fn gap(&self, samples: u64, reason: GapReason) -> Result<News, RingError> {
        let mut state = lock(&self.shared.state);
        if state.ended {
            return Ok(News::default());
        }
        state.timeline.gap(samples, reason)?;
        Ok(state.news())
    }

    /// Says that nothing follows. Doing it again changes nothing.
    pub fn end(&self) -> News {
        let mut state = lock(&self.shared.state);
        if std::mem::replace(&mut state.ended, true) {
            return News::default();
        }
        state.news()
    }

    /// Whether the ring has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        lock(&self.shared.state).ended
    }

    /// The next position to be written: samples and gaps so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        lock(&self.shared.state).timeline.position()
    }

    /// The oldest position that can be read, gaps after it aside; the end if there is none.
    #[must_use]
    pub fn oldest_position(&self) -> u64 {
        lock(&self.shared.state).timeline.oldest_position()
    }

    /// Samples per channel written so far.
    #[must_use]
    pub fn written_samples(&self) -> u64 {
        lock(&self.shared.state).timeline.stored()
    }

    /// The gaps so far, oldest first; of more than [`crate::MAX_GAPS`], the most recent.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let state = lock(&self.shared.state);
        state.timeline.gaps().recent().collect()
    }

    /// Copies out the samples of the last write, as far as the ring holds them: one channel
    /// number and its samples per lane.
    #[must_use]
    pub fn last_write(&self) -> Vec<(u8, Vec<i16>)> {
        let state = lock(&self.shared.state);
        let audio = state.timeline.last_write();
        let copy = |channel: &u8| {
            let mut samples = Vec::with_capacity(audio.samples);
            audio.channel(*channel)?.append_to(&mut samples);
            Some((*channel, samples))
        };
        state.timeline.channels().iter().filter_map(copy).collect()
    }

    /// Places a cursor and hangs up a bell, in one step: a write is either before the cursor's
    /// first look or rings the bell. Says whether there is something to look at already.
    pub(crate) fn subscribe(&self, bell: Arc<Bell>, start: Start) -> (Cursor, bool) {
        let mut state = lock(&self.shared.state);
        let cursor = state.timeline.cursor(start);
        let mut bells = state.bells.to_vec();
        bells.push(bell);
        state.bells = Arc::new(bells);
        let pending = state.ended || !state.timeline.is_read(&cursor);
        (cursor, pending)
    }

    pub(crate) fn unsubscribe(&self, bell: &Arc<Bell>) {
        let mut state = lock(&self.shared.state);
        let kept = |other: &&Arc<Bell>| !Arc::ptr_eq(other, bell);
        state.bells = Arc::new(state.bells.iter().filter(kept).cloned().collect());
    }

    /// Hands items to `take` until it says that it has enough, `max_samples` samples have gone
    /// out, or nothing is left. The ring is locked meanwhile: `take` copies and does no more.
    pub(crate) fn read(
        &self,
        cursor: &mut Cursor,
        max_samples: usize,
        mut take: impl FnMut(Item<'_>) -> Appetite,
    ) -> Progress {
        let state = lock(&self.shared.state);
        let mut left = max_samples;
        while let Some(item) = state.timeline.next(cursor, left) {
            if let Item::Audio(Audio { samples, .. }) = &item {
                left -= samples;
            }
            if take(item) == Appetite::Full {
                break;
            }
        }
        match (state.timeline.is_read(cursor), state.ended) {
            (false, _) => Progress::More,
            (true, false) => Progress::Level,
            (true, true) => Progress::Finished,
        }
    }

    /// Ends the ring after a defect; drops what the cursor has not read, and what it holds.
    pub(crate) fn abandon(&self, cursor: &mut Cursor) -> News {
        let mut state = lock(&self.shared.state);
        state.timeline.abandon(cursor);
        if std::mem::replace(&mut state.ended, true) {
            return News::default();
        }
        state.news()
    }

    pub(crate) fn books(&self, cursor: &Cursor) -> Books {
        lock(&self.shared.state).timeline.books(cursor)
    }
}

impl State {
    fn news(&self) -> News {
        News { bells: (!self.bells.is_empty()).then(|| Arc::clone(&self.bells)) }
    }
}

/// Whether a reader takes another item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appetite {
    Hungry,
    Full,
}

/// Where a reader stands after a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to read.
    More,
    /// Everything so far is read.
    Level,
    /// Everything is read, and nothing follows.
    Finished,
}
