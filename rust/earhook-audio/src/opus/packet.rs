//! The shape of an Opus packet, read without decoding it (RFC 6716 §3).

use super::OpusError;

/// The rate in which Opus counts, whatever its bandwidth (RFC 6716 §2).
pub const OPUS_RATE: u32 = 48_000;

/// The longest packet: 120 ms (RFC 6716 §3.2.5, R5).
pub const MAX_PACKET_SAMPLES: usize = 5_760;

/// The longest frame inside a packet (RFC 6716 §3.2.1, R2).
pub(super) const MAX_FRAME_BYTES: usize = 1_275;

/// Samples per channel, at 48 kHz, that a packet decodes to.
///
/// # Errors
/// [`OpusError`] names the requirement of RFC 6716 §3.4 that the packet breaks. A packet that
/// passes has frames whose lengths add up; what is in them, any bytes at all are valid.
pub fn packet_samples(packet: &[u8]) -> Result<usize, OpusError> {
    Ok(Frames::read(packet)?.samples())
}

/// Whether a packet could be Opus. A wrong one may pass by chance, several in a row hardly will:
/// a reason to doubt, no proof.
#[must_use]
pub fn toc_is_sane(packet: &[u8]) -> bool {
    Frames::read(packet).is_ok()
}

/// Whether a packet carries a copy of the frame before it (in-band FEC, RFC 6716 §2.1.7), from which
/// [`OpusDecoder::recover`](super::OpusDecoder::recover) can bring back a lost one.
#[must_use]
pub fn carries_copy(packet: &[u8]) -> bool {
    let Ok(frames) = Frames::read(packet) else { return false };
    let Some(silk_frames) = frames.silk_frames() else { return false };
    let Some(&bits) = frames.iter().next().and_then(<[u8]>::first) else { return false };
    // The first symbols are flags of even odds, so the range coder leaves them as they are: for
    // the middle, and in stereo for the side, activity of each SILK frame and then the copy's
    // (§4.2.3, §4.2.4).
    let flag_is_set = |index: u8| bits << index & 0x80 != 0;
    flag_is_set(silk_frames) || frames.are_stereo() && flag_is_set(2 * silk_frames + 1)
}

/// A packet taken apart.
pub(super) struct Frames<'bytes> {
    pub(super) toc: u8,
    count: usize,
    lengths: Lengths<'bytes>,
    /// The frames, one behind the other.
    body: &'bytes [u8],
}

/// How long the frames are.
#[derive(Clone, Copy)]
enum Lengths<'bytes> {
    Equal(usize),
    /// The coded lengths of all but the last, which takes what is left.
    Coded(&'bytes [u8]),
}

impl<'bytes> Frames<'bytes> {
    pub(super) fn read(packet: &'bytes [u8]) -> Result<Self, OpusError> {
        let (&toc, rest) = packet.split_first().ok_or(OpusError::Empty)?;
        let frames = match toc & 0b11 {
            0 => Self::equal(toc, 1, rest)?,
            1 => Self::equal(toc, 2, rest)?,
            2 => Self::coded(toc, 2, rest)?,
            _ => Self::many(toc, rest)?,
        };
        if frames.iter().any(|frame| frame.len() > MAX_FRAME_BYTES) {
            return Err(OpusError::FrameLength);
        }
        Ok(frames)
    }

    /// Samples of each frame at 48 kHz, by the configuration in the upper five bits (table 2).
    pub(super) fn samples_each(&self) -> usize {
        frame_samples(self.toc)
    }

    fn are_stereo(&self) -> bool {
        self.toc & 0b100 != 0
    }

    /// SILK frames in each frame, which are of at most 20 ms; `None` without a SILK layer.
    fn silk_frames(&self) -> Option<u8> {
        match self.toc >> 3 {
            configuration @ 0..=11 => Some([1, 1, 2, 3][usize::from(configuration & 3)]),
            12..=15 => Some(1),
            _ => None,
        }
    }

    fn samples(&self) -> usize {
        self.count * self.samples_each()
    }

    /// The frames in order. One of no or one byte holds no audio: it was not sent, or was lost.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'bytes [u8]> + use<'bytes> {
        let (mut lengths, mut body, last) = (self.lengths, self.body, self.count - 1);
        (0..self.count).map(move |index| {
            let length = match &mut lengths {
                Lengths::Equal(length) => *length,
                Lengths::Coded(_) if index == last => body.len(),
                Lengths::Coded(coded) => take_length(coded).unwrap_or(0),
            };
            let (frame, rest) = body.split_at(length.min(body.len()));
            body = rest;
            frame
        })
    }

    /// Codes 0 and 1 (§3.2.2, §3.2.3), and code 3 at a constant bit rate.
    fn equal(toc: u8, count: usize, body: &'bytes [u8]) -> Result<Self, OpusError> {
        if !body.len().is_multiple_of(count) {
            return Err(OpusError::UnequalFrames);
        }
        Ok(Self { toc, count, lengths: Lengths::Equal(body.len() / count), body })
    }

    /// Code 2 (§3.2.4), and code 3 at a variable bit rate.
    fn coded(toc: u8, count: usize, bytes: &'bytes [u8]) -> Result<Self, OpusError> {
        let mut body = bytes;
        let mut claimed = 0;
        for _ in 1..count {
            claimed += take_length(&mut body).ok_or(OpusError::Truncated)?;
        }
        if claimed > body.len() {
            return Err(OpusError::Truncated);
        }
        Ok(Self { toc, count, lengths: Lengths::Coded(bytes), body })
    }

    /// Code 3 (§3.2.5): a byte of count and flags, the padding's length, the frames' lengths.
    fn many(toc: u8, bytes: &'bytes [u8]) -> Result<Self, OpusError> {
        let (&counts, rest) = bytes.split_first().ok_or(OpusError::Truncated)?;
        let (varying, padded) = (counts & 0x80 != 0, counts & 0x40 != 0);
        let count = usize::from(counts & 0x3F);
        if count == 0 || count * frame_samples(toc) > MAX_PACKET_SAMPLES {
            return Err(OpusError::FrameCount);
        }
        let rest = if padded { without_padding(rest)? } else { rest };
        if varying {
            Self::coded(toc, count, rest)
        } else {
            Self::equal(toc, count, rest)
        }
    }
}

fn frame_samples(toc: u8) -> usize {
    let configuration = toc >> 3;
    match configuration {
        0..=11 => [480, 960, 1_920, 2_880][usize::from(configuration & 3)],
        12..=15 => [480, 960][usize::from(configuration & 1)],
        _ => 120 << (configuration & 3),
    }
}

/// What lies between the bytes that tell the padding's length and the padding itself.
fn without_padding(bytes: &[u8]) -> Result<&[u8], OpusError> {
    let mut padding = 0;
    let mut rest = bytes;
    loop {
        let (&byte, after) = rest.split_first().ok_or(OpusError::Truncated)?;
        rest = after;
        // 255 stands for 254 bytes and another byte of length.
        padding += usize::from(byte.min(254));
        if byte < 255 {
            let kept = rest.len().checked_sub(padding).ok_or(OpusError::Truncated)?;
            return Ok(&rest[..kept]);
        }
    }
}

/// Takes the one or two bytes of a frame's length (§3.2.1).
fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let (length, rest) = match **bytes {
        [first, ref rest @ ..] if first < 252 => (usize::from(first), rest),
        [first, second, ref rest @ ..] => (usize::from(second) * 4 + usize::from(first), rest),
        _ => return None,
    };
    *bytes = rest;
    Some(length)
}
