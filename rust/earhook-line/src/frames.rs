//! Frames of a client, held to RFC 6455 and to limits.

use std::ops::Range;
use std::str::from_utf8;

use crate::head::{Head, HeadReader, Opcode};
use crate::mask::unmask;
use crate::message::Message;
use crate::pace::Pace;
use crate::rule::Rule;

/// Room that is kept for a frame that came in pieces when the frame is over: most are as long as
/// the one before.
const KEPT_BYTES: usize = 4096;

/// What one peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Size of a frame, and of a message in fragments.
    pub message_bytes: usize,
    /// Fragments of one message; empty ones count.
    pub fragments: usize,
    /// Frames of all kinds in any second.
    pub frames_per_second: usize,
    /// Pings and pongs in any second.
    pub control_frames_per_second: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            message_bytes: 65_536,
            fragments: 64,
            frames_per_second: 200,
            control_frames_per_second: 10,
        }
    }
}

/// What a peer says. Pongs are not told: nobody asks for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message, checked to be UTF-8.
    Text(&'a [u8]),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// A close frame with its code, if it has one. What follows it means nothing.
    Close(Option<u16>),
    /// A rule is broken. Nothing follows.
    Broken(Rule),
}

/// Reads the frames of one peer. The time is given in seconds on a clock that never goes back.
#[derive(Debug)]
pub struct FrameReader {
    limits: FrameLimits,
    pace: Pace,
    control_pace: Pace,
    head: HeadReader,
    frame: Option<Head>,
    /// The payload of `frame` so far, where it did not come as one piece; without its mask.
    body: Vec<u8>,
    message: Option<Box<Message>>,
    /// The message has been told, and goes when the next event is asked for.
    is_message_over: bool,
    is_broken: bool,
}

impl FrameReader {
    /// A reader at the first byte behind the upgrade.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            pace: Pace::in_blocks(limits.frames_per_second),
            control_pace: Pace::one_by_one(limits.control_frames_per_second),
            head: HeadReader::default(),
            frame: None,
            body: Vec::new(),
            message: None,
            is_message_over: false,
            is_broken: false,
        }
    }

    /// Takes bytes up to the next event; gives how many it took, and the event if there is one.
    /// Without an event it took them all. The mask is taken off in place.
    pub fn next<'a>(&'a mut self, chunk: &'a mut [u8], now: f64) -> (usize, Option<Event<'a>>) {
        self.forget_told();
        let mut at = 0;
        let found = self.advance(chunk, &mut at, now);
        let event = match found {
            Ok(None) => None,
            Ok(Some(found)) => Some(self.event(found, chunk)),
            Err(rule) => {
                self.is_broken = true;
                Some(Event::Broken(rule))
            }
        };
        (at, event)
    }

    fn advance(
        &mut self,
        chunk: &mut [u8],
        at: &mut usize,
        now: f64,
    ) -> Result<Option<Found>, Rule> {
        if self.is_broken {
            *at = chunk.len();
        }
        while *at < chunk.len() {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.head.take(chunk, at)? {
                    Some(head) => self.begin(head, now)?,
                    None => return Ok(None),
                },
            };
            let Some(place) = self.collect(&frame, chunk, at) else {
                return Ok(None);
            };
            self.frame = None;
            let found = self.finish(&frame, place, chunk, now)?;
            if found.is_some() {
                return Ok(found);
            }
            self.forget_body();
        }
        Ok(None)
    }

    /// Checks what a head says against what came before it.
    fn begin(&mut self, head: Head, now: f64) -> Result<Head, Rule> {
        let mut most = self.limits.message_bytes;
        if !head.is_control() {
            let continues = head.opcode == Opcode::Continuation;
            if continues != self.message.is_some() {
                return Err(Rule::Sequence);
            }
            most -= self.message.as_ref().map_or(0, |message| message.bytes.len());
        }
        if head.payload_bytes > most as u64 {
            return Err(Rule::TooLarge);
        }
        if !self.pace.admits(now) {
            return Err(Rule::FrameRate);
        }
        self.frame = Some(head);
        Ok(head)
    }

    /// Takes payload; says where it is when all of it is here.
    fn collect(&mut self, frame: &Head, chunk: &mut [u8], at: &mut usize) -> Option<Place> {
        let payload_bytes = usize::try_from(frame.payload_bytes).unwrap_or(usize::MAX);
        let taken = (payload_bytes - self.body.len()).min(chunk.len() - *at);
        let range = *at..*at + taken;
        *at = range.end;
        let part = &mut chunk[range.clone()];
        unmask(part, frame.mask, self.body.len());
        if taken == payload_bytes {
            return Some(Place::Chunk(range));
        }
        self.body.extend_from_slice(part);
        (self.body.len() == payload_bytes).then_some(Place::Body)
    }

    /// What a whole frame means.
    fn finish(
        &mut self,
        frame: &Head,
        place: Place,
        chunk: &[u8],
        now: f64,
    ) -> Result<Option<Found>, Rule> {
        let payload = place.payload(chunk, &self.body);
        match frame.opcode {
            Opcode::Close => return close_code(payload).map(|code| Some(Found::Close(code))),
            Opcode::Ping | Opcode::Pong => {
                if !self.control_pace.admits(now) {
                    return Err(Rule::ControlRate);
                }
                return Ok((frame.opcode == Opcode::Ping).then_some(Found::Ping(place)));
            }
            Opcode::Text if frame.fin => {
                from_utf8(payload).map_err(|_| Rule::Text)?;
                return Ok(Some(Found::Text(place)));
            }
            Opcode::Binary if frame.fin => return Ok(Some(Found::Binary(place))),
            _ => {}
        }
        let is_text = frame.opcode == Opcode::Text;
        let fresh = || Box::new(Message::new(is_text));
        let message = self.message.get_or_insert_with(fresh);
        message.fragments += 1;
        if message.fragments > self.limits.fragments {
            return Err(Rule::Fragments);
        }
        message.add(payload, frame.fin)?;
        let is_text = message.is_text;
        let found = if is_text { Found::Text } else { Found::Binary };
        self.is_message_over = frame.fin;
        Ok(frame.fin.then_some(found(Place::Message)))
    }

    fn event<'a>(&'a self, found: Found, chunk: &'a [u8]) -> Event<'a> {
        let joined = self.message.as_ref().map_or(&[][..], |message| &message.bytes);
        let payload = |place: Place| match place {
            Place::Message => joined,
            place => place.payload(chunk, &self.body),
        };
        match found {
            Found::Text(place) => Event::Text(payload(place)),
            Found::Binary(place) => Event::Binary(payload(place)),
            Found::Ping(place) => Event::Ping(payload(place)),
            Found::Close(code) => Event::Close(code),
        }
    }

    fn forget_told(&mut self) {
        if self.frame.is_none() {
            self.forget_body();
        }
        if std::mem::take(&mut self.is_message_over) {
            self.message = None;
        }
    }

    fn forget_body(&mut self) {
        if self.body.capacity() > KEPT_BYTES {
            self.body = Vec::new();
        } else {
            self.body.clear();
        }
    }
}

/// Where a payload is.
enum Place {
    Chunk(Range<usize>),
    Body,
    Message,
}

impl Place {
    fn payload<'a>(&self, chunk: &'a [u8], body: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Chunk(range) => &chunk[range.clone()],
            Self::Body | Self::Message => body,
        }
    }
}

enum Found {
    Text(Place),
    Binary(Place),
    Ping(Place),
    Close(Option<u16>),
}

/// The code in a close frame (RFC 6455 §5.5.1), if a peer may send it.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Rule> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() { Ok(None) } else { Err(Rule::Framing) };
    };
    let code = u16::from_be_bytes([*high, *low]);
    // RFC 6455 §7.4 and IANA's registry.
    match code {
        1004..=1006 => Err(Rule::CloseCode),
        1000..=1014 | 3000..=4999 => from_utf8(reason).map(|_| Some(code)).map_err(|_| Rule::Text),
        _ => Err(Rule::CloseCode),
    }
}
