//! One logical Opus stream: pages to packets, and which of their samples count (RFC 7845 §4).

use super::page::Page;
use super::{OggError, OggItem, OggTally, OpusHead, MAX_LOST_SAMPLES};
use crate::opus::packet_samples;

/// A stream after its identification header.
pub(super) struct LogicalStream {
    serial: u32,
    next_sequence: u32,
    part: Part,
    /// The beginning of a packet that goes on on the next page.
    partial: Vec<u8>,
    /// Samples still to be left out at the start.
    skip_left: usize,
    /// Where the last packet ended; `None` before the first one.
    position: Option<u64>,
}

/// Which part of the stream comes next.
enum Part {
    /// The comment header, of which so many bytes have come.
    Tags(usize),
    Audio,
}

impl LogicalStream {
    pub(super) fn new(page: &Page<'_>, head: &OpusHead) -> Self {
        Self {
            serial: page.serial,
            next_sequence: page.sequence.wrapping_add(1),
            part: Part::Tags(0),
            partial: Vec::new(),
            skip_left: usize::from(head.pre_skip),
            position: None,
        }
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// Nothing but the first page has come.
    pub(super) fn has_only_begun(&self) -> bool {
        matches!(self.part, Part::Tags(0))
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.partial.len()
    }

    pub(super) fn take(
        &mut self,
        page: &Page<'_>,
        tally: &mut OggTally,
        sink: &mut impl FnMut(OggItem<'_>),
    ) -> Result<(), OggError> {
        let behind = self.next_sequence.wrapping_sub(page.sequence);
        if (1..=MAX_REPEATED).contains(&behind) {
            // One that came before, once more.
            return Ok(());
        }
        let ahead = page.sequence.wrapping_sub(self.next_sequence);
        self.next_sequence = page.sequence.wrapping_add(1);
        // A numbering that leaps tells of a loss, and not of how much.
        tally.lost_pages += u64::from(if ahead > MAX_AHEAD { 1 } else { ahead });
        if ahead > 0 || !page.continues() {
            tally.bad_packets += u64::from(!self.partial.is_empty());
            self.partial.clear();
        }
        match self.part {
            Part::Tags(bytes) if ahead == 0 || page.granule.unwrap_or(0) == 0 => {
                self.take_tags(bytes, page)
            }
            _ => {
                self.part = Part::Audio;
                self.take_audio(page, tally, sink);
                Ok(())
            }
        }
    }

    /// Measures comments; not one of them is of use here.
    fn take_tags(&mut self, bytes: usize, page: &Page<'_>) -> Result<(), OggError> {
        let mut pieces = page.pieces();
        let Some((piece, ends)) = pieces.next() else { return Ok(()) };
        if bytes == 0 && !page.continues() && !piece.starts_with(b"OpusTags") {
            return Err(OggError::MalformedTags);
        }
        if bytes + piece.len() > MAX_TAGS_BYTES {
            return Err(OggError::TagsTooLong);
        }
        // Audio begins on a page of its own (§3).
        if pieces.next().is_some() {
            return Err(OggError::MalformedTags);
        }
        self.part = if ends { Part::Audio } else { Part::Tags(bytes + piece.len()) };
        Ok(())
    }

    fn take_audio(
        &mut self,
        page: &Page<'_>,
        tally: &mut OggTally,
        sink: &mut impl FnMut(OggItem<'_>),
    ) {
        let joined = self.join(page);
        let packets = || {
            let own = page.pieces().skip(usize::from(page.continues()));
            joined
                .as_deref()
                .into_iter()
                .chain(own.filter_map(|(piece, ends)| ends.then_some(piece)))
        };
        let samples = packets().filter_map(samples_in).sum();
        let bad_packets = packets().filter(|packet| samples_in(packet).is_none()).count();
        tally.bad_packets += bad_packets as u64;

        let mut span = self.place(page, samples);
        if bad_packets == 0 {
            self.lose(&mut span.missing, sink);
        }
        for packet in packets() {
            // What is missing is missing here, for all we know.
            let Some(length) = samples_in(packet) else {
                self.lose(&mut span.missing, sink);
                continue;
            };
            let skipped = self.skip_left.min(length);
            let end = span.kept.min(length);
            self.skip_left -= skipped;
            span.kept -= end;
            sink(OggItem::Packet { packet, start: skipped.min(end), end });
        }
    }

    /// Takes what the page has of packets that lie on several: the end of one that began before,
    /// which is returned, and the beginning of one that goes on.
    fn join(&mut self, page: &Page<'_>) -> Option<Vec<u8>> {
        let mut pieces = page.pieces();
        let mut joined = None;
        if page.continues() {
            let (piece, ends) = pieces.next()?;
            // Of a packet whose beginning is lost, the rest is of no use.
            if !self.partial.is_empty() {
                self.keep(piece);
                joined = ends.then(|| std::mem::take(&mut self.partial));
            }
        }
        if let Some((piece, false)) = pieces.last() {
            self.keep(piece);
        }
        joined
    }

    /// Keeps a piece, up to the length at which the packet is a bad one in any case.
    fn keep(&mut self, piece: &[u8]) {
        let room = (MAX_PACKET_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Compares where the page says that its packets end with where they do.
    fn place(&mut self, page: &Page<'_>, samples: usize) -> Span {
        let whole = Span { missing: 0, kept: samples };
        let Some(granule) = page.granule else { return whole };
        let samples = samples as u64;
        // The first page may be anywhere, as when a stream is joined that is on the air (§4.3).
        let start = self.position.unwrap_or_else(|| granule.saturating_sub(samples));
        let end = start.saturating_add(samples);
        self.position = Some(granule);
        if page.ends() && granule < end {
            // End trimming (§4.4).
            let kept = granule.saturating_sub(start);
            return Span { missing: 0, kept: usize::try_from(kept).unwrap_or(whole.kept) };
        }
        if granule.abs_diff(end) < SHORTEST_FRAME {
            // Not a packet's worth: positions that were rounded. Packets tell the time better.
            self.position = Some(end);
            return whole;
        }
        let missing = usize::try_from(granule.saturating_sub(end)).unwrap_or(usize::MAX);
        Span { missing: if missing > MAX_LOST_SAMPLES { 0 } else { missing }, ..whole }
    }

    fn lose(&mut self, missing: &mut usize, sink: &mut impl FnMut(OggItem<'_>)) {
        let skipped = self.skip_left.min(*missing);
        self.skip_left -= skipped;
        let lost = std::mem::take(missing) - skipped;
        if lost > 0 {
            sink(OggItem::Lost(lost));
        }
    }
}

/// What the packets of a page stand for.
struct Span {
    /// Samples that came neither on this page nor before.
    missing: usize,
    /// Samples of its packets that are left after end trimming.
    kept: usize,
}

/// Samples of a packet; `None` for one that is no Opus.
fn samples_in(packet: &[u8]) -> Option<usize> {
    packet_samples(packet).ok().filter(|_| packet.len() <= MAX_PACKET_BYTES)
}

/// What RFC 7845 §6 wants to be read at most: 48 frames of 1,275 bytes and their lengths.
const MAX_PACKET_BYTES: usize = 61_440;
/// Pictures are comments too; none of it is kept.
const MAX_TAGS_BYTES: usize = 1 << 20;
/// 2.5 ms.
const SHORTEST_FRAME: u64 = 120;
/// Pages that may come twice, as when a sender repeats the last of them.
const MAX_REPEATED: u32 = 64;
/// An hour of pages of 20 ms.
const MAX_AHEAD: u32 = 180_000;
