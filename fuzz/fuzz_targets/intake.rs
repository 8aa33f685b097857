//! Bodies of every format, end to end: any cutting gives the same samples, gaps, counts, suspicion
//! and fault, and no more of them than the bytes can stand for.
#![no_main]

use earhook_fuzz::with_checksums;
use earhook_intake::{Collected, Format, Intake, IntakeError, WireCodec};
use libfuzzer_sys::fuzz_target;

const CODECS: [&str; 5] = ["PCMU", "PCMA", "L16BE", "OPUS", "OGG"];
const RATES: [u32; 4] = [8_000, 16_000, 44_100, 48_000];
/// What one byte may stand for: half a lost packet of 120 ms at 16 kHz.
const MOST_SAMPLES_PER_BYTE: u64 = 960;
/// A page of Ogg may tell of a minute that was lost, and has 28 bytes at least.
const MOST_SAMPLES_PER_OGG_BYTE: u64 = 60 * 16_000 / 28;

// Three bytes say the format, how the rest is cut, and where the second body begins.
fuzz_target!(|input: &[u8]| {
    let [choice, stride, share, bytes @ ..] = input else { return };
    let codec = CODECS[usize::from(choice & 7) % CODECS.len()];
    let bytes = if codec == "OGG" { with_checksums(bytes) } else { bytes.to_vec() };
    let Some(wire) = WireCodec::from_name(codec) else { unreachable!() };
    let format = Format {
        codec: wire,
        channels: 1 + usize::from(choice >> 3 & 1),
        wire_rate: RATES[usize::from(choice >> 4 & 3)],
        rate: 8_000 << (choice >> 6 & 1),
    };
    let bodies = bytes.split_at(bytes.len() * usize::from(*share) / 256);
    let whole = heard(format, bodies, usize::MAX);
    let pieces = heard(format, bodies, usize::from(*stride) + 1);
    assert_eq!(whole, pieces);
    let each = if codec == "OGG" { MOST_SAMPLES_PER_OGG_BYTE } else { MOST_SAMPLES_PER_BYTE };
    assert!(whole.0.position() <= (bytes.len() as u64 + 64) * each);
});

type Heard = (Collected, String, Option<&'static str>, Vec<IntakeError>);

fn heard(format: Format, (first, second): (&[u8], &[u8]), stride: usize) -> Heard {
    let Ok(mut intake) = Intake::new(format) else { unreachable!() };
    let (mut to, mut faults) = (Collected::default(), Vec::new());
    for body in [first, second] {
        intake.begin(None);
        let pushed = body.chunks(stride.min(body.len().max(1)));
        let fault =
            pushed.map(|chunk| take(&mut intake, chunk, stride, &mut to)).find_map(Result::err);
        let ended = intake.end(&mut to);
        assert!(fault.is_none() || ended.is_err(), "a fault stays");
        faults.extend(fault.or(ended.err()));
    }
    intake.lose(80, &mut to);
    intake.finish(&mut to);
    // Behind a fault, how many bytes it has left over depends on how many came with it.
    let tally = if faults.is_empty() { format!("{:?}", intake.tally()) } else { String::new() };
    (to, tally, intake.suspicion(), faults)
}

/// Whoever decodes what is behind a little at a time, and whoever leaves it to the next push, hear
/// the same.
fn take(
    intake: &mut Intake,
    chunk: &[u8],
    stride: usize,
    to: &mut Collected,
) -> Result<(), IntakeError> {
    intake.push(chunk, to)?;
    while stride % 2 == 0 && intake.is_behind() {
        intake.go_on(to)?;
    }
    Ok(())
}
