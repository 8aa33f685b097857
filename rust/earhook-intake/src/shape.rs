//! What sound looks like when bytes are read in one way or another.

use earhook_audio::{Codec, Decoder};

/// Two figures of a stretch of samples that tell sound from bytes read wrongly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// Distance from the mean, root mean square, in quantisation steps.
    pub(crate) loudness: f64,
    /// Energy of the steps between neighbours by twice the energy: one less their correlation. Near
    /// 0 for voice, 1 for white noise, 2 for a tone at half the rate.
    pub(crate) roughness: f64,
}

impl Shape {
    /// Reads bytes in one way and measures all channels together. What is no whole sample group
    /// at the end is left out.
    pub(crate) fn of(bytes: &[u8], codec: Codec, channels: usize) -> Self {
        let Ok(decoder) = Decoder::new(codec, channels) else { return Self::default() };
        let whole = &bytes[..bytes.len() - bytes.len() % decoder.group_bytes()];
        let samples = whole.len() / decoder.group_bytes();
        let mut lanes = vec![vec![0; samples]; channels];
        let mut views: Vec<&mut [i16]> = lanes.iter_mut().map(Vec::as_mut_slice).collect();
        if decoder.decode_planar(whole, &mut views).is_err() {
            return Self::default();
        }
        let sums = lanes.iter().map(|lane| Sums::of(lane)).fold(Sums::default(), Sums::add);
        sums.shape(samples * channels)
    }
}

impl Shape {
    /// How far from sound: what is read wrongly is louder and rougher.
    pub(crate) fn unlikeness(&self) -> f64 {
        self.loudness * self.roughness
    }
}

#[derive(Clone, Copy, Default)]
struct Sums {
    energy: f64,
    steps: f64,
}

impl Sums {
    fn of(lane: &[i16]) -> Self {
        let count = lane.len().max(1) as f64;
        let mean = lane.iter().map(|&sample| i64::from(sample)).sum::<i64>() as f64 / count;
        let energy = lane.iter().map(|&sample| (f64::from(sample) - mean).powi(2)).sum();
        let step = |pair: &[i16]| (f64::from(pair[1]) - f64::from(pair[0])).powi(2);
        Self { energy, steps: lane.windows(2).map(step).sum() }
    }

    fn add(self, other: Self) -> Self {
        Self { energy: self.energy + other.energy, steps: self.steps + other.steps }
    }

    fn shape(self, samples: usize) -> Shape {
        let loudness = (self.energy / samples.max(1) as f64).sqrt();
        let roughness = if self.energy > 0.0 { self.steps / (2.0 * self.energy) } else { 0.0 };
        Shape { loudness, roughness }
    }
}
