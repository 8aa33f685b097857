//! Opus (RFC 6716, RFC 8251): packets to samples.
//!
//! The codec itself is the `opus-pure` crate; here are its door, and the rules that a packet from
//! a stranger is held to before it gets there.

mod packet;

pub use packet::{carries_copy, packet_samples, toc_is_sane, MAX_PACKET_SAMPLES, OPUS_RATE};
use packet::{Frames, MAX_FRAME_BYTES};

use thiserror::Error;

/// Why a packet was not decoded. The decoder is as it was before; the time that the packet stood
/// for is the caller's to conceal.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum OpusError {
    /// No byte at all (R1).
    #[error("an Opus packet has at least one byte")]
    Empty,
    /// A frame of more than 1,275 bytes (R2).
    #[error("an Opus frame has at most 1,275 bytes")]
    FrameLength,
    /// Frames of equal length that do not come out even (R3, R6).
    #[error("the packet's frames cannot be of equal length")]
    UnequalFrames,
    /// Lengths that reach past the end of the packet (R4, R6, R7).
    #[error("the packet ends before its frames do")]
    Truncated,
    /// No frame, or more than 120 ms of them (R5).
    #[error("a packet holds at least one frame and at most 120 ms")]
    FrameCount,
    /// Not one or two channels.
    #[error("Opus is decoded to one or two channels, not {0}")]
    Channels(usize),
    /// The decoder gave up on a packet that is well formed.
    #[error("the packet could not be decoded")]
    Undecodable,
}

/// One stream's decoder: packets in, 16-bit samples at 48 kHz out.
///
/// The number of channels is that of the samples. A packet may have the other number, from one
/// packet to the next: mono is then repeated, stereo mixed down, as RFC 6716 wants it.
///
/// Samples are interleaved and added to the end of `out`; lengths count samples per channel.
pub struct OpusDecoder {
    decoder: opus_pure::OpusDecoder,
    channels: usize,
}

impl OpusDecoder {
    /// A decoder at the start of a stream.
    ///
    /// # Errors
    /// [`OpusError::Channels`] unless there are one or two.
    pub fn new(channels: usize) -> Result<Self, OpusError> {
        let decoder = opus_pure::OpusDecoder::new(OPUS_RATE.cast_signed(), channels)
            .map_err(|_| OpusError::Channels(channels))?;
        Ok(Self { decoder, channels })
    }

    /// Channels of the samples.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Makes all that follows louder or softer by `gain_q8` / 256 dB (RFC 7845 §5.1, item 5).
    pub fn set_gain(&mut self, gain_q8: i16) {
        self.decoder.gain_q8 = i32::from(gain_q8);
    }

    /// Decodes one packet, returning its samples per channel.
    ///
    /// # Errors
    /// The packet is malformed; nothing was added.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<usize, OpusError> {
        let frames = Frames::read(packet)?;
        if frames.iter().any(is_absent) {
            return Ok(self.decode_present(&frames, out));
        }
        let samples = packet_samples(packet)?;
        self.append(samples, out, |decoder, room| decoder.decode_s16(packet, samples, room))?;
        Ok(samples)
    }

    /// Fills `samples` that never came with what the sound before them suggests. It fades to
    /// silence within some packets.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        self.fill(samples, out, |decoder, length, room| decoder.decode_s16(&[], length, room));
    }

    /// Fills `samples` that were lost right before `next_packet`, from the copy that the packet
    /// may carry (in-band FEC, RFC 6716 §2.1.7), and where it carries none as [`Self::conceal`].
    /// The packet itself is to be decoded afterwards.
    pub fn recover(&mut self, next_packet: &[u8], samples: usize, out: &mut Vec<i16>) {
        let Ok(frames) = Frames::read(next_packet) else { return self.conceal(samples, out) };
        if frames.iter().next().is_none_or(is_absent) {
            return self.conceal(samples, out);
        }
        // The copy is of one frame: the last one before the packet.
        let copied = frames.samples_each();
        self.conceal(samples.saturating_sub(copied), out);
        self.fill(samples.min(copied), out, |decoder, length, room| {
            decoder.decode_fec_s16(next_packet, length, room)
        });
    }

    /// The range coder's last state. The encoder's was the same after the same packet, unless one of
    /// the two read or wrote a symbol differently: this is what test vectors are checked by.
    #[must_use]
    pub fn final_range(&self) -> u32 {
        self.decoder.final_range()
    }

    /// Forgets the stream so far, and keeps the gain.
    pub fn reset(&mut self) {
        // Fails for no state; were it to, the next packet would sound of the last one.
        let _ = self.decoder.reset_state();
    }

    /// Decodes a packet of which some frames were not sent (discontinuous transmission, §2.1.9):
    /// those are concealed. The decoder would take their absence for an encoding of something.
    fn decode_present(&mut self, frames: &Frames<'_>, out: &mut Vec<i16>) -> usize {
        let (samples, before) = (frames.samples_each(), out.len());
        let mut single = Vec::with_capacity(1 + MAX_FRAME_BYTES);
        for frame in frames.iter() {
            single.clear();
            // The same configuration, as a packet of one frame.
            single.push(frames.toc & !0b11);
            single.extend_from_slice(frame);
            let decode = |decoder: &mut opus_pure::OpusDecoder, room: &mut [i16]| {
                decoder.decode_s16(&single, samples, room)
            };
            if is_absent(frame) || self.append(samples, out, decode).is_err() {
                self.conceal(samples, out);
            }
        }
        (out.len() - before) / self.channels
    }

    /// Adds `samples` in steps of at most a packet. Concealment comes in steps of 2.5 ms: the last
    /// one is made whole and cut. What fails is filled with silence, so that time is kept.
    fn fill(
        &mut self,
        samples: usize,
        out: &mut Vec<i16>,
        make: impl Fn(&mut opus_pure::OpusDecoder, usize, &mut [i16]) -> opus_pure::Result<usize>,
    ) {
        let end = out.len() + samples * self.channels;
        let mut left = samples;
        while left > 0 {
            let step = left.min(CONCEALMENT_STEP).next_multiple_of(GRAIN_SAMPLES);
            let made = self.append(step, out, |decoder, room| make(decoder, step, room));
            if made.is_err() {
                break;
            }
            left = left.saturating_sub(step);
        }
        out.resize(end, 0);
    }

    fn append(
        &mut self,
        samples: usize,
        out: &mut Vec<i16>,
        make: impl FnOnce(&mut opus_pure::OpusDecoder, &mut [i16]) -> opus_pure::Result<usize>,
    ) -> Result<(), OpusError> {
        let start = out.len();
        out.resize(start + samples * self.channels, 0);
        match make(&mut self.decoder, &mut out[start..]) {
            Ok(made) if made == samples => Ok(()),
            _ => {
                out.truncate(start);
                Err(OpusError::Undecodable)
            }
        }
    }
}

/// Libopus, too, takes a frame of one byte for none.
fn is_absent(frame: &[u8]) -> bool {
    frame.len() <= 1
}

/// 2.5 ms, the shortest frame.
const GRAIN_SAMPLES: usize = 120;
/// What is concealed at once.
const CONCEALMENT_STEP: usize = MAX_PACKET_SAMPLES;
