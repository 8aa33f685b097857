//! The official test vectors (RFC 6716 §6.1, RFC 8251 §11), which are too large to lie here.
//!
//! `OPUS_VECTORS=folder cargo test -p earhook-audio --release --test official_vectors -- --ignored`
//! with the twelve `testvectorNN.bit` and `testvectorNN.dec` in the folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod common;

use std::path::Path;

use common::{samples, signal_to_noise_db, take};
use earhook_audio::opus::OpusDecoder;

#[test]
#[ignore = "wants the folder of the vectors in OPUS_VECTORS"]
fn the_official_vectors_decode_as_they_should() {
    let folder = std::env::var("OPUS_VECTORS").unwrap();
    for number in 1..=12 {
        let file = Path::new(&folder).join(format!("testvector{number:02}"));
        let bits = std::fs::read(file.with_extension("bit")).unwrap();
        let reference = samples(&std::fs::read(file.with_extension("dec")).unwrap());
        let (out, packets) = decode(&bits);
        let agreement = signal_to_noise_db(&reference, &out);
        println!("testvector{number:02}: {packets} packets, error {agreement:.1} dB down");
        assert!(agreement > 40.0, "testvector{number:02}: {agreement:.1} dB");
    }
}

/// Decodes a stream of packets, each behind its length and the range coder's last state, which is
/// where a decoder that has read every symbol as it was meant ends as well.
fn decode(mut bits: &[u8]) -> (Vec<i16>, usize) {
    let mut decoder = OpusDecoder::new(2).unwrap();
    let (mut out, mut packets) = (Vec::new(), 0);
    while !bits.is_empty() {
        let length = big_endian(take(&mut bits, 4)) as usize;
        let final_range = big_endian(take(&mut bits, 4));
        decoder.decode(take(&mut bits, length), &mut out).unwrap();
        assert_eq!(decoder.final_range(), final_range, "packet {packets}");
        packets += 1;
    }
    (out, packets)
}

fn big_endian(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}
