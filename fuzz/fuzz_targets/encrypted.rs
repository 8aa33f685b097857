//! Encrypted bodies (RFC 8188): whatever is done to them, what is heard is the beginning of what
//! the owner of the key has said, and any cutting gives the same.
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use earhook_intake::{Collected, EncryptionKeys, Format, Intake, WireCodec};
use libfuzzer_sys::fuzz_target;

const KEY_ID: &[u8] = b"fuzz";
const KEY: [u8; 16] = [0x0B; 16];
const MAX_RECORD_BYTES: usize = 4_096;

// The first byte says how the rest is cut. All that was ever sealed with the key is the beginning
// of `spoken`.
fuzz_target!(|input: &[u8]| {
    let Some((&stride, bytes)) = input.split_first() else { return };
    let whole = heard(bytes, bytes.len().max(1));
    let pieces = heard(bytes, usize::from(stride) + 1);
    assert_eq!(whole, pieces);
    for (index, &sample) in whole.0.lanes.iter().flatten().enumerate() {
        assert_eq!(sample, spoken(index));
    }
});

#[allow(clippy::cast_possible_truncation)]
fn spoken(index: usize) -> i16 {
    (index as u16).wrapping_mul(257).cast_signed()
}

fn heard(bytes: &[u8], stride: usize) -> (Collected, bool, String) {
    let keys = HashMap::from([(KEY_ID.to_vec(), KEY.to_vec().into())]);
    let Some(codec) = WireCodec::from_name("L16BE") else { unreachable!() };
    let format = Format { codec, channels: 1, wire_rate: 8_000, rate: 8_000 };
    let Ok(mut intake) = Intake::new(format) else { unreachable!() };
    let mut to = Collected::default();
    intake.begin(Some(Arc::new(EncryptionKeys::new(keys, MAX_RECORD_BYTES))));
    let failed = bytes.chunks(stride).any(|chunk| intake.push(chunk, &mut to).is_err());
    let ended = intake.end(&mut to);
    assert!(!failed || ended.is_err());
    intake.finish(&mut to);
    let tally = intake.tally();
    (to, ended.is_ok(), format!("{} {}", tally.records, tally.refused_records))
}
