//! Where drains write to: frames of the PCM stream, or blocks of audio.

use std::ops::Range;

use earhook_audio::g711::{self, Law};
use earhook_audio::Codec;
use earhook_ring::{Audio, GapReason, Item, Outlet, TURN_SAMPLES};
use earhook_wire::{write_audio_with, write_gap, GAP_FRAME_BYTES, MAX_AUDIO_SAMPLES};

use crate::error::Refusal;

/// Encodes items as frames of the PCM stream, one frame per channel.
pub(crate) struct FrameOutlet(pub(crate) Vec<u8>);

impl Outlet for FrameOutlet {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>) {
        match item {
            Item::Gap(gap) => write_gap(&mut self.0, call, gap.position, gap.samples, gap.reason),
            Item::Audio(audio) => {
                let place = (audio.position, audio.samples);
                for channel in channels {
                    if let Some(lane) = audio.channel(*channel) {
                        // It fits: see below.
                        let _ = write_audio_with(&mut self.0, call, *channel, place, |bytes| {
                            lane.write_le(bytes, 1);
                        });
                    }
                }
            }
        }
    }

    fn mark(&self) -> usize {
        self.0.len()
    }

    fn rewind(&mut self, mark: usize) {
        self.0.truncate(mark);
    }
}

/// No item is longer than a frame of the stream may be.
const _: () = assert!(TURN_SAMPLES <= MAX_AUDIO_SAMPLES);

/// One item: a gap, or a range of the payload.
pub(crate) struct Block {
    pub(crate) call: u32,
    pub(crate) position: u64,
    pub(crate) gap: Option<(u64, GapReason)>,
    pub(crate) payload: Range<usize>,
}

/// Writes items as blocks: all samples of a block's channels, interleaved.
pub(crate) struct BlockOutlet {
    codec: BlockCodec,
    pub(crate) blocks: Vec<Block>,
    /// The audio of all blocks.
    pub(crate) payload: Vec<u8>,
    linear: Vec<u8>,
}

/// How blocks carry their samples.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BlockCodec {
    Linear,
    Companded(Law),
}

impl BlockCodec {
    pub(crate) fn of(codec: Codec) -> Result<Self, Refusal> {
        match codec {
            Codec::L16Le => Ok(Self::Linear),
            Codec::Pcmu => Ok(Self::Companded(Law::Mu)),
            Codec::Pcma => Ok(Self::Companded(Law::A)),
            Codec::L16Be => Err(Refusal::Argument("blocks are L16, PCMU or PCMA".to_owned())),
        }
    }
}

impl BlockOutlet {
    /// An outlet that writes into memory of an earlier one.
    pub(crate) fn new(codec: BlockCodec, mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { codec, blocks: Vec::new(), payload: memory, linear: Vec::new() }
    }

    fn write(&mut self, channels: &[u8], audio: &Audio<'_>) {
        match self.codec {
            BlockCodec::Linear => weave(&mut self.payload, channels, audio),
            BlockCodec::Companded(law) => match audio.codes(channels) {
                Some(((first, second), own)) if own == law => {
                    self.payload.extend_from_slice(first);
                    self.payload.extend_from_slice(second);
                }
                _ => self.compand(law, channels, audio),
            },
        }
    }

    fn compand(&mut self, law: Law, channels: &[u8], audio: &Audio<'_>) {
        self.linear.clear();
        weave(&mut self.linear, channels, audio);
        let pairs = self.linear.chunks_exact(2);
        let samples: Vec<i16> = pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let start = self.payload.len();
        self.payload.resize(start + samples.len(), 0);
        g711::encode(law, &samples, &mut self.payload[start..]);
    }
}

impl Outlet for BlockOutlet {
    fn bytes(&self) -> usize {
        // A gap counts like its frame in the PCM stream, so that gaps alone fill a drain too.
        self.payload.len() + self.blocks.len() * GAP_FRAME_BYTES
    }

    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>) {
        let start = self.payload.len();
        let (position, gap) = match item {
            Item::Gap(gap) => (gap.position, Some((gap.samples, gap.reason))),
            Item::Audio(audio) => {
                self.write(channels, audio);
                (audio.position, None)
            }
        };
        let payload = start..self.payload.len();
        self.blocks.push(Block { call, position, gap, payload });
    }

    fn mark(&self) -> usize {
        self.blocks.len()
    }

    fn rewind(&mut self, mark: usize) {
        if let Some(first) = self.blocks.get(mark) {
            self.payload.truncate(first.payload.start);
        }
        self.blocks.truncate(mark);
    }
}

/// Appends samples, low byte first, of all channels in turn; a channel that the call does not
/// have is silent.
fn weave(out: &mut Vec<u8>, channels: &[u8], audio: &Audio<'_>) {
    let start = out.len();
    out.resize(start + 2 * audio.samples * channels.len(), 0);
    let out = &mut out[start..];
    if let Some(((first, second), law)) = audio.codes(channels) {
        let (head, tail) = out.split_at_mut(2 * first.len());
        g711::decode_le(law, first, head);
        g711::decode_le(law, second, tail);
        return;
    }
    for (place, channel) in channels.iter().enumerate() {
        if let Some(lane) = audio.channel(*channel) {
            lane.write_le(&mut out[2 * place..], channels.len());
        }
    }
}
