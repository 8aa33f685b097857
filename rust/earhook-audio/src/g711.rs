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
    let table = decode_table(law);
    for (sample, &code) in out.iter_mut().zip(codes) {
        *sample = table[usize::from(code)];
    }
    codes.len().min(out.len())
}

/// Encodes samples into codes, as many as both slices have room for, and returns how many.
pub fn encode(law: Law, samples: &[i16], out: &mut [u8]) -> usize {
    match law {
        Law::Mu => apply(samples, out, encode_mu),
        Law::A => apply(samples, out, encode_a),
    }
}

/// The sample of a mu-law code: `0x00` is -32,124, `0x80` is 32,124, `0x7F` and `0xFF` are 0.
#[must_use]
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

fn apply<From: Copy, To>(from: &[From], to: &mut [To], convert: impl Fn(From) -> To) -> usize {
    for (out, &value) in to.iter_mut().zip(from) {
        *out = convert(value);
    }
    from.len().min(to.len())
}

pub(crate) const fn decode_table(law: Law) -> &'static [i16; 256] {
    match law {
        Law::Mu => &MU_TABLE,
        Law::A => &A_TABLE,
    }
}

const SIGN: u8 = 0x80;
/// G.711 inverts every other bit of an A-law code.
const A_TOGGLE: u8 = 0x55;
/// 33 in the recommendation's 14-bit scale: makes every segment start at a power of two.
const MU_BIAS: i16 = 33 << 2;

/// A lookup beats arithmetic even where that is written so that the compiler vectorises it for
/// plain x86-64 (5.5 against 3.4 GB/s of codes in one lane, 3.8 against 2.1 in two).
static MU_TABLE: [i16; 256] = tabulate(Law::Mu);
static A_TABLE: [i16; 256] = tabulate(Law::A);

const fn tabulate(law: Law) -> [i16; 256] {
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
