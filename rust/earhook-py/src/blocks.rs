//! Where drains write to: frames of the PCM stream, or blocks of audio.

use std::ops::Range;

use earhook_audio::g711::{self, Law};
use earhook_audio::{interleave, Codec};
use earhook_ring::{GapReason, Item, Outlet};
use earhook_wire::{write_audio, write_gap, GAP_FRAME_BYTES};

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
                for channel in channels {
                    if let Some((first, second)) = audio.channel(*channel) {
                        let position = audio.position;
                        write_audio(&mut self.0, call, *channel, position, first, second);
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

/// One item: a gap, or a range of the payload.
pub(crate) struct Block {
    pub(crate) call: u32,
    pub(crate) position: u64,
    pub(crate) gap: Option<(u64, GapReason)>,
    pub(crate) payload: Range<usize>,
    channels: usize,
    pcm: Range<usize>,
}

/// Copies items out as they are; what remains to be done is done by [`BlockOutlet::encode`],
/// when no ring is locked any more.
pub(crate) struct BlockOutlet {
    codec: BlockCodec,
    blocks: Vec<Block>,
    /// Planar: all samples of a block's first channel, then of its second.
    pcm: Vec<i16>,
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

    fn bytes_per_sample(self) -> usize {
        match self {
            Self::Linear => 2,
            Self::Companded(_) => 1,
        }
    }
}

impl BlockOutlet {
    pub(crate) fn new(codec: BlockCodec) -> Self {
        Self { codec, blocks: Vec::new(), pcm: Vec::new() }
    }

    /// The blocks, and one payload that holds the audio of all of them.
    pub(crate) fn encode(mut self) -> (Vec<Block>, Vec<u8>) {
        let mut payload = Vec::with_capacity(self.pcm.len() * self.codec.bytes_per_sample());
        let mut interleaved = Vec::new();
        for block in &mut self.blocks {
            let start = payload.len();
            weave(&self.pcm[block.pcm.clone()], block.channels, &mut interleaved);
            write_samples(self.codec, &interleaved, &mut payload);
            block.payload = start..payload.len();
        }
        (self.blocks, payload)
    }
}

impl Outlet for BlockOutlet {
    fn bytes(&self) -> usize {
        // A gap counts like its frame in the PCM stream, so that gaps alone fill a drain too.
        self.pcm.len() * self.codec.bytes_per_sample() + self.blocks.len() * GAP_FRAME_BYTES
    }

    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>) {
        let start = self.pcm.len();
        let (position, gap) = match item {
            Item::Gap(gap) => (gap.position, Some((gap.samples, gap.reason))),
            Item::Audio(audio) => {
                for channel in channels {
                    match audio.channel(*channel) {
                        Some((first, second)) => {
                            self.pcm.extend_from_slice(first);
                            self.pcm.extend_from_slice(second);
                        }
                        None => self.pcm.resize(self.pcm.len() + audio.samples, 0),
                    }
                }
                (audio.position, None)
            }
        };
        let pcm = start..self.pcm.len();
        let channels = channels.len();
        self.blocks.push(Block { call, position, gap, payload: 0..0, channels, pcm });
    }

    fn mark(&self) -> usize {
        self.blocks.len()
    }

    fn rewind(&mut self, mark: usize) {
        if let Some(first) = self.blocks.get(mark) {
            self.pcm.truncate(first.pcm.start);
        }
        self.blocks.truncate(mark);
    }
}

fn weave(planar: &[i16], channels: usize, out: &mut Vec<i16>) {
    out.clear();
    if channels < 2 {
        out.extend_from_slice(planar);
        return;
    }
    let (first, second) = planar.split_at(planar.len() / 2);
    out.resize(planar.len(), 0);
    interleave(first, second, out);
}

fn write_samples(codec: BlockCodec, samples: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + samples.len() * codec.bytes_per_sample(), 0);
    match codec {
        BlockCodec::Companded(law) => {
            g711::encode(law, samples, &mut out[start..]);
        }
        BlockCodec::Linear => {
            for (bytes, sample) in out[start..].chunks_exact_mut(2).zip(samples) {
                bytes.copy_from_slice(&sample.to_le_bytes());
            }
        }
    }
}
