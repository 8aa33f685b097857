//! Decoded samples on their way to the rate that is wanted.

use earhook_audio::resample::Resampler;

use crate::destination::Destination;
use crate::error::IntakeError;
use crate::format::Format;

/// How many decoded samples per channel are gathered before they are handed on.
pub(crate) const PIECE_SAMPLES: usize = 8_192;

/// Gathers planar samples as they are decoded, converts their rate, hands them on.
pub(crate) struct Flow {
    /// What readers add to; all lanes of the same length.
    pub(crate) decoded: Vec<Vec<i16>>,
    /// One a channel, or none if the rates are equal.
    converters: Vec<Resampler>,
    converted: Vec<Vec<i16>>,
    from_hz: u64,
    to_hz: u64,
    /// Samples per channel since the converters were new: into them, and out of them.
    taken: u64,
    given: u64,
}

impl Flow {
    pub(crate) fn new(format: &Format) -> Result<Self, IntakeError> {
        let (from_hz, to_hz) = (format.decoded_rate(), format.rate);
        let refused = |_| IntakeError::Rate { wire_rate: from_hz, rate: to_hz };
        let lanes = if from_hz == to_hz { 0 } else { format.channels };
        let converters: Result<_, _> = (0..lanes).map(|_| Resampler::new(from_hz, to_hz)).collect();
        Ok(Self {
            decoded: vec![Vec::new(); format.channels],
            converters: converters.map_err(refused)?,
            converted: vec![Vec::new(); lanes],
            from_hz: from_hz.into(),
            to_hz: to_hz.into(),
            taken: 0,
            given: 0,
        })
    }

    /// Samples per channel that will still come out of what has been taken in.
    pub(crate) fn held_samples(&self) -> u64 {
        let waiting = self.decoded.first().map_or(0, Vec::len) as u64;
        self.due(self.taken + waiting) - self.given
    }

    /// Adds interleaved samples.
    pub(crate) fn add_interleaved(&mut self, samples: &[i16]) {
        let channels = self.decoded.len();
        for (channel, lane) in self.decoded.iter_mut().enumerate() {
            lane.extend(samples.iter().skip(channel).step_by(channels));
        }
    }

    /// Hands on what has gathered, if it is much.
    pub(crate) fn pour_much(&mut self, to: &mut impl Destination) {
        if self.decoded.first().is_some_and(|lane| lane.len() >= PIECE_SAMPLES) {
            self.pour(to);
        }
    }

    /// Hands on what has gathered, but for what the converters hold back.
    pub(crate) fn pour(&mut self, to: &mut impl Destination) {
        let samples = self.decoded.first().map_or(0, Vec::len) as u64;
        if samples == 0 {
            return;
        }
        self.taken += samples;
        if self.converters.is_empty() {
            self.given += samples;
            to.audio(&self.decoded);
        } else {
            self.convert();
            self.give(to);
        }
        self.decoded.iter_mut().for_each(Vec::clear);
    }

    /// Hands on everything; what follows does not join it.
    pub(crate) fn cut(&mut self, to: &mut impl Destination) {
        self.pour(to);
        for (converter, lane) in self.converters.iter_mut().zip(&mut self.converted) {
            converter.finish(lane);
        }
        self.give(to);
        (self.taken, self.given) = (0, 0);
    }

    fn convert(&mut self) {
        let ways = self.converters.iter_mut().zip(&self.decoded).zip(&mut self.converted);
        for ((converter, from), lane) in ways {
            converter.push(from.iter().copied(), lane);
        }
    }

    fn give(&mut self, to: &mut impl Destination) {
        let samples = self.converted.first().map_or(0, Vec::len);
        if samples > 0 {
            self.given += samples as u64;
            to.audio(&self.converted);
            self.converted.iter_mut().for_each(Vec::clear);
        }
    }

    /// How many samples so many become.
    fn due(&self, taken: u64) -> u64 {
        (taken * self.to_hz).div_ceil(self.from_hz)
    }
}
