//! ITU-T G.711 pulse code modulation of voice, mu-law and A-law.
//!
//! Linear samples are 16-bit: the 14-bit (mu) and 13-bit (A) values of the recommendation moved
//! to the top of the word, so mu-law spans ±32,124 and A-law ±32,256. Decoding is the
//! recommendation's tables 1 and 2, exactly.
//!
//! Encoding picks the interval between two decision values that holds the sample. G.711 leaves
//! open which interval a sample *on* a decision value belongs to; here, as in the ITU-T G.191
//! software tools, it is always the one above, towards plus infinity. So -4 becomes mu-law's
//! negative zero (`0x7F`) while 4 becomes `0xFE`. Encoders that choose otherwise differ from this
//! one by a single step, on those edges only. The all-zero code is sent as it is: replacing it
//! (G.711 table 2a, note 2) was for lines that need pulses, not for packets.

use fearless_simd::{dispatch, Level, Simd, SimdBase};

/// Which of the two laws of G.711.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Law {
    /// mu-law: North America and Japan, and what AudioHook sends (`PCMU`).
    Mu,
    /// A-law: the rest of the world (`PCMA`).
    A,
}

/// Decodes codes into samples, as many as both slices have room for, and returns how many.
pub fn decode(law: Law, codes: &[u8], out: &mut [i16]) -> usize {
    decode_channel(law, codes, (0, 1), out);
    codes.len().min(out.len())
}

/// Decodes the codes of one channel: of each group of `channels`, the one at `place`. A group that
/// is not whole is left, and so is what has no room.
///
/// # Panics
/// Unless `place < channels`.
pub fn decode_channel(law: Law, codes: &[u8], (place, channels): (usize, usize), out: &mut [i16]) {
    assert!(place < channels, "no channel {place} of {channels}");
    dispatch!(Level::new(), simd => match (channels, place) {
        (1, _) => decode_all(simd, law, codes.iter().copied(), out),
        // The usual shapes are written out, so that the compiler sees their constants.
        (2, 0) => decode_all(simd, law, codes.chunks_exact(2).map(|group| group[0]), out),
        (2, _) => decode_all(simd, law, codes.chunks_exact(2).map(|group| group[1]), out),
        _ => {
            let own = codes.chunks_exact(channels).map(|group| group[place]);
            decode_all(simd, law, own, out);
        }
    });
}

/// Decodes codes into samples of two bytes, the low one first, as many as both slices have room
/// for.
pub fn decode_le(law: Law, codes: &[u8], out: &mut [u8]) {
    dispatch!(Level::new(), simd => {
        let places = out.chunks_exact_mut(2).zip(codes.iter().copied());
        decode_each(simd, law, places, |bytes, sample| {
            bytes.copy_from_slice(&sample.to_le_bytes());
        });
    });
}

#[inline(always)]
fn decode_all<S: Simd>(simd: S, law: Law, codes: impl Iterator<Item = u8>, out: &mut [i16]) {
    decode_each(simd, law, out.iter_mut().zip(codes), |place, sample| *place = sample);
}

/// Arithmetic where vectors are wide enough for it to beat lookups.
#[inline(always)]
fn decode_each<S: Simd, Place>(
    _: S,
    law: Law,
    places: impl Iterator<Item = (Place, u8)>,
    put: impl Fn(Place, i16),
) {
    if S::i16s::LEN < WIDE {
        let table = decode_table(law);
        return places.for_each(|(place, code)| put(place, table[usize::from(code)]));
    }
    match law {
        Law::Mu => places.for_each(|(place, code)| put(place, decode_mu(code))),
        Law::A => places.for_each(|(place, code)| put(place, decode_a(code))),
    }
}

/// Encodes samples into codes, as many as both slices have room for, and returns how many.
pub fn encode(law: Law, samples: &[i16], out: &mut [u8]) -> usize {
    match law {
        Law::Mu => look_up(samples, out, |sample| MU_CODES[usize::from(sample >> MU_SHIFT)]),
        Law::A => look_up(samples, out, |sample| A_CODES[usize::from(sample >> A_SHIFT)]),
    }
    samples.len().min(out.len())
}

/// The sample of a mu-law code: `0x00` is -32,124, `0x80` is 32,124, `0x7F` and `0xFF` are 0.
#[must_use]
#[inline(always)]
pub const fn decode_mu(code: u8) -> i16 {
    let bits = !code;
    let magnitude = ((((bits & 0x0F) as i16) << 3) + MU_BIAS) << ((bits >> 4) & 0x07);
    if bits & SIGN != 0 {
        MU_BIAS - magnitude
    } else {
        magnitude - MU_BIAS
    }
}

/// The mu-law code of a sample.
#[must_use]
pub const fn encode_mu(sample: i16) -> u8 {
    let (sign, magnitude) = split_sign(sample);
    let biased = magnitude / 4 + 33;
    let biased = if biased > 0x1FFF { 0x1FFF } else { biased };
    let segment = biased.ilog2() - 5;
    let code = (segment << 4) | ((biased >> (segment + 1)) & 0x0F);
    low_byte(0x7F - code) | sign
}

/// The sample of an A-law code: the smallest are ±8, the largest ±32,256; there is no zero.
#[must_use]
#[inline(always)]
pub const fn decode_a(code: u8) -> i16 {
    let bits = code ^ A_TOGGLE;
    let (exponent, mantissa) = ((bits >> 4) & 0x07, (bits & 0x0F) as i16);
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if bits & SIGN != 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The A-law code of a sample.
#[must_use]
pub const fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) = split_sign(sample);
    let steps = magnitude / 16;
    let code = if steps < 16 {
        steps
    } else {
        let exponent = steps.ilog2() - 3;
        (exponent << 4) | ((steps >> (exponent - 1)) & 0x0F)
    };
    (low_byte(code) | sign) ^ A_TOGGLE
}

/// The sign bit of a code and the distance from zero. Negative samples are counted from -1, so
/// that a sample on a decision value falls into the interval above on both sides of zero.
const fn split_sign(sample: i16) -> (u8, u32) {
    if sample < 0 {
        (0, !sample as u32)
    } else {
        (SIGN, sample as u32)
    }
}

const fn low_byte(code: u32) -> u8 {
    code.to_le_bytes()[0]
}

fn look_up(samples: &[i16], out: &mut [u8], code_of: impl Fn(u16) -> u8) {
    for (code, &sample) in out.iter_mut().zip(samples) {
        *code = code_of(sample as u16);
    }
}

/// What each code stands for.
#[must_use]
pub const fn decode_table(law: Law) -> &'static [i16; 256] {
    match law {
        Law::Mu => &MU_SAMPLES,
        Law::A => &A_SAMPLES,
    }
}

const SIGN: u8 = 0x80;
/// G.711 inverts every other bit of an A-law code.
const A_TOGGLE: u8 = 0x55;
/// 33 in the recommendation's 14-bit scale: makes every segment start at a power of two.
const MU_BIAS: i16 = 33 << 2;

/// The lowest bits of a sample decide nothing: all decision values are multiples of 4 in mu-law and
/// of 16 in A-law.
const MU_SHIFT: u32 = 2;
const A_SHIFT: u32 = 4;

/// 16-bit samples in a vector from which on decoding is faster without tables: 2 times with AVX2,
/// 5 times with AVX-512. Lookups beat what the compiler makes of it for plain x86-64, decoding 5.5
/// against 3.4 GB/s of codes and encoding 4.4 against 0.6.
const WIDE: usize = 16;

static MU_SAMPLES: [i16; 256] = tabulate_samples(Law::Mu);
static A_SAMPLES: [i16; 256] = tabulate_samples(Law::A);
static MU_CODES: [u8; 1 << (16 - MU_SHIFT)] = tabulate_codes(Law::Mu, MU_SHIFT);
static A_CODES: [u8; 1 << (16 - A_SHIFT)] = tabulate_codes(Law::A, A_SHIFT);

const fn tabulate_samples(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0_u8;
    loop {
        table[code as usize] = match law {
            Law::Mu => decode_mu(code),
            Law::A => decode_a(code),
        };
        if code == u8::MAX {
            return table;
        }
        code += 1;
    }
}

const fn tabulate_codes<const LENGTH: usize>(law: Law, shift: u32) -> [u8; LENGTH] {
    let mut table = [0; LENGTH];
    let mut upper_bits = 0_u16;
    while (upper_bits as usize) < LENGTH {
        let sample = (upper_bits << shift) as i16;
        table[upper_bits as usize] = match law {
            Law::Mu => encode_mu(sample),
            Law::A => encode_a(sample),
        };
        upper_bits += 1;
    }
    table
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn check<S: Simd>(simd: S) {
        let codes: Vec<u8> = (0..=255).chain(0..=76).collect();
        for law in [Law::Mu, Law::A] {
            let mut samples = vec![0; codes.len()];
            simd.vectorize(
                #[inline(always)]
                || decode_all(simd, law, codes.iter().copied(), &mut samples),
            );
            let table = decode_table(law);
            let expected: Vec<i16> = codes.iter().map(|&code| table[usize::from(code)]).collect();
            assert_eq!(samples, expected, "{law:?} at {:?}", simd.level());
        }
    }

    #[test]
    fn vectors_of_any_width_decode_as_the_tables() {
        let level = Level::new();
        level.as_sse2().into_iter().for_each(check);
        level.as_avx2().into_iter().for_each(check);
        level.as_avx512().into_iter().for_each(check);
    }
}
