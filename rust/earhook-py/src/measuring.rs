//! Calls that are measured as they are read: one reader and one analysis each.

use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use earhook_audio::analysis::{CallAnalysis, Fact, LaneLevel, Settings, Stretch, Summary};
use earhook_ring::{Books, Feed, Item, Outlet, Ring};

use crate::error::Refusal;

/// Audio that is taken out of the rings and measured in one step, for as long as nobody else gets
/// at the desk: about 10 frames of a stereo call.
const STEP_BYTES: usize = 64 << 10;

/// What an item weighs besides its samples, so that gaps alone fill a step too.
const PIECE_BYTES: usize = 32;

/// The readers and analyses of all calls of one sink.
pub(crate) struct Measuring {
    feed: Feed,
    settings: Settings,
    desk: Mutex<Desk>,
    /// How many wait for the desk with something short.
    waiting: AtomicUsize,
}

/// A fact, and the channels of its call by their lanes.
pub(crate) struct Found {
    pub(crate) call: u32,
    pub(crate) channels: Channels,
    pub(crate) fact: Fact,
}

/// Channel numbers by lanes.
pub(crate) type Channels = Vec<u8>;

/// A call at its end.
pub(crate) struct Finished {
    pub(crate) found: Vec<Found>,
    pub(crate) channels: Channels,
    /// None if a defect has cost the call its analysis.
    pub(crate) summary: Option<Summary>,
    /// Of all of it; as `summary`.
    pub(crate) envelope: Option<Stretch>,
    pub(crate) books: Books,
}

#[derive(Default)]
struct Desk {
    calls: HashMap<u32, Measured>,
    drawn: Drawn,
    facts: Vec<Fact>,
    found: Vec<Found>,
    faults: Vec<u32>,
}

struct Measured {
    channels: Channels,
    /// None after a defect.
    analysis: Option<CallAnalysis>,
}

impl Measuring {
    pub(crate) fn new(settings: Settings) -> Self {
        let feed = Feed::new(|| {});
        Self { feed, settings, desk: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Measures a call from its start.
    pub(crate) fn attach(
        &self,
        call: u32,
        ring: &Ring,
        channels: Channels,
        rate: u32,
    ) -> Result<(), Refusal> {
        let analysis = CallAnalysis::new(rate, channels.len(), &self.settings)
            .map_err(|error| Refusal::Argument(error.to_string()))?;
        let mut desk = self.shortly();
        self.feed.attach(call, ring, &channels, Some(0))?;
        desk.calls.insert(call, Measured { channels, analysis: Some(analysis) });
        Ok(())
    }

    /// Measures what there is; gives whether it stopped because somebody waits, and the calls
    /// that a defect has cost their analyses.
    pub(crate) fn measure(&self) -> (bool, Vec<u32>) {
        loop {
            let mut desk = self.lock();
            let is_behind = desk.step(&self.feed);
            if !is_behind || self.waiting.load(Ordering::Acquire) > 0 {
                return (is_behind, std::mem::take(&mut desk.faults));
            }
        }
    }

    /// What was found since the last time, `most` of it.
    pub(crate) fn take(&self, most: usize) -> Vec<Found> {
        let mut desk = self.shortly();
        let most = most.min(desk.found.len());
        desk.found.drain(..most).collect()
    }

    /// Whether `take` would give something.
    pub(crate) fn has_found(&self) -> bool {
        !self.shortly().found.is_empty()
    }

    /// Measures the rest of a call, and lets go of it.
    pub(crate) fn finish(&self, call: u32) -> Result<Finished, Refusal> {
        let mut desk = self.shortly();
        while desk.step_of(&self.feed, call)? {}
        let books = self.feed.detach(call)?;
        let (channels, ended) = desk.end(call);
        let (summary, envelope) = ended.unzip();
        let (found, others) =
            std::mem::take(&mut desk.found).into_iter().partition(|found| found.call == call);
        desk.found = others;
        Ok(Finished { found, channels, summary, envelope, books })
    }

    /// A call in figures so far; nothing of one that is not attached or has lost its analysis.
    pub(crate) fn summary(&self, call: u32) -> Option<(Channels, Summary)> {
        let desk = self.shortly();
        let measured = desk.calls.get(&call)?;
        Some((measured.channels.clone(), measured.analysis.as_ref()?.summary()))
    }

    /// How loud a call is now, by channel.
    pub(crate) fn levels(&self, call: u32) -> Vec<(u8, LaneLevel)> {
        let desk = self.shortly();
        let measured = desk.calls.get(&call);
        let levels = measured.and_then(|measured| {
            let levels = measured.analysis.as_ref()?.levels();
            Some(measured.channels.iter().copied().zip(levels).collect())
        });
        levels.unwrap_or_default()
    }

    /// How loud a call has been, up to now; as `summary`.
    pub(crate) fn envelope(&self, call: u32, since: u64) -> Option<(Channels, Stretch)> {
        let desk = self.shortly();
        let measured = desk.calls.get(&call)?;
        Some((measured.channels.clone(), measured.analysis.as_ref()?.envelope(since)))
    }

    pub(crate) fn books(&self, call: u32) -> Result<Books, Refusal> {
        Ok(self.feed.books(call)?)
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk for a moment. Whoever measures leaves it at the end of a step.
    ///
    /// To be called with the interpreter held: who measures has to wait for that before it takes
    /// the desk again, and so cannot be quicker.
    fn shortly(&self) -> MutexGuard<'_, Desk> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let desk = self.lock();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        desk
    }
}

impl Desk {
    /// Measures some audio of any calls; gives whether there may be more.
    fn step(&mut self, feed: &Feed) -> bool {
        self.drawn.clear();
        let faults = feed.drain(STEP_BYTES, &mut self.drawn);
        self.faults.extend(faults);
        self.measure_drawn();
        self.drawn.bytes() >= STEP_BYTES
    }

    /// Measures some audio of one call; gives whether there is more.
    fn step_of(&mut self, feed: &Feed, call: u32) -> Result<bool, Refusal> {
        self.drawn.clear();
        let is_behind = feed.drain_call(call, STEP_BYTES, &mut self.drawn)?;
        self.measure_drawn();
        Ok(is_behind)
    }

    fn measure_drawn(&mut self) {
        let Self { calls, drawn, facts, found, faults } = self;
        for piece in &drawn.pieces {
            let Some(measured) = calls.get_mut(&piece.call) else { continue };
            let Some(analysis) = &mut measured.analysis else { continue };
            // A defect costs this call its figures, and nobody anything else.
            let outcome = catch_unwind(AssertUnwindSafe(|| drawn.push(piece, analysis, facts)));
            if outcome.is_err() {
                measured.analysis = None;
                faults.push(piece.call);
            }
            note(found, piece.call, &measured.channels, facts);
        }
    }

    fn end(&mut self, call: u32) -> (Channels, Option<(Summary, Stretch)>) {
        let Some(Measured { channels, analysis }) = self.calls.remove(&call) else {
            return (Channels::new(), None);
        };
        let facts = &mut self.facts;
        let ended = analysis.and_then(|mut analysis| {
            let whole = || (analysis.finish(facts), analysis.envelope(0));
            catch_unwind(AssertUnwindSafe(whole)).ok()
        });
        note(&mut self.found, call, &channels, facts);
        (channels, ended)
    }
}

fn note(found: &mut Vec<Found>, call: u32, channels: &[u8], facts: &mut Vec<Fact>) {
    let named = |fact| Found { call, channels: channels.to_vec(), fact };
    found.extend(facts.drain(..).map(named));
}

/// What was taken out of rings in one step.
#[derive(Default)]
struct Drawn {
    pieces: Vec<Piece>,
    /// Of each piece, one lane after the other.
    samples: Vec<i16>,
}

struct Piece {
    call: u32,
    position: u64,
    /// Per channel.
    samples: u64,
    /// Where they lie; None: there are none, it is a gap.
    lanes: Option<(usize, usize)>,
}

impl Drawn {
    fn clear(&mut self) {
        self.pieces.clear();
        self.samples.clear();
    }

    fn push(&self, piece: &Piece, analysis: &mut CallAnalysis, facts: &mut Vec<Fact>) {
        let Some((start, end)) = piece.lanes else {
            return analysis.push_gap(piece.position, piece.samples, facts);
        };
        let lanes = &self.samples[start..end];
        match usize::try_from(piece.samples) {
            Ok(samples) if samples < lanes.len() => {
                let (first, second) = lanes.split_at(samples);
                analysis.push_audio(piece.position, &[first, second], facts);
            }
            _ => analysis.push_audio(piece.position, &[lanes], facts),
        }
    }
}

impl Outlet for Drawn {
    fn bytes(&self) -> usize {
        2 * self.samples.len() + PIECE_BYTES * self.pieces.len()
    }

    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>) {
        let start = self.samples.len();
        let (position, samples, lanes) = match item {
            Item::Gap(gap) => (gap.position, gap.samples, None),
            Item::Audio(audio) => {
                for lane in channels.iter().filter_map(|channel| audio.channel(*channel)) {
                    lane.append_to(&mut self.samples);
                }
                (audio.position, audio.samples as u64, Some((start, self.samples.len())))
            }
        };
        self.pieces.push(Piece { call, position, samples, lanes });
    }

    fn mark(&self) -> usize {
        self.pieces.len()
    }

    fn rewind(&mut self, mark: usize) {
        let first = self.pieces[mark..].iter().find_map(|piece| piece.lanes);
        if let Some((start, _)) = first {
            self.samples.truncate(start);
        }
        self.pieces.truncate(mark);
    }
}
