//! What several of the tests need: packets with their reference decodes, and a measure.

#![allow(dead_code, reason = "each test takes what it needs")]

/// Every so many samples of a reference decode are kept.
pub(crate) const STRIDE: usize = 13;

/// What is to happen at one place of a stream.
pub(crate) enum Action<'bytes> {
    Decode(&'bytes [u8]),
    Conceal,
    RecoverFromNext,
}

pub(crate) struct Record<'bytes> {
    pub(crate) action: Action<'bytes>,
    pub(crate) samples: usize,
    pub(crate) final_range: u32,
}

/// A file that `bench/make_opus_cases.py` made.
pub(crate) struct Case<'bytes> {
    pub(crate) channels: usize,
    pub(crate) records: Vec<Record<'bytes>>,
    /// Every `STRIDE`th sample of libopus' decode.
    pub(crate) reference: Vec<i16>,
}

impl<'bytes> Case<'bytes> {
    pub(crate) fn read(bytes: &'bytes [u8]) -> Self {
        let mut left = bytes.strip_prefix(b"OPUSCASE").unwrap();
        let channels = usize::from(take(&mut left, 1)[0]);
        let count = little_endian(take(&mut left, 2));
        let records = (0..count).map(|_| Record::read(&mut left)).collect();
        Self { channels, records, reference: samples(left) }
    }
}

impl<'bytes> Record<'bytes> {
    fn read(left: &mut &'bytes [u8]) -> Self {
        let action = take(left, 1)[0];
        let samples = little_endian(take(left, 2));
        let final_range = u32::try_from(little_endian(take(left, 4))).unwrap();
        let length = little_endian(take(left, 2));
        let packet = take(left, length);
        let action = match action {
            0 => Action::Decode(packet),
            1 => Action::Conceal,
            2 => Action::RecoverFromNext,
            other => panic!("no action {other}"),
        };
        Self { action, samples, final_range }
    }
}

pub(crate) fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// How far the difference of two signals lies below the first one; infinite for none.
pub(crate) fn signal_to_noise_db(signal: &[i16], other: &[i16]) -> f64 {
    assert_eq!(signal.len(), other.len());
    let power = |of: &mut dyn Iterator<Item = f64>| of.map(|value| value * value).sum::<f64>();
    let noise =
        power(&mut signal.iter().zip(other).map(|(&one, &two)| f64::from(one) - f64::from(two)));
    10.0 * (power(&mut signal.iter().copied().map(f64::from)) / noise).log10()
}

/// Numbers without a pattern, the same in every run.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 32).unwrap()
    }
}

pub(crate) fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte))
}

pub(crate) fn take<'bytes>(left: &mut &'bytes [u8], bytes: usize) -> &'bytes [u8] {
    let (taken, rest) = left.split_at(bytes);
    *left = rest;
    taken
}
