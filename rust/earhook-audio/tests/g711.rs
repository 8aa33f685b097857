//! G.711 against the recommendation itself: its tables of decision values, stated here a second
//! time and independently of how the crate computes, for every code and every sample.

use earhook_audio::g711::{self, Law};

const LAWS: [Law; 2] = [Law::Mu, Law::A];

/// (width of an interval, number of them) from zero outwards, in the units of the recommendation.
/// G.711 table 2a: the first interval of mu-law is half of one that spans zero.
const MU_INTERVALS: [(i32, usize); 9] =
    [(1, 1), (2, 15), (4, 16), (8, 16), (16, 16), (32, 16), (64, 16), (128, 16), (256, 16)];
/// G.711 table 1a: segments 1 and 2 of A-law share one width.
const A_INTERVALS: [(i32, usize); 7] =
    [(2, 32), (4, 16), (8, 16), (16, 16), (32, 16), (64, 16), (128, 16)];

/// One law as its table: 129 decision values and 128 quantised values, scaled to 16 bits.
struct Table {
    decisions: Vec<i32>,
    values: Vec<i32>,
    positive_codes: Vec<u8>,
}

impl Table {
    fn of(law: Law) -> Self {
        let (intervals, scale) = match law {
            Law::Mu => (MU_INTERVALS.as_slice(), 4),
            Law::A => (A_INTERVALS.as_slice(), 8),
        };
        let mut decisions = vec![0];
        for &(width, count) in intervals {
            for _ in 0..count {
                decisions.push(decisions[decisions.len() - 1] + width * scale);
            }
        }
        let mut values: Vec<i32> =
            decisions.windows(2).map(|pair| (pair[0] + pair[1]) / 2).collect();
        if law == Law::Mu {
            values[0] = 0;
        }
        let positive_codes = (0..128).map(|number| character_signal(law, number)).collect();
        Self { decisions, values, positive_codes }
    }

    fn decode(&self, code: u8) -> Option<i32> {
        let number = self.positive_codes.iter().position(|&positive| positive == code | 0x80)?;
        let value = self.values[number];
        Some(if code & 0x80 != 0 { value } else { -value })
    }

    /// The interval, on the whole number line, whose lower end the sample has reached and whose
    /// upper end it has not.
    fn encode(&self, sample: i32) -> u8 {
        let last = self.values.len() - 1;
        if sample >= 0 {
            let above = self.decisions.iter().position(|&decision| sample < decision);
            return self.positive_codes[above.map_or(last, |number| number - 1)];
        }
        let below = self.decisions.iter().position(|&decision| sample >= -decision);
        self.positive_codes[below.map_or(last, |number| number - 1)] & 0x7F
    }
}

/// Character signal of the n-th positive interval, bit 1 (sign) first, as it is transmitted.
fn character_signal(law: Law, number: u8) -> u8 {
    match law {
        Law::Mu => 255 - number,
        Law::A => (128 + number) ^ 0b0101_0101,
    }
}

fn decode_one(law: Law, code: u8) -> i16 {
    let mut sample = [0];
    assert_eq!(g711::decode(law, &[code], &mut sample), 1);
    sample[0]
}

fn encode_one(law: Law, sample: i16) -> u8 {
    let mut code = [0];
    assert_eq!(g711::encode(law, &[sample], &mut code), 1);
    code[0]
}

#[test]
fn the_restated_tables_end_where_the_recommendation_says() {
    let (mu, a) = (Table::of(Law::Mu), Table::of(Law::A));
    assert_eq!((mu.decisions.len(), a.decisions.len()), (129, 129));
    // Virtual decision values 8,159 (14 bits) and 4,096 (13 bits); last outputs 8,031 and 4,032.
    assert_eq!((mu.decisions[128], a.decisions[128]), (8_159 * 4, 4_096 * 8));
    assert_eq!((mu.values[127], a.values[127]), (8_031 * 4, 4_032 * 8));
}

#[test]
fn every_code_decodes_to_the_value_in_the_table() {
    for law in LAWS {
        let table = Table::of(law);
        for code in 0..=u8::MAX {
            assert_eq!(
                Some(i32::from(decode_one(law, code))),
                table.decode(code),
                "{law:?} {code:#04x}"
            );
        }
    }
}

#[test]
fn every_sample_encodes_to_the_interval_that_holds_it() {
    for law in LAWS {
        let table = Table::of(law);
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(
                encode_one(law, sample),
                table.encode(i32::from(sample)),
                "{law:?} {sample}"
            );
        }
    }
}

#[test]
fn decoding_what_was_encoded_from_a_decoded_code_changes_nothing() {
    for law in LAWS {
        for code in 0..=u8::MAX {
            let sample = decode_one(law, code);
            assert_eq!(decode_one(law, encode_one(law, sample)), sample, "{law:?} {code:#04x}");
        }
    }
}

#[test]
fn a_sample_moves_by_at_most_half_an_interval_unless_it_overloads() {
    for (law, overload) in [(Law::Mu, 32_636), (Law::A, 32_768)] {
        for sample in i16::MIN..=i16::MAX {
            let distance = i32::from(sample).abs();
            let error =
                (i32::from(decode_one(law, encode_one(law, sample))) - i32::from(sample)).abs();
            // An interval is at most 16 wide near zero and about 1/16 of the distance further out.
            let bound = distance / 32 + 8;
            assert!(error <= bound || distance > overload, "{law:?} {sample} moved {error}");
        }
    }
}

#[test]
fn mu_law_has_the_extremes_and_both_zeros_that_the_protocol_names() {
    let codes = [0x00, 0x80, 0xFF, 0x7F];
    assert_eq!(codes.map(g711::decode_mu), [-32_124, 32_124, 0, 0]);
    assert_eq!([0, 3, 4, -1, -4, -5].map(g711::encode_mu), [0xFF, 0xFF, 0xFE, 0x7F, 0x7F, 0x7E]);
    assert_eq!([i16::MAX, i16::MIN].map(g711::encode_mu), [0x80, 0x00]);
}

#[test]
fn a_law_has_no_zero_and_its_extremes() {
    assert_eq!([0xD5, 0x55, 0xAA, 0x2A].map(g711::decode_a), [8, -8, 32_256, -32_256]);
    assert_eq!([0, 15, 16, -1, -16, -17].map(g711::encode_a), [0xD5, 0xD5, 0xD4, 0x55, 0x55, 0x54]);
    assert_eq!([i16::MAX, i16::MIN].map(g711::encode_a), [0xAA, 0x2A]);
}

#[test]
fn slices_are_converted_as_far_as_both_reach() {
    let mut samples = [1; 3];
    assert_eq!(g711::decode(Law::Mu, &[0x80, 0x00], &mut samples), 2);
    assert_eq!(samples, [32_124, -32_124, 1]);
    assert_eq!(g711::decode(Law::Mu, &[0xFF; 4], &mut samples), 3);
    let mut codes = [1; 2];
    assert_eq!(g711::encode(Law::A, &[0], &mut codes), 1);
    assert_eq!(codes, [0xD5, 1]);
}
