//! From one sample rate to another, as a stream: a windowed-sinc filter in polyphase form.
//!
//! With `n` the Nyquist frequency of the slower of the two rates: flat within 0.01 dB up to
//! 0.9 n (3,600 Hz of telephone speech), and 80 dB down from n on, so that neither aliases nor
//! images are left. The filter's delay is taken out: output sample `k` is what the signal was at
//! the time `k / to_hz`, and sits at that position.

use std::sync::OnceLock;

use thiserror::Error;

/// Rates that come in.
pub const FROM_HZ: [u32; 9] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Rates that go out.
pub const TO_HZ: [u32; 2] = [8_000, 16_000];

/// A pair of rates that cannot be converted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no conversion from {from_hz} to {to_hz} samples a second")]
pub struct RateError {
    /// The rate that comes in.
    pub from_hz: u32,
    /// The rate that was asked for.
    pub to_hz: u32,
}

/// One channel's way from one rate to another.
///
/// Of `n` samples in, exactly `ceil(n * to_hz / from_hz)` come out once the stream has been
/// finished, whatever the cut. Until then the last few milliseconds wait for what the filter has
/// to see behind them: [`Resampler::lookahead`]. Equal rates pass through at once.
pub struct Resampler {
    /// `None` for equal rates.
    filter: Option<&'static Filter>,
    /// Samples that the filter still needs, and before them as many as it looks back.
    window: Vec<f32>,
    /// Where in the window the taps of the next output sample begin.
    next: usize,
    /// How far the next output sample lies behind its input sample, in parts of `Filter::phases`.
    phase: usize,
}

impl Resampler {
    /// A converter at the start of a stream. The first one of a pair of rates computes the
    /// filter, which takes up to some milliseconds; all others share it.
    ///
    /// # Errors
    /// [`RateError`] unless the rates are among [`FROM_HZ`] and [`TO_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, RateError> {
        let from = FROM_HZ.iter().position(|&hz| hz == from_hz);
        let to = TO_HZ.iter().position(|&hz| hz == to_hz);
        let (Some(from), Some(to)) = (from, to) else {
            return Err(RateError { from_hz, to_hz });
        };
        let filter = (from_hz != to_hz)
            .then(|| FILTERS[from][to].get_or_init(|| Filter::design(from_hz, to_hz)));
        let mut resampler = Self { filter, window: Vec::new(), next: 0, phase: 0 };
        resampler.reset();
        Ok(resampler)
    }

    /// Input samples that must follow one before the output at its time is decided: 6.7 ms of
    /// them at the slower rate.
    #[must_use]
    pub fn lookahead(&self) -> usize {
        self.filter.map_or(0, Filter::half)
    }

    /// Takes samples in, adds those that are decided now to `out`, and returns how many that are.
    pub fn push(&mut self, samples: impl IntoIterator<Item = i16>, out: &mut Vec<i16>) -> usize {
        let before = out.len();
        let Some(filter) = self.filter else {
            out.extend(samples);
            return out.len() - before;
        };
        let mut samples = samples.into_iter().map(f32::from);
        loop {
            let held = self.window.len();
            self.window.extend(samples.by_ref().take(STRIDE));
            if self.window.len() == held {
                return out.len() - before;
            }
            self.convert(filter, out);
        }
    }

    /// Ends the stream: adds what is still due, as if silence followed, and returns how many
    /// samples that are. The next sample to come begins a stream of its own.
    pub fn finish(&mut self, out: &mut Vec<i16>) -> usize {
        let before = out.len();
        if let Some(filter) = self.filter {
            self.window.extend(std::iter::repeat_n(0.0, filter.half()));
            self.convert(filter, out);
        }
        self.reset();
        out.len() - before
    }

    /// Forgets what came in.
    pub fn reset(&mut self) {
        self.window.clear();
        // Before the first sample there was silence.
        self.window.resize(self.lookahead().saturating_sub(1), 0.0);
        (self.next, self.phase) = (0, 0);
    }

    fn convert(&mut self, filter: &Filter, out: &mut Vec<i16>) {
        while let Some(heard) = self.window.get(self.next..self.next + filter.taps) {
            out.push(to_sample(weigh(heard, filter.coefficients(self.phase))));
            self.phase += filter.step;
            self.next += self.phase / filter.phases;
            self.phase %= filter.phases;
        }
        // Between outputs of a much slower rate the next taps may begin behind what has come.
        let heard = self.next.min(self.window.len());
        self.window.drain(..heard);
        self.next -= heard;
    }
}

/// The low-pass of one pair of rates, sampled at each distance that an output sample can have from
/// an input sample.
struct Filter {
    /// `to_hz` and `from_hz` without their common divisor.
    phases: usize,
    step: usize,
    /// Coefficients of one phase.
    taps: usize,
    /// Phase by phase.
    table: Vec<f32>,
}

impl Filter {
    fn design(from_hz: u32, to_hz: u32) -> Self {
        let divisor = common_divisor(from_hz, to_hz);
        let (phases, step) = (to_hz / divisor, from_hz / divisor);
        // In periods of the input: the middle of the transition, and how far the window reaches.
        let slower = f64::from(from_hz.min(to_hz)) / f64::from(from_hz);
        let cutoff = slower * f64::midpoint(PASS, STOP) / 2.0;
        let half = (half_taps(slower).div_ceil(LANES / 2)) * (LANES / 2);
        let mut table = Vec::with_capacity(phases as usize * half * 2);
        for phase in 0..phases {
            let offset = f64::from(phase) / f64::from(phases);
            table.extend(one_phase(half, offset, cutoff));
        }
        Self { phases: phases as usize, step: step as usize, taps: half * 2, table }
    }

    fn half(&self) -> usize {
        self.taps / 2
    }

    fn coefficients(&self, phase: usize) -> &[f32] {
        &self.table[phase * self.taps..(phase + 1) * self.taps]
    }
}

/// Kaiser's estimate of the length that gives the attenuation, halved.
fn half_taps(slower: f64) -> usize {
    let transition = slower * (STOP - PASS) / 2.0;
    let taps = (ATTENUATION_DB - 7.95) / (14.36 * transition);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
    let half = (taps / 2.0).ceil() as usize;
    half
}

fn one_phase(half: usize, offset: f64, cutoff: f64) -> Vec<f32> {
    let half_width = half as f64;
    let beta = 0.1102 * (ATTENUATION_DB - 8.7);
    let taps: Vec<f64> = (0..half * 2)
        .map(|tap| {
            let time = tap as f64 - half_width + 1.0 - offset;
            let edge = (1.0 - (time / half_width).powi(2)).max(0.0).sqrt();
            sinc(2.0 * cutoff * time) * bessel(beta * edge)
        })
        .collect();
    // Each phase passes a constant as it is, so that none leaves a trace of its period.
    let sum: f64 = taps.iter().sum();
    #[expect(clippy::cast_possible_truncation, reason = "24 bits are 60 dB below a 16-bit step")]
    let coefficients = taps.into_iter().map(|tap| (tap / sum) as f32).collect();
    coefficients
}

fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if angle.abs() < 1e-9 {
        1.0
    } else {
        angle.sin() / angle
    }
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..64 {
        term *= quarter / f64::from(n * n);
        sum += term;
        if term < sum * 1e-15 {
            break;
        }
    }
    sum
}

/// The hot loop: several sums at once, so that the compiler may use wide registers.
fn weigh(samples: &[f32], coefficients: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (samples, coefficients) in samples.chunks_exact(LANES).zip(coefficients.chunks_exact(LANES))
    {
        for lane in 0..LANES {
            sums[lane] += samples[lane] * coefficients[lane];
        }
    }
    sums.iter().sum()
}

/// Rounds to the nearest sample; what is too loud becomes the loudest.
fn to_sample(value: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    let sample = (value + 0.5_f32.copysign(value)) as i16;
    sample
}

const fn common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A filter is the same for every call and large for rates that share few divisors.
static FILTERS: [[OnceLock<Filter>; TO_HZ.len()]; FROM_HZ.len()] =
    [const { [const { OnceLock::new() }; TO_HZ.len()] }; FROM_HZ.len()];

/// Edges of the transition, as parts of the slower rate's Nyquist frequency.
const PASS: f64 = 0.9;
const STOP: f64 = 1.0;
/// Some more than is promised: the estimate of the length is one.
const ATTENUATION_DB: f64 = 84.0;
/// Sums that run side by side; divides the number of taps.
const LANES: usize = 16;
/// Samples that are taken into the window at once.
const STRIDE: usize = 1_024;
