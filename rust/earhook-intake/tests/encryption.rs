//! Bodies of `Content-Encoding: aes128gcm` (RFC 8188).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod material;

use earhook_intake::{Collected, EncryptionFault, Format, Intake, IntakeError, WireCodec};
use material::{format, heard, keys, keys_of, sealed};
use proptest::prelude::*;

/// RFC 8188 §3.1.
const ONE_RECORD: (&str, &[u8], &str) = (
    "yqdlZ-tYemfogSmv7Ws5PQ",
    b"",
    "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg",
);
/// RFC 8188 §3.2: two records of 25 bytes, with padding.
const TWO_RECORDS: (&str, &[u8], &str) = (
    "BO3ZVPxUlnLORbVGMpbT1Q",
    b"a1",
    "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA",
);

#[test]
fn the_examples_of_the_rfc_are_read() {
    for (key, key_id, body) in [ONE_RECORD, TWO_RECORDS] {
        let keys = keys_of(key_id, &base64url(key), 4_096);
        let (heard, outcome) = heard(bytes_as_samples(), Some(&keys), &base64url(body), &[1]);
        assert_eq!(outcome, Ok(()));
        let expected = material::written_as_mu(b"I am the walrus");
        assert_eq!(heard.lanes, [expected]);
    }
}

#[test]
fn every_fault_has_its_name() {
    let good = sealed(&[0xFF; 100], 50, 3);
    let faults: [(&str, Vec<u8>, EncryptionFault); 10] = [
        ("nothing", vec![], EncryptionFault::Truncated),
        ("half a header", good[..20].to_vec(), EncryptionFault::Truncated),
        ("a header alone", good[..26].to_vec(), EncryptionFault::Truncated),
        ("a key of others", changed(&good, 22, b'x'), EncryptionFault::UnknownKey),
        ("records of 17", changed(&good, 19, 17), EncryptionFault::RecordTooShort { bytes: 17 }),
        (
            "records of 2^31",
            changed(&good, 16, 0x80),
            EncryptionFault::RecordTooLong { bytes: 0x8000_0032, limit: 4_096 },
        ),
        ("cut between records", good[..26 + 50].to_vec(), EncryptionFault::Truncated),
        ("cut in a record", good[..26 + 70].to_vec(), EncryptionFault::NotAuthentic { number: 1 }),
        (
            "a byte too many",
            [good.clone(), vec![0]].concat(),
            EncryptionFault::NotAuthentic { number: 3 },
        ),
        (
            "records in another order",
            [&good[..26], &good[76..126], &good[26..76], &good[126..]].concat(),
            EncryptionFault::NotAuthentic { number: 0 },
        ),
    ];
    for (name, body, fault) in faults {
        let (_, outcome) = heard(bytes_as_samples(), Some(&keys()), &body, &[7]);
        assert_eq!(outcome, Err(IntakeError::Encryption(fault)), "{name}");
    }
}

#[test]
fn what_follows_a_full_last_record_is_refused() {
    let good = sealed(&[0xFF; 66], 50, 0);
    assert_eq!(good.len(), 26 + 100);
    let (heard_good, outcome) = heard(bytes_as_samples(), Some(&keys()), &good, &[]);
    assert_eq!((heard_good.position(), outcome), (66, Ok(())));
    let (heard, outcome) = heard(bytes_as_samples(), Some(&keys()), &[good, vec![0]].concat(), &[]);
    assert_eq!(heard, heard_good);
    assert_eq!(outcome, Err(IntakeError::Encryption(EncryptionFault::AfterLast)));
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", keys());
    assert_eq!(shown, "EncryptionKeys(1 keys)");
}

proptest! {
    #[test]
    fn what_is_sealed_is_heard_however_it_is_cut(
        plain in prop::collection::vec(any::<u8>(), 0..600),
        record_bytes in 24_usize..120,
        padding in 0_usize..6,
        pieces in prop::collection::vec(1_usize..90, 0..8),
    ) {
        let body = sealed(&plain, record_bytes, padding);
        let (heard, outcome) = heard(bytes_as_samples(), Some(&keys()), &body, &pieces);
        prop_assert_eq!(outcome, Ok(()));
        let lane = heard.lanes.first().cloned().unwrap_or_default();
        prop_assert_eq!(lane, material::written_as_mu(&plain));
    }

    /// Of the record that somebody touched, and of all after it, nothing is heard.
    #[test]
    fn a_changed_record_gives_no_sample(
        plain in prop::collection::vec(any::<u8>(), 1..600),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..,
        pieces in prop::collection::vec(1_usize..90, 0..8),
    ) {
        const RECORD_BYTES: usize = 60;
        let mut body = sealed(&plain, RECORD_BYTES, 2);
        let place = place.index(body.len());
        body[place] ^= flip;
        let (heard, outcome) = heard(bytes_as_samples(), Some(&keys()), &body, &pieces);
        if outcome.is_ok() {
            // RFC 8188 authenticates the record size by where records end. One alone fits any.
            prop_assert!((16..20).contains(&place) && body.len() <= 26 + RECORD_BYTES);
            prop_assert_eq!(&heard.lanes[0], &material::written_as_mu(&plain));
            return Ok(());
        }
        prop_assert!(matches!(outcome, Err(IntakeError::Encryption(_))), "{:?}", outcome);
        let untouched = place.saturating_sub(26) / RECORD_BYTES * (RECORD_BYTES - 19);
        let untouched = untouched.min(plain.len());
        let lane = heard.lanes.first().cloned().unwrap_or_default();
        prop_assert_eq!(lane, material::written_as_mu(&plain[..untouched]));
    }

    #[test]
    fn random_bytes_give_nothing(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let (heard, outcome) = heard(bytes_as_samples(), Some(&keys()), &body, &[13]);
        prop_assert!(outcome.is_err());
        prop_assert_eq!(heard.position(), 0);
    }
}

/// Any byte is a sample.
fn bytes_as_samples() -> Format {
    let format = format("PCMU", 1);
    assert!(matches!(format.codec, WireCodec::Raw(_)));
    format
}

fn changed(body: &[u8], place: usize, byte: u8) -> Vec<u8> {
    let mut changed = body.to_vec();
    changed[place] = byte;
    changed
}

fn base64url(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = |letter: u8| LETTERS.iter().position(|&one| one == letter).unwrap();
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let bits = group.iter().fold(0, |bits, &letter| (bits << 6) | value(letter));
        let bits = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend(&bits[5..5 + group.len() * 6 / 8]);
    }
    bytes
}

#[test]
fn a_record_of_minutes_is_decoded_a_little_at_a_time() {
    // Packets of one byte, 60 ms each: a record of 4 KiB stands for 80 s.
    let plain = [0, 1, 0x0B_u8 << 3].repeat(1_350);
    let body = sealed(&plain, 4_096, 0);
    let (whole, _) = heard(format("OPUS", 1), None, &plain, &[]);
    let mut intake = Intake::new(format("OPUS", 1)).unwrap();
    let mut so_far = Collected::default();
    intake.begin(Some(keys()));
    intake.push(&body, &mut so_far).unwrap();
    assert_eq!(so_far.position(), 0, "the last record is opened at the end of the body");
    intake.end(&mut so_far).unwrap();
    let mut steps = 0;
    while intake.is_behind() {
        let before = so_far.position();
        intake.go_on(&mut so_far).unwrap();
        assert!(so_far.position() - before <= 2_000 + 480, "a step holds up everybody else");
        steps += 1;
    }
    assert_eq!(intake.push(&[0], &mut so_far), Err(IntakeError::NoBody));
    intake.finish(&mut so_far);
    assert!(steps >= 15, "{steps} steps");
    assert_eq!(so_far.lanes, whole.lanes);
}

#[test]
fn a_record_of_raw_audio_does_not_overrun_a_ring() {
    let plain: Vec<u8> = (0..4_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let format = format("PCMU", 1);
    let (whole, _) = heard(format, None, &plain, &[]);
    let mut intake = Intake::new(format).unwrap();
    let mut so_far = Collected::default();
    intake.begin(Some(keys()));
    intake.push(&sealed(&plain, 4_096, 0), &mut so_far).unwrap();
    intake.end(&mut so_far).unwrap();
    assert!(intake.is_behind());
    assert_eq!(so_far.position(), 2_000, "a quarter of a second");
    intake.finish(&mut so_far);
    assert_eq!(so_far.lanes, whole.lanes);
}
