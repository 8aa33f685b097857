//! What has been taken in and not been decoded yet.

use std::collections::VecDeque;
use std::ops::Range;

use earhook_audio::ogg::{OggItem, OggReader};
use earhook_audio::opus::OPUS_RATE;

use crate::destination::Destination;
use crate::error::IntakeError;
use crate::framing::PacketFraming;
use crate::opus::{OpusReader, Way};
use crate::raw::RawReader;

/// How much is decoded in one go: a quarter of a second. A few bytes of Opus can stand for minutes,
/// a page of Ogg for half a minute, and whoever waits for them waits for all of it.
const STEP_SAMPLES: u64 = OPUS_RATE as u64 / STEPS_A_SECOND as u64;
pub(crate) const STEPS_A_SECOND: u32 = 4;
/// How much of an Ogg stream is looked at in one go, before its packets are decoded.
const OGG_STEP_BYTES: usize = 256;

/// Bytes of a body, decrypted if they were encrypted, and what of an Ogg page waits.
#[derive(Default)]
pub(crate) struct Behind {
    bytes: Vec<u8>,
    read: usize,
    items: VecDeque<Item>,
}

/// An [`OggItem`] that can wait.
enum Item {
    Head(earhook_audio::ogg::OpusHead),
    Packet(Vec<u8>, Range<usize>),
    Lost(usize),
}

impl Behind {
    pub(crate) fn is_empty(&self) -> bool {
        self.read == self.bytes.len() && self.items.is_empty()
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if self.read == self.bytes.len() {
            self.clear_bytes();
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn clear(&mut self) {
        self.clear_bytes();
        self.items.clear();
    }

    /// Reads a step of a format whose bytes stand for no more than they are.
    pub(crate) fn read_raw(
        &mut self,
        step_bytes: usize,
        raw: &mut RawReader,
        way: &mut Way<'_, impl Destination>,
    ) -> Result<(), IntakeError> {
        let end = self.bytes.len().min(self.read + step_bytes);
        let bytes = &self.bytes[self.read..end];
        self.read = end;
        way.suspicion.see(bytes);
        raw.take(bytes, way.flow, way.to)
    }

    /// Decodes packets behind their lengths until a step is full, or nothing is left.
    pub(crate) fn read_packets(
        &mut self,
        framing: &mut PacketFraming,
        opus: &mut OpusReader,
        way: &mut Way<'_, impl Destination>,
    ) -> Result<(), IntakeError> {
        let full = opus.decoded_samples() + STEP_SAMPLES;
        while opus.decoded_samples() < full {
            let Some(rest @ [_, ..]) = self.bytes.get(self.read..) else { break };
            let (packet, after) = framing.take(rest);
            let taken = rest.len() - after.len();
            self.read += taken;
            way.suspicion.see(&rest[..taken]);
            match packet {
                Some([]) => opus.lose_one(way),
                Some(packet) => opus.take(packet, 0..usize::MAX, way)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Decodes the packets of pages until a step is full, or nothing is left.
    pub(crate) fn read_ogg(
        &mut self,
        ogg: &mut OggReader,
        opus: &mut OpusReader,
        way: &mut Way<'_, impl Destination>,
    ) -> Result<(), IntakeError> {
        let full = opus.decoded_samples() + STEP_SAMPLES;
        while opus.decoded_samples() < full {
            match self.items.pop_front() {
                Some(Item::Head(head)) => opus.begin_stream(head, way)?,
                Some(Item::Packet(packet, kept)) => opus.take(&packet, kept, way)?,
                Some(Item::Lost(samples)) => opus.lose_samples(samples, way),
                None if self.read == self.bytes.len() => break,
                None => self.read_pages(ogg, way)?,
            }
        }
        Ok(())
    }

    fn read_pages(
        &mut self,
        ogg: &mut OggReader,
        way: &mut Way<'_, impl Destination>,
    ) -> Result<(), IntakeError> {
        let end = self.bytes.len().min(self.read + OGG_STEP_BYTES);
        let bytes = &self.bytes[self.read..end];
        way.suspicion.see(bytes);
        let items = &mut self.items;
        let fed = ogg.feed(bytes, &mut |item| match item {
            OggItem::Head(head) => items.push_back(Item::Head(head)),
            OggItem::Packet { packet, start, end } => {
                items.push_back(Item::Packet(packet.to_vec(), start..end));
            }
            OggItem::Lost(samples) => items.push_back(Item::Lost(samples)),
            _ => {}
        });
        self.read = end;
        fed.map_err(|error| IntakeError::Malformed(error.to_string()))
    }

    fn clear_bytes(&mut self) {
        self.bytes.clear();
        self.read = 0;
    }
}
