//! Bodies of every kind, made from the speech of the demo.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use std::collections::HashMap;
use std::sync::Arc;

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce};
use aes_gcm::Aes128Gcm;
use earhook_audio::g711::{self, Law};
use earhook_audio::Codec;
use earhook_intake::{Collected, EncryptionKeys, Format, Intake, IntakeError, WireCodec};
use hkdf::Hkdf;
use opus_pure::{Application, OggOpusWriter, OpusEncoder, OpusHead};
use sha2::Sha256;

/// The demo's speech, customer and agent, 8 kHz.
pub(crate) fn speech() -> [Vec<i16>; 2] {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/earhook/demo/speech.wav");
    let bytes = std::fs::read(file).expect("the demo's speech");
    let data = bytes.windows(4).position(|four| four == b"data").expect("audio") + 8;
    let codes = &bytes[data..];
    let lane = |channel: usize| {
        codes.iter().skip(channel).step_by(2).map(|&code| g711::decode_mu(code)).collect()
    };
    [lane(0), lane(1)]
}

pub(crate) fn format(name: &str, channels: usize) -> Format {
    let codec = WireCodec::from_name(name).expect("a codec");
    Format { codec, channels, wire_rate: 8_000, rate: 8_000 }
}

pub(crate) fn interleaved(lanes: &[&[i16]]) -> Vec<i16> {
    (0..lanes[0].len()).flat_map(|index| lanes.iter().map(move |lane| lane[index])).collect()
}

/// Samples as a sender of `codec` writes them.
pub(crate) fn written(codec: Codec, samples: &[i16]) -> Vec<u8> {
    let mut codes = vec![0; samples.len()];
    match codec {
        Codec::Pcmu => g711::encode(Law::Mu, samples, &mut codes),
        Codec::Pcma => g711::encode(Law::A, samples, &mut codes),
        Codec::L16Le => return samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        Codec::L16Be => return samples.iter().flat_map(|sample| sample.to_be_bytes()).collect(),
    };
    codes
}

pub(crate) fn encoder(channels: usize) -> OpusEncoder {
    let mut encoder = OpusEncoder::new(8_000, channels, Application::Voip).unwrap();
    encoder.bitrate_bps = if channels == 1 { 24_000 } else { 64_000 };
    encoder
}

/// Opus packets of 20 ms of interleaved samples at 8 kHz.
pub(crate) fn packets(encoder: &mut OpusEncoder, samples: &[i16]) -> Vec<Vec<u8>> {
    let mut packet = vec![0; 1_500];
    samples
        .chunks_exact(160 * encoder.channels())
        .map(|frame| {
            let bytes = encoder.encode_s16(frame, 160, &mut packet).unwrap();
            packet[..bytes].to_vec()
        })
        .collect()
}

/// Packets behind their lengths; an empty one is marked as lost.
pub(crate) fn framed<'a>(packets: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let framed = |packet: &'a Vec<u8>| {
        u16::try_from(packet.len()).unwrap().to_be_bytes().into_iter().chain(packet.iter().copied())
    };
    packets.into_iter().flat_map(framed).collect()
}

/// An Ogg stream of interleaved samples at 8 kHz.
pub(crate) fn ogg(channels: usize, samples: &[i16]) -> Vec<u8> {
    let mut encoder = encoder(channels);
    let mut writer =
        OggOpusWriter::new(Vec::new(), OpusHead::for_encoder(&encoder, 8_000)).unwrap();
    writer.set_page_target(500);
    for packet in packets(&mut encoder, samples) {
        writer.write_packet(&packet).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) const KEY_ID: &[u8] = b"first";
pub(crate) const KEY: &[u8] = b"sixteen bytes...";

pub(crate) fn keys() -> Arc<EncryptionKeys> {
    keys_of(KEY_ID, KEY, 4_096)
}

pub(crate) fn keys_of(key_id: &[u8], key: &[u8], max_record_bytes: usize) -> Arc<EncryptionKeys> {
    let keys = HashMap::from([(key_id.to_vec(), key.to_vec().into())]);
    Arc::new(EncryptionKeys::new(keys, max_record_bytes))
}

/// A body as RFC 8188 has it, written from its text and not from the code under test.
pub(crate) fn sealed(plain: &[u8], record_bytes: usize, padding: usize) -> Vec<u8> {
    let salt = [7; 16];
    let hkdf = Hkdf::<Sha256>::new(Some(&salt), KEY);
    let (mut key, mut base) = ([0; 16], [0; 12]);
    hkdf.expand(b"Content-Encoding: aes128gcm\0", &mut key).unwrap();
    hkdf.expand(b"Content-Encoding: nonce\0", &mut base).unwrap();
    let cipher = Aes128Gcm::new(&key.into());
    let mut body = salt.to_vec();
    body.extend(u32::try_from(record_bytes).unwrap().to_be_bytes());
    body.push(KEY_ID.len() as u8);
    body.extend(KEY_ID);
    let room = record_bytes - 17 - padding;
    let pieces: Vec<&[u8]> =
        if plain.is_empty() { vec![plain] } else { plain.chunks(room).collect() };
    for (number, piece) in pieces.iter().enumerate() {
        let mut record = piece.to_vec();
        record.push(if number + 1 == pieces.len() { 2 } else { 1 });
        record.resize(record.len() + padding, 0);
        let mut nonce = base;
        for (byte, other) in nonce[4..].iter_mut().zip((number as u64).to_be_bytes()) {
            *byte ^= other;
        }
        cipher.encrypt_in_place(&Nonce::<Aes128Gcm>::from(nonce), b"", &mut record).unwrap();
        body.extend(record);
    }
    body
}

/// One body, in pieces of the lengths given in turn, and the end of the call.
pub(crate) fn heard(
    format: Format,
    keys: Option<&Arc<EncryptionKeys>>,
    body: &[u8],
    pieces: &[usize],
) -> (Collected, Result<(), IntakeError>) {
    let mut intake = Intake::new(format).unwrap();
    let mut heard = Collected::default();
    intake.begin(keys.cloned());
    let outcome = push_in_pieces(&mut intake, body, pieces, &mut heard);
    let outcome = outcome.and(intake.end(&mut heard));
    intake.finish(&mut heard);
    (heard, outcome)
}

pub(crate) fn push_in_pieces(
    intake: &mut Intake,
    body: &[u8],
    pieces: &[usize],
    heard: &mut Collected,
) -> Result<(), IntakeError> {
    let mut rest = body;
    for &bytes in pieces.iter().cycle().take(if pieces.is_empty() { 0 } else { usize::MAX }) {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(bytes.clamp(1, rest.len()));
        intake.push(piece, heard)?;
        rest = after;
    }
    intake.push(rest, heard)
}

pub(crate) fn written_as_mu(codes: &[u8]) -> Vec<i16> {
    codes.iter().map(|&code| g711::decode_mu(code)).collect()
}
