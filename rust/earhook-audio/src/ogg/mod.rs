//! Ogg (RFC 3533) with Opus inside (RFC 7845), as a stream of bytes of any cut.
//!
//! A page counts only if its checksum is right. After damage the next good page goes on, and what
//! is missing between the two is told by their granule positions: [`OggItem::Lost`].

mod head;
mod page;
mod stream;

pub use head::OpusHead;

use page::{Page, PageBuffer};
use stream::LogicalStream;
use thiserror::Error;

/// What a stream holds, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OggItem<'bytes> {
    /// A logical stream begins, the first one or one chained to it: reset the decoder, set its
    /// gain.
    Head(OpusHead),
    /// A packet. Of the samples per channel that it decodes to at 48 kHz, those from `start` up to
    /// `end` are the audio: pre-skip and end trimming are in these numbers. The packet is to be
    /// decoded even where none are left of it.
    Packet {
        /// As the decoder takes it; it has passed [`packet_samples`](crate::opus::packet_samples).
        packet: &'bytes [u8],
        /// The first sample that counts.
        start: usize,
        /// The first sample that does not count any more.
        end: usize,
    },
    /// Packets were lost, or were unreadable. They stood for this many samples per channel at
    /// 48 kHz, at most [`MAX_LOST_SAMPLES`].
    Lost(usize),
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum OggError {
    /// The first bytes are no page.
    #[error("the bytes do not begin with an Ogg page")]
    NotOgg,
    /// Damage, and no good page for long after it.
    #[error("no whole Ogg page for too long")]
    NoPages,
    /// Pages, and none of them begins an Opus stream.
    #[error("the Ogg stream holds no Opus")]
    NotOpus,
    /// An identification header that RFC 7845 §5.1 does not allow.
    #[error("the Opus header is malformed")]
    MalformedHead,
    /// More channels than a call has, or several Opus streams in one (RFC 7845 §5.1.1).
    #[error("only mono and stereo of channel mapping family 0 are read")]
    ChannelMapping,
    /// A comment header that RFC 7845 §5.2 does not allow.
    #[error("the Opus comment header is malformed")]
    MalformedTags,
    /// More comments than a call needs.
    #[error("the Opus comment header is too long")]
    TagsTooLong,
}

/// What was wrong with a stream so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OggTally {
    /// Bytes that belonged to no good page.
    pub skipped_bytes: u64,
    /// Pages whose checksum was wrong.
    pub damaged_pages: u64,
    /// Pages that never came, by the sequence numbers of those that did.
    pub lost_pages: u64,
    /// Packets that are no Opus, or that were cut off.
    pub bad_packets: u64,
}

/// Reads one physical stream: Opus streams chained to each other. Of streams that are multiplexed
/// the first Opus one is read. Comments are measured and not kept, so memory is bounded by a page
/// and a packet whatever comes.
#[derive(Default)]
pub struct OggReader {
    pages: PageBuffer,
    streams: Streams,
    failed: Option<OggError>,
}

impl OggReader {
    /// A reader before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and hands each item that they complete to `sink`, in order.
    ///
    /// # Errors
    /// The stream is beyond repair; each later call fails the same way. Items handed out before
    /// stay good.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(OggItem<'_>),
    ) -> Result<(), OggError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.pages.extend(piece);
            if let Err(error) = read_pages(&mut self.pages, &mut self.streams, sink) {
                self.failed = Some(error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The bytes have come to their end; returns how many are left without the rest of their page
    /// or packet, and forgets them.
    pub fn end(&mut self) -> usize {
        let left = self.pages.waiting_bytes() + self.streams.waiting_bytes();
        let tally = self.tally();
        *self = Self::default();
        self.streams.tally = tally;
        left
    }

    /// What was wrong so far, over all streams.
    #[must_use]
    pub fn tally(&self) -> OggTally {
        OggTally {
            skipped_bytes: self.streams.tally.skipped_bytes + self.pages.skipped_bytes,
            damaged_pages: self.streams.tally.damaged_pages + self.pages.damaged_pages,
            ..self.streams.tally
        }
    }
}

/// The logical streams of a physical one.
#[derive(Default)]
struct Streams {
    open: Option<LogicalStream>,
    /// An Opus stream has been seen: what comes beside or behind it need not be one.
    found: bool,
    tally: OggTally,
}

impl Streams {
    fn take(
        &mut self,
        page: &Page<'_>,
        sink: &mut impl FnMut(OggItem<'_>),
    ) -> Result<(), OggError> {
        if page.begins() {
            return self.begin(page, sink);
        }
        match &mut self.open {
            Some(stream) if stream.serial() == page.serial => {
                stream.take(page, &mut self.tally, sink)?;
                if page.ends() {
                    self.open = None;
                }
            }
            // All streams of a group begin before the first of them goes on (RFC 3533 §4).
            _ if !self.found => return Err(OggError::NotOpus),
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        page: &Page<'_>,
        sink: &mut impl FnMut(OggItem<'_>),
    ) -> Result<(), OggError> {
        if !OpusHead::is_one(page.body) {
            return Ok(());
        }
        // Beside one that has only begun it is multiplexed, not chained.
        if self.open.as_ref().is_some_and(LogicalStream::has_only_begun) {
            return Ok(());
        }
        let head = OpusHead::read(page.body)?;
        self.open = Some(LogicalStream::new(page, &head));
        self.found = true;
        sink(OggItem::Head(head));
        Ok(())
    }

    fn waiting_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, LogicalStream::waiting_bytes)
    }
}

fn read_pages(
    pages: &mut PageBuffer,
    streams: &mut Streams,
    sink: &mut impl FnMut(OggItem<'_>),
) -> Result<(), OggError> {
    while let Some(page) = pages.next()? {
        streams.take(&page, sink)?;
    }
    Ok(())
}

/// Beyond a minute the positions before and after are taken to have nothing to do with each other.
pub const MAX_LOST_SAMPLES: usize = 60 * 48_000;

/// What the buffer of pages takes at once, whatever the caller has.
const PIECE_BYTES: usize = 16 * 1_024;
