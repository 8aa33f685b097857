//! Opus packets to samples, and what stands in for those that never came.

use earhook_audio::ogg::OpusHead;
use earhook_audio::opus::{carries_copy, toc_is_sane, OpusDecoder, OPUS_RATE};

use crate::destination::Destination;
use crate::error::IntakeError;
use crate::flow::Flow;
use crate::format::Format;
use crate::suspicion::Suspicion;
use crate::tally::Tally;

/// Up to here the decoder makes up sound for what was lost: 120 ms, the longest packet. A longer
/// loss is a gap.
const MAX_CONCEALED_SAMPLES: usize = 5_760;
/// What a lost packet stands for before any has come: 20 ms.
const USUAL_PACKET_SAMPLES: usize = 960;
/// So many bad packets one after the other, and what we read is no Opus, or no longer.
const MAX_BAD_PACKETS: u32 = 25;

/// One call's decoder with its losses. All samples here are at 48 kHz.
pub(crate) struct OpusReader {
    decoder: OpusDecoder,
    /// 48,000 divided by the rate that is wanted.
    ratio: usize,
    decoded: Vec<i16>,
    /// Duration of the last packet.
    packet_samples: usize,
    lost: Loss,
    /// What was said to be missing, and may be told again by the pages' clock.
    told_samples: usize,
    bad_in_a_row: u32,
    decoded_samples: u64,
}

/// What is missing right before the next packet, and not made up for yet.
#[derive(Clone, Copy, Default)]
struct Loss {
    packets: u64,
    samples: usize,
    /// It was so long that it has become a gap, and what follows joins it.
    is_gap: bool,
}

impl OpusReader {
    pub(crate) fn new(format: &Format) -> Result<Self, IntakeError> {
        let channels = format.channels;
        let decoder = OpusDecoder::new(channels).map_err(|_| IntakeError::Channels { channels })?;
        Ok(Self {
            decoder,
            ratio: (OPUS_RATE / format.rate) as usize,
            decoded: Vec::new(),
            packet_samples: USUAL_PACKET_SAMPLES,
            lost: Loss::default(),
            told_samples: 0,
            bad_in_a_row: 0,
            decoded_samples: 0,
        })
    }

    /// Samples that have been decoded or made up so far.
    pub(crate) fn decoded_samples(&self) -> u64 {
        self.decoded_samples
    }

    /// Samples that stand for losses that are not made up for yet, at the rate that is wanted.
    pub(crate) fn held_samples(&self) -> u64 {
        (self.lost.samples / self.ratio) as u64
    }

    /// A stream begins.
    pub(crate) fn begin_stream(
        &mut self,
        head: OpusHead,
        way: &mut Way<'_, impl Destination>,
    ) -> Result<(), IntakeError> {
        let (told, announced) = (head.channels, self.decoder.channels());
        if told != announced {
            // Mixed or doubled, nobody could tell any more who spoke.
            let text = format!("the stream has {told} channels, announced are {announced}");
            return Err(IntakeError::Malformed(text));
        }
        self.make_up(None, way);
        self.decoder.reset();
        self.decoder.set_gain(head.output_gain_q8);
        Ok(())
    }

    /// Decodes a packet, after making up for what is missing before it; keeps of its samples those
    /// of `kept`.
    pub(crate) fn take(
        &mut self,
        packet: &[u8],
        kept: std::ops::Range<usize>,
        way: &mut Way<'_, impl Destination>,
    ) -> Result<(), IntakeError> {
        let is_packet = toc_is_sane(packet);
        way.suspicion.see_packet(packet, is_packet);
        if is_packet {
            self.make_up(Some(packet), way);
            self.told_samples = 0;
            self.decoded.clear();
            if let Ok(samples) = self.decoder.decode(packet, &mut self.decoded) {
                self.bad_in_a_row = 0;
                self.packet_samples = samples;
                way.tally.packets += 1;
                self.give(kept, way);
                return Ok(());
            }
        }
        way.tally.bad_packets += 1;
        self.bad_in_a_row += 1;
        if self.bad_in_a_row == MAX_BAD_PACKETS {
            let text = format!("{MAX_BAD_PACKETS} packets in a row are no Opus packets");
            return Err(IntakeError::Malformed(text));
        }
        self.lose(1, self.packet_samples, way);
        Ok(())
    }

    /// A packet of the usual duration was lost.
    pub(crate) fn lose_one(&mut self, way: &mut Way<'_, impl Destination>) {
        self.lose(1, self.packet_samples, way);
    }

    /// The clock of the pages says that so many samples were lost.
    pub(crate) fn lose_samples(&mut self, samples: usize, way: &mut Way<'_, impl Destination>) {
        let told = self.told_samples.min(samples);
        self.told_samples -= told;
        let samples = samples - told;
        let packets = samples.div_ceil(self.packet_samples) as u64;
        self.lose(packets, samples, way);
    }

    /// Nothing follows, or nothing that joins what came: makes up for what is missing, and forgets.
    /// What comes next is `samples` later, at the rate that is wanted.
    pub(crate) fn cut(&mut self, samples: u64, way: &mut Way<'_, impl Destination>) {
        self.make_up(None, way);
        self.decoder.reset();
        self.bad_in_a_row = 0;
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        self.told_samples = samples.saturating_mul(self.ratio);
    }

    fn lose(&mut self, packets: u64, samples: usize, way: &mut Way<'_, impl Destination>) {
        self.lost.packets += packets;
        self.lost.samples += samples;
        if !self.lost.is_gap && self.lost.samples > MAX_CONCEALED_SAMPLES {
            way.flow.cut(way.to);
            self.decoder.reset();
            self.lost.is_gap = true;
        }
        if self.lost.is_gap {
            let whole = (self.lost.samples / self.ratio) as u64;
            way.to.missing(whole);
            self.lost.samples %= self.ratio;
            self.lost.packets = 0;
        }
    }

    fn make_up(&mut self, next: Option<&[u8]>, way: &mut Way<'_, impl Destination>) {
        let lost = std::mem::take(&mut self.lost);
        if lost.samples == 0 || lost.is_gap {
            return;
        }
        self.decoded.clear();
        match next {
            Some(packet) => self.decoder.recover(packet, lost.samples, &mut self.decoded),
            None => self.decoder.conceal(lost.samples, &mut self.decoded),
        }
        let recovered = u64::from(next.is_some_and(carries_copy)).min(lost.packets);
        way.tally.recovered_packets += recovered;
        way.tally.concealed_packets += lost.packets - recovered;
        self.give(0..lost.samples, way);
    }

    fn give(&mut self, kept: std::ops::Range<usize>, way: &mut Way<'_, impl Destination>) {
        let channels = self.decoder.channels();
        let samples = self.decoded.len() / channels;
        self.decoded_samples += samples as u64;
        let end = kept.end.min(samples);
        let start = kept.start.min(end);
        way.flow.add_interleaved(&self.decoded[start * channels..end * channels]);
        way.flow.pour_much(way.to);
    }
}

/// What packets go through after they are decoded.
pub(crate) struct Way<'a, To> {
    pub(crate) flow: &'a mut Flow,
    pub(crate) to: &'a mut To,
    pub(crate) tally: &'a mut Tally,
    pub(crate) suspicion: &'a mut Suspicion,
}
