//! Frames to bytes.

use crate::error::WireError;
use crate::kind::{GapReason, Kind};
use crate::{
    ACK_FRAME_BYTES, ALL_CHANNELS, AUDIO_HEADER_BYTES, GAP_FRAME_BYTES, HEADER_BYTES,
    MAX_AUDIO_SAMPLES, MAX_GATEWAY_FRAME_BYTES,
};

/// Appends the samples of one channel, `first` then `second`, as audio.
///
/// Two slices because a ring wraps; either may be empty, and both empty write nothing. What does
/// not fit into one frame of [`MAX_AUDIO_SAMPLES`] becomes several, so the result is always
/// within the stream's limits. `call` is at least 1 and `channel` names one channel.
pub fn write_audio(
    out: &mut Vec<u8>,
    call: u32,
    channel: u8,
    position: u64,
    mut first: &[i16],
    mut second: &[i16],
) {
    let mut position = position;
    while !(first.is_empty() && second.is_empty()) {
        let (head, first_rest) = first.split_at(first.len().min(MAX_AUDIO_SAMPLES));
        let room = MAX_AUDIO_SAMPLES - head.len();
        let (tail, second_rest) = second.split_at(second.len().min(room));
        write_audio_frame(out, call, channel, position, (head, tail));
        position = position.saturating_add((head.len() + tail.len()) as u64);
        (first, second) = (first_rest, second_rest);
    }
}

/// Appends one audio frame whose samples `write` puts into the bytes that it is given, low byte
/// first. Of no samples nothing is written.
///
/// # Errors
/// [`WireError::FrameTooLong`] beyond [`MAX_AUDIO_SAMPLES`]; then nothing has been appended.
pub fn write_audio_with(
    out: &mut Vec<u8>,
    call: u32,
    channel: u8,
    (position, samples): (u64, usize),
    write: impl FnOnce(&mut [u8]),
) -> Result<(), WireError> {
    if samples > MAX_AUDIO_SAMPLES {
        let frame_bytes = (AUDIO_HEADER_BYTES as u64).saturating_add(2 * samples as u64);
        let limit_bytes = MAX_GATEWAY_FRAME_BYTES;
        return Err(WireError::FrameTooLong { frame_bytes, limit_bytes });
    }
    if samples > 0 {
        write_audio_header(out, call, channel, (position, samples));
        let start = out.len();
        out.resize(start + 2 * samples, 0);
        write(&mut out[start..]);
    }
    Ok(())
}

/// Appends a gap of all channels of a call.
pub fn write_gap(out: &mut Vec<u8>, call: u32, position: u64, samples: u64, reason: GapReason) {
    write_header(out, GAP_FRAME_BYTES, Kind::Gap, ALL_CHANNELS, call);
    out.extend_from_slice(&reason.number().to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&samples.to_le_bytes());
}

/// Appends a frame of one of the JSON kinds. `body` must be a JSON object; that is not checked.
///
/// # Errors
/// [`WireError::NotJson`] if the kind has no JSON body, [`WireError::FrameTooLong`] if the body
/// does not fit into [`MAX_GATEWAY_FRAME_BYTES`]; then nothing has been appended.
pub fn write_json(out: &mut Vec<u8>, kind: Kind, call: u32, body: &[u8]) -> Result<(), WireError> {
    if !kind.is_json() {
        return Err(WireError::NotJson { kind });
    }
    let frame_bytes = HEADER_BYTES + body.len();
    if frame_bytes > MAX_GATEWAY_FRAME_BYTES {
        let limit_bytes = MAX_GATEWAY_FRAME_BYTES;
        return Err(WireError::FrameTooLong { frame_bytes: frame_bytes as u64, limit_bytes });
    }
    write_header(out, frame_bytes, kind, 0, call);
    out.extend_from_slice(body);
    Ok(())
}

/// Appends a consumer's report of how far it has got in one channel or all of them.
pub fn write_ack(out: &mut Vec<u8>, call: u32, channel: u8, position: u64) {
    write_header(out, ACK_FRAME_BYTES, Kind::Ack, channel, call);
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
}

fn write_audio_frame(
    out: &mut Vec<u8>,
    call: u32,
    channel: u8,
    position: u64,
    (first, second): (&[i16], &[i16]),
) {
    write_audio_header(out, call, channel, (position, first.len() + second.len()));
    write_samples(out, first);
    write_samples(out, second);
}

fn write_audio_header(
    out: &mut Vec<u8>,
    call: u32,
    channel: u8,
    (position, samples): (u64, usize),
) {
    write_header(out, AUDIO_HEADER_BYTES + 2 * samples, Kind::Audio, channel, call);
    out.extend_from_slice(&narrow(samples).to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
}

/// Grows once and fills, so that on a little-endian machine the loop is a copy.
fn write_samples(out: &mut Vec<u8>, samples: &[i16]) {
    let start = out.len();
    out.resize(start + 2 * samples.len(), 0);
    for (bytes, sample) in out[start..].chunks_exact_mut(2).zip(samples) {
        bytes.copy_from_slice(&sample.to_le_bytes());
    }
}

fn write_header(out: &mut Vec<u8>, frame_bytes: usize, kind: Kind, channel: u8, call: u32) {
    out.reserve(frame_bytes);
    out.extend_from_slice(&narrow(frame_bytes - 4).to_le_bytes());
    out.extend_from_slice(&[kind.number(), channel, 0, 0]);
    out.extend_from_slice(&call.to_le_bytes());
}

/// Lengths are bounded by [`MAX_GATEWAY_FRAME_BYTES`] before they get here.
#[allow(clippy::cast_possible_truncation)]
const fn narrow(length: usize) -> u32 {
    debug_assert!(length <= MAX_GATEWAY_FRAME_BYTES);
    length as u32
}
