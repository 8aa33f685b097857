//! Bytes to frames, however they are cut.

use crate::error::WireError;
use crate::frame::{Ack, Audio, Frame, Gap, Json};
use crate::kind::Kind;
use crate::{
    ACK_FRAME_BYTES, ALL_CHANNELS, AUDIO_HEADER_BYTES, CONNECTION, GAP_FRAME_BYTES, HEADER_BYTES,
    MAX_GATEWAY_FRAME_BYTES,
};

/// Turns a byte stream into frames.
///
/// After every [`feed`](Self::feed), take frames with [`next_frame`](Self::next_frame) until it
/// gives `None`; what is not taken stays buffered. Taken so, it holds less than one frame of the
/// limit between two feeds. Any cutting of the same bytes gives the same frames and the same
/// error. Frames of unknown kinds are skipped, flags are ignored.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Start of the next frame to be taken.
    taken: usize,
    /// End of the last whole frame that keeps the rules; `taken` never passes it.
    checked: usize,
    limit_bytes: usize,
    fault: Option<WireError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder of what a gateway sends.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(MAX_GATEWAY_FRAME_BYTES)
    }

    /// A decoder that refuses frames of more than `limit_bytes`, their length field included.
    #[must_use]
    pub const fn with_limit(limit_bytes: usize) -> Self {
        Self { buffer: Vec::new(), taken: 0, checked: 0, limit_bytes, fault: None }
    }

    /// Takes in the next bytes of the stream.
    ///
    /// # Errors
    /// The rule that was broken: one about the length as soon as the length is there, any other
    /// when the frame is whole. Every later call gives the same error. Frames that ended before
    /// the fault can still be taken.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), WireError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.forget_taken();
        self.buffer.extend_from_slice(chunk);
        self.check_arrived().inspect_err(|&fault| {
            self.buffer.truncate(self.checked);
            self.fault = Some(fault);
        })
    }

    /// The next whole frame. It borrows the buffer, so it must be used before the next call.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        while self.taken < self.checked {
            let frame = self.taken..self.taken + frame_bytes(&self.buffer[self.taken..]);
            self.taken = frame.end;
            if let Some(kind) = Kind::from_number(self.buffer[frame.start + KIND_AT]) {
                return parse(kind, &self.buffer[frame]).ok();
            }
        }
        None
    }

    /// Bytes that are held: frames not yet taken and the beginning of one not yet complete.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }

    fn forget_taken(&mut self) {
        self.buffer.drain(..self.taken);
        self.checked -= self.taken;
        self.taken = 0;
    }

    /// Checks each frame once, when its last byte arrives, and its header before that.
    fn check_arrived(&mut self) -> Result<(), WireError> {
        loop {
            let arrived = &self.buffer[self.checked..];
            let Some(length) = check_header(arrived, self.limit_bytes)? else { return Ok(()) };
            let Some(frame) = arrived.get(..length) else { return Ok(()) };
            if let Some(kind) = Kind::from_number(frame[KIND_AT]) {
                parse(kind, frame)?;
            }
            self.checked += length;
        }
    }
}

/// The length of the frame that begins here, once that is known to keep the rules.
pub(crate) fn check_header(arrived: &[u8], limit_bytes: usize) -> Result<Option<usize>, WireError> {
    let Some(&length) = arrived.first_chunk() else { return Ok(None) };
    let length = u32::from_le_bytes(length);
    if length < HEADER_REST {
        return Err(WireError::LengthTooSmall { length });
    }
    let frame_bytes = u64::from(length) + 4;
    match usize::try_from(frame_bytes) {
        Ok(bytes) if bytes <= limit_bytes => Ok(Some(bytes)),
        _ => Err(WireError::FrameTooLong { frame_bytes, limit_bytes }),
    }
}

/// The length of a whole frame.
fn frame_bytes(frame: &[u8]) -> usize {
    u32_at(frame, 0) as usize + 4
}

pub(crate) fn parse(kind: Kind, frame: &[u8]) -> Result<Frame<'_>, WireError> {
    let (channel, call) = (frame[CHANNEL_AT], u32_at(frame, CALL_AT));
    match kind {
        Kind::Audio => parse_audio(frame, channel, call).map(Frame::Audio),
        Kind::Gap => parse_gap(frame, channel, call).map(Frame::Gap),
        Kind::Ack => parse_ack(frame, channel, call).map(Frame::Ack),
        _ => match std::str::from_utf8(&frame[HEADER_BYTES..]) {
            Ok(body) => Ok(Frame::Json(Json { kind, call, body })),
            Err(_) => Err(WireError::NotUtf8 { kind }),
        },
    }
}

fn parse_audio(frame: &[u8], channel: u8, call: u32) -> Result<Audio<'_>, WireError> {
    at_least(Kind::Audio, frame, AUDIO_HEADER_BYTES as u64)?;
    let (samples, position) = (u64::from(u32_at(frame, BODY_AT)), u64_at(frame, BODY_AT + 4));
    exactly(Kind::Audio, frame, AUDIO_HEADER_BYTES as u64 + 2 * samples)?;
    names_call(Kind::Audio, call)?;
    if channel == ALL_CHANNELS {
        return Err(WireError::AudioOfAllChannels);
    }
    span(position, samples)?;
    Ok(Audio { call, channel, position, pcm: &frame[AUDIO_HEADER_BYTES..] })
}

fn parse_gap(frame: &[u8], channel: u8, call: u32) -> Result<Gap, WireError> {
    exactly(Kind::Gap, frame, GAP_FRAME_BYTES as u64)?;
    names_call(Kind::Gap, call)?;
    let reason = u32_at(frame, BODY_AT);
    let (position, samples) = (u64_at(frame, BODY_AT + 4), u64_at(frame, BODY_AT + 12));
    span(position, samples)?;
    Ok(Gap { call, channel, position, samples, reason })
}

fn parse_ack(frame: &[u8], channel: u8, call: u32) -> Result<Ack, WireError> {
    exactly(Kind::Ack, frame, ACK_FRAME_BYTES as u64)?;
    names_call(Kind::Ack, call)?;
    Ok(Ack { call, channel, position: u64_at(frame, BODY_AT + 4) })
}

fn at_least(kind: Kind, frame: &[u8], least_bytes: u64) -> Result<(), WireError> {
    let bytes = frame.len() as u64;
    if bytes < least_bytes {
        return Err(body_length(kind, bytes, least_bytes));
    }
    Ok(())
}

fn exactly(kind: Kind, frame: &[u8], expected_bytes: u64) -> Result<(), WireError> {
    let bytes = frame.len() as u64;
    if bytes != expected_bytes {
        return Err(body_length(kind, bytes, expected_bytes));
    }
    Ok(())
}

fn body_length(kind: Kind, frame_bytes: u64, expected_bytes: u64) -> WireError {
    let header_bytes = HEADER_BYTES as u64;
    WireError::BodyLength {
        kind,
        body_bytes: frame_bytes - header_bytes,
        expected_bytes: expected_bytes - header_bytes,
    }
}

fn names_call(kind: Kind, call: u32) -> Result<(), WireError> {
    if call == CONNECTION {
        return Err(WireError::NoCall { kind });
    }
    Ok(())
}

fn span(position: u64, samples: u64) -> Result<(), WireError> {
    match position.checked_add(samples) {
        Some(_) => Ok(()),
        None => Err(WireError::PositionOverflow { position, samples }),
    }
}

pub(crate) fn u32_at(frame: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&frame[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn u64_at(frame: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&frame[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Bytes of the header after the length field, which the length counts.
const HEADER_REST: u32 = 8;
pub(crate) const KIND_AT: usize = 4;
pub(crate) const CHANNEL_AT: usize = 5;
pub(crate) const CALL_AT: usize = 8;
const BODY_AT: usize = HEADER_BYTES;
