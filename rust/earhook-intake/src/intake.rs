//! One call's bodies, from bytes to samples.

use std::sync::Arc;

use earhook_audio::ogg::OggReader;

use crate::behind::{Behind, STEPS_A_SECOND};
use crate::destination::Destination;
use crate::encryption::EncryptionKeys;
use crate::error::IntakeError;
use crate::flow::Flow;
use crate::format::{Format, WireCodec};
use crate::framing::PacketFraming;
use crate::opus::{OpusReader, Way};
use crate::raw::RawReader;
use crate::records::Records;
use crate::suspicion::Suspicion;
use crate::tally::Tally;

/// One call's audio as bodies of bytes. The decoder goes on from one body to the next.
pub struct Intake {
    body: Body,
    reader: Reader,
    flow: Flow,
    tally: Tally,
    suspicion: Suspicion,
    plain: Vec<u8>,
    behind: Behind,
    /// What of raw audio out of an opened record is decoded in one go.
    step_bytes: usize,
}

/// How the bytes of the open body arrive.
enum Body {
    None,
    Plain,
    Sealed(Box<Records>),
    /// All of it has come; something of its last record is behind.
    Ending,
    /// A fault was found; whoever goes on is told again.
    Broken(IntakeError),
}

/// How its format is taken apart.
enum Reader {
    Raw(RawReader),
    Packets(PacketFraming, Box<OpusReader>),
    Ogg(Box<OggReader>, Box<OpusReader>),
}

impl Intake {
    /// An intake at the start of a call.
    ///
    /// # Errors
    /// [`IntakeError::Channels`] or [`IntakeError::Rate`].
    pub fn new(format: Format) -> Result<Self, IntakeError> {
        format.check()?;
        let reader = match format.codec {
            WireCodec::Raw(codec) => Reader::Raw(RawReader::new(codec, format.channels)?),
            WireCodec::Opus => {
                Reader::Packets(PacketFraming::default(), Box::new(OpusReader::new(&format)?))
            }
            WireCodec::Ogg => {
                Reader::Ogg(Box::new(OggReader::new()), Box::new(OpusReader::new(&format)?))
            }
        };
        Ok(Self {
            body: Body::None,
            reader,
            flow: Flow::new(&format)?,
            tally: Tally::default(),
            suspicion: Suspicion::new(&format),
            plain: Vec::new(),
            behind: Behind::default(),
            step_bytes: step_bytes(&format),
        })
    }

    /// A new body begins; with keys it is encrypted. What the last one left unfinished is dropped
    /// and counted, and what is behind of it is dropped.
    pub fn begin(&mut self, keys: Option<Arc<EncryptionKeys>>) {
        self.behind.clear();
        self.drop_partial();
        self.body = match keys {
            Some(keys) => Body::Sealed(Box::new(Records::new(keys))),
            None => Body::Plain,
        };
    }

    /// Takes the next bytes of the open body. What they hold goes to `to` at once, but for the few
    /// samples that the conversion of the rate needs what follows for, and for Opus of more than a
    /// quarter of a second: see [`Intake::is_behind`].
    ///
    /// # Errors
    /// [`IntakeError::NoBody`]; [`IntakeError::Malformed`] or [`IntakeError::Encryption`], and then
    /// for each call until the next body begins. What came before the fault has been given.
    pub fn push(&mut self, chunk: &[u8], to: &mut impl Destination) -> Result<(), IntakeError> {
        self.catch_up(to)?;
        let outcome = match &mut self.body {
            Body::None | Body::Ending => return Err(IntakeError::NoBody),
            Body::Broken(fault) => return Err(fault.clone()),
            Body::Plain => self.read(chunk, to),
            Body::Sealed(_) => self.unseal(chunk, to),
        };
        self.flow.pour(to);
        outcome.inspect_err(|fault| self.break_off(fault))
    }

    /// Whether something of what was pushed has not been decoded yet. Whoever must not be held up
    /// calls [`Intake::go_on`] until it is not so; whoever does not care pushes on, or ends the
    /// body, and what is behind is decoded first.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Decodes a little of what is behind.
    ///
    /// # Errors
    /// As [`Intake::push`].
    pub fn go_on(&mut self, to: &mut impl Destination) -> Result<(), IntakeError> {
        let outcome = self.read_step(to);
        self.flow.pour(to);
        outcome.inspect_err(|fault| self.break_off(fault))?;
        if self.behind.is_empty() && matches!(self.body, Body::Ending) {
            self.body = Body::None;
            self.drop_partial();
        }
        Ok(())
    }

    /// The open body is complete. Of its last record something may be behind, as after a push.
    ///
    /// # Errors
    /// As [`Intake::push`]. What was there before the fault has been given.
    pub fn end(&mut self, to: &mut impl Destination) -> Result<(), IntakeError> {
        self.catch_up(to)?;
        let outcome = match std::mem::replace(&mut self.body, Body::None) {
            Body::None | Body::Ending => return Err(IntakeError::NoBody),
            Body::Broken(fault) => Err(fault),
            Body::Plain => Ok(()),
            Body::Sealed(mut records) => self.unseal_last(&mut records),
        };
        if outcome.is_ok() && self.is_behind() {
            self.body = Body::Ending;
            return self.go_on(to);
        }
        self.flow.pour(to);
        if let Err(fault) = &outcome {
            self.break_off(fault);
            self.body = Body::None;
        }
        self.drop_partial();
        outcome
    }

    /// What follows does not join what came: gives what the decoder holds, then `samples` that are
    /// missing, at the rate that is given, and forgets the sound before.
    pub fn lose(&mut self, samples: u64, to: &mut impl Destination) {
        // A fault in it is told again by the next push into that body.
        let _ = self.catch_up(to);
        if let Reader::Packets(_, opus) | Reader::Ogg(_, opus) = &mut self.reader {
            let (tally, suspicion) = (&mut self.tally, &mut self.suspicion);
            opus.cut(samples, &mut Way { flow: &mut self.flow, to, tally, suspicion });
        }
        self.flow.cut(to);
        if samples > 0 {
            to.missing(samples);
        }
    }

    /// The call is over: gives what the decoder and the conversion of the rate hold back.
    pub fn finish(&mut self, to: &mut impl Destination) {
        let _ = self.catch_up(to);
        self.drop_partial();
        self.leave_ogg();
        self.lose(0, to);
        self.body = Body::None;
    }

    /// Samples per channel that [`Intake::finish`] would give now.
    #[must_use]
    pub fn held_samples(&self) -> u64 {
        let lost = match &self.reader {
            Reader::Raw(_) => 0,
            Reader::Packets(_, opus) | Reader::Ogg(_, opus) => opus.held_samples(),
        };
        self.flow.held_samples() + lost
    }

    /// What the sender most likely sends instead of what was announced; set once.
    #[must_use]
    pub fn suspicion(&self) -> Option<&'static str> {
        self.suspicion.found()
    }

    /// What has been counted so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally;
        if let Reader::Ogg(ogg, _) = &self.reader {
            let pages = ogg.tally();
            tally.bad_packets += pages.bad_packets;
            tally.skipped_bytes = pages.skipped_bytes;
        }
        tally
    }

    /// Takes bytes of the announced format; nothing is behind when they come.
    fn read(&mut self, bytes: &[u8], to: &mut impl Destination) -> Result<(), IntakeError> {
        if let Reader::Raw(raw) = &mut self.reader {
            self.suspicion.see(bytes);
            return raw.take(bytes, &mut self.flow, to);
        }
        self.behind.add(bytes);
        self.read_step(to)
    }

    /// Takes encrypted bytes record by record; nothing is behind when they come.
    fn unseal(&mut self, chunk: &[u8], to: &mut impl Destination) -> Result<(), IntakeError> {
        self.tally.encrypted_bytes += chunk.len() as u64;
        let mut plain = std::mem::take(&mut self.plain);
        let mut rest = chunk;
        while !rest.is_empty() {
            let Body::Sealed(records) = &mut self.body else { break };
            match records.take(rest, &mut plain, &mut self.tally) {
                Ok(after) => rest = after,
                Err(fault) => {
                    self.tally.refused_records += 1;
                    self.catch_up(to)?;
                    return Err(fault.into());
                }
            }
            self.behind.add(&plain);
        }
        self.plain = plain;
        self.read_step(to)
    }

    fn unseal_last(&mut self, records: &mut Records) -> Result<(), IntakeError> {
        records
            .end(&mut self.plain, &mut self.tally)
            .inspect_err(|_| self.tally.refused_records += 1)?;
        self.behind.add(&self.plain);
        Ok(())
    }

    /// Reads all that is behind.
    fn catch_up(&mut self, to: &mut impl Destination) -> Result<(), IntakeError> {
        while self.is_behind() {
            self.go_on(to)?;
        }
        Ok(())
    }

    /// Reads a little of what is behind.
    fn read_step(&mut self, to: &mut impl Destination) -> Result<(), IntakeError> {
        let (tally, suspicion) = (&mut self.tally, &mut self.suspicion);
        let way = &mut Way { flow: &mut self.flow, to, tally, suspicion };
        match &mut self.reader {
            Reader::Raw(raw) => self.behind.read_raw(self.step_bytes, raw, way),
            Reader::Packets(framing, opus) => self.behind.read_packets(framing, opus, way),
            Reader::Ogg(ogg, opus) => self.behind.read_ogg(ogg, opus, way),
        }
    }

    /// Nothing more is taken of this body.
    fn break_off(&mut self, fault: &IntakeError) {
        if matches!(fault, IntakeError::Malformed(_)) {
            // The stream would be refused for ever; the next body may begin with another one.
            self.leave_ogg();
        }
        self.behind.clear();
        self.body = Body::Broken(fault.clone());
    }

    fn leave_ogg(&mut self) {
        if let Reader::Ogg(ogg, _) = &mut self.reader {
            self.tally.trailing_bytes += ogg.end() as u64;
        }
    }

    /// No sample group or packet goes from one body into the next. An Ogg stream does: wherever its
    /// bytes are cut, it finds its way by itself.
    fn drop_partial(&mut self) {
        let dropped = match &mut self.reader {
            Reader::Raw(raw) => raw.end(),
            Reader::Packets(framing, _) => framing.end(),
            Reader::Ogg(..) => 0,
        };
        self.tally.trailing_bytes += dropped as u64;
        self.suspicion.see_end();
    }
}

fn step_bytes(format: &Format) -> usize {
    let sample_bytes = match format.codec {
        WireCodec::Raw(codec) => codec.bytes_per_sample(),
        WireCodec::Opus | WireCodec::Ogg => 1,
    };
    (format.wire_rate / STEPS_A_SECOND) as usize * sample_bytes * format.channels
}
