//! Several gateways' streams into one, for one consumer.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Deserialize;

use crate::decode::{check_header, parse, u32_at, CALL_AT, CHANNEL_AT, KIND_AT};
use crate::encode::write_json;
use crate::error::WireError;
use crate::frame::{Audio, Frame, Gap, Json};
use crate::kind::{GapReason, Kind};
use crate::{CONNECTION, HEADER_BYTES, MAX_GATEWAY_FRAME_BYTES};

/// Merges what several gateways send into what one gateway would.
///
/// The sources are the processes of one gateway; each gives its calls numbers of its own. Whole
/// frames pass as they are, under new numbers that are given in rising order and never twice.
/// Nothing is kept but the beginning of a frame that is not complete, and of a group: the frames
/// of all channels of a call for the same positions pass together, so that at any moment a
/// consumer has as much of one channel as of the others. Any cutting of what a source sends gives
/// the same frames.
#[derive(Debug, Default)]
pub struct Merger {
    sources: HashMap<u32, Source>,
    calls: HashMap<u32, Call>,
    sessions: HashMap<String, u32>,
    closed: Closed,
    last_number: u32,
    audio_frames: u64,
}

/// A frame that concerns a connection with a source and no call: for whoever holds it to judge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// What it is.
    pub kind: Kind,
    /// Its JSON, not read.
    pub body: String,
}

/// Where a call really is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route {
    /// The source that has it.
    pub source: u32,
    /// Its number there.
    pub number: u32,
}

#[derive(Debug, Default)]
struct Source {
    /// The beginning of what is not complete.
    held: Vec<u8>,
    /// Given numbers of its open calls by its own.
    numbers: BTreeMap<u32, u32>,
}

/// Sources of calls that have been closed, the latest of them.
#[derive(Debug, Default)]
struct Closed {
    sources: HashMap<String, u32>,
    sessions: VecDeque<String>,
}

#[derive(Debug)]
struct Call {
    route: Route,
    session: String,
    channels: usize,
    position: u64,
    forwarded: u64,
    overrun: u64,
    late: u64,
    acknowledged: u64,
}

#[derive(Deserialize)]
struct Opening {
    session: String,
    channels: Vec<String>,
    position: u64,
}

impl Merger {
    /// A merger without sources.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with a source; one of the same name must have been lost before.
    pub fn add(&mut self, source: u32) {
        self.sources.entry(source).or_default();
    }

    /// Takes in the next bytes of a source. What may pass now is appended to `out`.
    ///
    /// # Errors
    /// The rule that the source has broken; frames before that have been appended. A source that
    /// is not known breaks none: its bytes are dropped.
    pub fn feed(
        &mut self,
        source: u32,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Vec<Note>, WireError> {
        let Some(known) = self.sources.get_mut(&source) else { return Ok(Vec::new()) };
        let mut held = std::mem::take(&mut known.held);
        let mut notes = Vec::new();
        if held.is_empty() {
            let taken = self.pass_all(source, chunk, out, &mut notes)?;
            held.extend_from_slice(&chunk[taken..]);
        } else {
            held.extend_from_slice(chunk);
            let taken = self.pass_all(source, &held, out, &mut notes)?;
            held.drain(..taken);
        }
        if let Some(known) = self.sources.get_mut(&source) {
            known.held = held;
        }
        Ok(notes)
    }

    /// Ends a source: what is incomplete of it is dropped, and its open calls are closed in
    /// `out`, with the books of what has passed. Gives how many these were.
    pub fn lose(&mut self, source: u32, out: &mut Vec<u8>) -> usize {
        let Some(lost) = self.sources.remove(&source) else { return 0 };
        for given in lost.numbers.values() {
            if let Some(call) = self.forget(*given) {
                // It is far shorter than a frame may be.
                let _ = write_json(out, Kind::Close, *given, call.last_words().as_bytes());
            }
        }
        lost.numbers.len()
    }

    /// Where the call is that has this number in what was merged.
    #[must_use]
    pub fn route(&self, number: u32) -> Option<Route> {
        self.calls.get(&number).map(|call| call.route)
    }

    /// Where an ack goes; nowhere if it leads no further than those before it.
    pub fn acknowledge(&mut self, number: u32, position: u64) -> Option<Route> {
        let call = self.calls.get_mut(&number).filter(|call| position > call.acknowledged)?;
        call.acknowledged = position;
        Some(call.route)
    }

    /// The number of the open call of a session; the id in lower case.
    #[must_use]
    pub fn find(&self, session: &str) -> Option<u32> {
        self.sessions.get(session).copied()
    }

    /// The source that has closed the call of a session a while ago; the id in lower case.
    #[must_use]
    pub fn closed_by(&self, session: &str) -> Option<u32> {
        let source = self.closed.sources.get(session)?;
        self.sources.contains_key(source).then_some(*source)
    }

    /// How many calls are open.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Audio frames that have passed.
    #[must_use]
    pub const fn audio_frames(&self) -> u64 {
        self.audio_frames
    }

    /// Bytes that are kept, of all sources.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.sources.values().map(|source| source.held.len()).sum()
    }

    /// Passes what is complete; gives how many bytes that were.
    fn pass_all(
        &mut self,
        source: u32,
        arrived: &[u8],
        out: &mut Vec<u8>,
        notes: &mut Vec<Note>,
    ) -> Result<usize, WireError> {
        let mut taken = 0;
        while let Some(group) = self.next_group(source, &arrived[taken..])? {
            let end = taken + group;
            while taken < end {
                let length = u32_at(arrived, taken) as usize + 4;
                self.pass(source, &arrived[taken..taken + length], out, notes)?;
                taken += length;
            }
        }
        Ok(taken)
    }

    /// Bytes of what must pass together and has arrived: mostly one frame, of audio one for each
    /// channel. `None` until it is complete.
    fn next_group(&self, source: u32, arrived: &[u8]) -> Result<Option<usize>, WireError> {
        let Some(first) = whole_frame(arrived)? else { return Ok(None) };
        if first[KIND_AT] != Kind::Audio.number() {
            return Ok(Some(first.len()));
        }
        let channels = self.call_of(source, u32_at(first, CALL_AT)).map_or(1, |call| call.channels);
        let mut end = first.len();
        for _ in 1..channels {
            let Some(next) = whole_frame(&arrived[end..])? else { return Ok(None) };
            if !is_of_group(first, next) {
                break;
            }
            end += next.len();
        }
        Ok(Some(end))
    }

    fn pass(
        &mut self,
        source: u32,
        frame: &[u8],
        out: &mut Vec<u8>,
        notes: &mut Vec<Note>,
    ) -> Result<(), WireError> {
        let number = u32_at(frame, CALL_AT);
        let Some(kind) = Kind::from_number(frame[KIND_AT]) else {
            // Of a later version: receivers skip it, but it must not name a wrong call.
            if let Some(given) = self.given(source, number) {
                append(out, frame, given);
            }
            return Ok(());
        };
        let parsed = parse(kind, frame)?;
        match parsed {
            Frame::Json(Json { call: CONNECTION, body, .. }) => {
                notes.push(Note { kind, body: body.to_owned() });
                return Ok(());
            }
            Frame::Json(Json { kind: Kind::Open, call, body }) => self.open(source, call, body)?,
            _ => {}
        }
        let given = self.given(source, number).ok_or(WireError::NotOpen { kind, call: number })?;
        append(out, frame, given);
        match parsed {
            Frame::Audio(audio) => self.count_audio(given, &audio),
            Frame::Gap(gap) => self.count_gap(given, &gap),
            Frame::Json(Json { kind: Kind::Close, .. }) => {
                if let Some(call) = self.forget(given) {
                    self.closed.note(call.session, source);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, source: u32, number: u32, body: &str) -> Result<(), WireError> {
        let opening: Opening =
            serde_json::from_str(body).map_err(|_| WireError::BadOpen { call: number })?;
        let given = self.last_number.checked_add(1).ok_or(WireError::NoNumberLeft)?;
        let Some(known) = self.sources.get_mut(&source) else { return Ok(()) };
        if known.numbers.insert(number, given).is_some() {
            return Err(WireError::BadOpen { call: number });
        }
        self.last_number = given;
        let session = opening.session.to_lowercase();
        self.sessions.insert(session.clone(), given);
        let (channels, position) = (opening.channels.len(), opening.position);
        let route = Route { source, number };
        let begun = Call {
            route,
            session,
            channels,
            position,
            forwarded: 0,
            overrun: 0,
            late: 0,
            acknowledged: 0,
        };
        self.calls.insert(given, begun);
        Ok(())
    }

    fn forget(&mut self, given: u32) -> Option<Call> {
        let call = self.calls.remove(&given)?;
        if self.sessions.get(&call.session) == Some(&given) {
            self.sessions.remove(&call.session);
        }
        if let Some(source) = self.sources.get_mut(&call.route.source) {
            source.numbers.remove(&call.route.number);
        }
        Some(call)
    }

    fn count_audio(&mut self, given: u32, audio: &Audio<'_>) {
        self.audio_frames += 1;
        let Some(call) = self.calls.get_mut(&given) else { return };
        let samples = (audio.pcm.len() / 2) as u64;
        // The first frame of a group moves on; those of the other channels are not beyond it.
        if audio.position >= call.position {
            call.position = audio.position + samples;
            call.forwarded += samples;
        }
    }

    fn count_gap(&mut self, given: u32, gap: &Gap) {
        let Some(call) = self.calls.get_mut(&given) else { return };
        call.position = gap.position + gap.samples;
        let counted = match gap.known_reason() {
            Some(GapReason::Overrun) => &mut call.overrun,
            Some(GapReason::Late) => &mut call.late,
            _ => return,
        };
        *counted = counted.saturating_add(gap.samples);
    }

    fn call_of(&self, source: u32, number: u32) -> Option<&Call> {
        self.calls.get(&self.given(source, number)?)
    }

    fn given(&self, source: u32, number: u32) -> Option<u32> {
        self.sources.get(&source)?.numbers.get(&number).copied()
    }
}

impl Closed {
    fn note(&mut self, session: String, source: u32) {
        if self.sources.insert(session.clone(), source).is_none() {
            self.sessions.push_back(session);
        }
        if self.sessions.len() > CLOSED_SESSIONS {
            if let Some(oldest) = self.sessions.pop_front() {
                self.sources.remove(&oldest);
            }
        }
    }
}

impl Call {
    /// The body of a close that its source cannot send any more.
    fn last_words(&self) -> String {
        let Self { position, forwarded, overrun, late, .. } = self;
        let received = forwarded.saturating_add(*overrun);
        let dropped = if *overrun > 0 { format!(r#""overrun":{overrun}"#) } else { String::new() };
        let late = if *late > 0 { format!(r#","late":{late}"#) } else { String::new() };
        format!(
            r#"{{"reason":"worker_lost","position":{position},"books":{{"received":{received},"forwarded":{forwarded},"buffered":0,"dropped":{{{dropped}}}{late}}}}}"#
        )
    }
}

/// The frame that begins here, if all of it has arrived.
fn whole_frame(arrived: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let Some(length) = check_header(arrived, MAX_GATEWAY_FRAME_BYTES)? else { return Ok(None) };
    Ok(arrived.get(..length))
}

/// Whether a frame is the same audio as the one before it, in another channel.
fn is_of_group(first: &[u8], next: &[u8]) -> bool {
    // Length, call, and behind them the number of samples and the position.
    let facts = |frame: &[u8]| {
        frame.get(..GROUP_END).map(|head| {
            let mut facts = [0; GROUP_END];
            facts.copy_from_slice(head);
            facts[CHANNEL_AT] = 0;
            facts
        })
    };
    facts(first).is_some() && facts(first) == facts(next) && first[CHANNEL_AT] != next[CHANNEL_AT]
}

fn append(out: &mut Vec<u8>, frame: &[u8], given: u32) {
    let start = out.len();
    out.extend_from_slice(frame);
    out[start + CALL_AT..start + HEADER_BYTES].copy_from_slice(&given.to_le_bytes());
}

/// Closed calls that are remembered: more than end while a consumer finds its last words.
const CLOSED_SESSIONS: usize = 4096;
/// Where the position of an audio frame ends.
const GROUP_END: usize = crate::AUDIO_HEADER_BYTES;
