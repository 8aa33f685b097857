//! Ogg pages with Opus: any cutting gives the same items and the same fault, packets are what the
//! reader says of them, and losses are bounded.
#![no_main]

use earhook_audio::ogg::{OggError, OggItem, OggReader, MAX_LOST_SAMPLES};
use earhook_audio::opus::packet_samples;
use earhook_fuzz::with_checksums;
use libfuzzer_sys::fuzz_target;

// The first byte says how the rest is cut, and whether its checksums are made right: a fuzzer
// does not find those.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let bytes = if choice & 1 == 0 { bytes.to_vec() } else { with_checksums(bytes) };
    let whole = items(&bytes, bytes.len().max(1));
    let pieces = items(&bytes, 1 + usize::from(choice >> 1));
    assert_eq!(whole, pieces);
});

fn items(bytes: &[u8], stride: usize) -> (Vec<String>, Option<OggError>, usize) {
    let mut reader = OggReader::new();
    let (mut seen, mut fault) = (Vec::new(), None);
    for chunk in bytes.chunks(stride) {
        let fed = reader.feed(chunk, &mut |item| {
            match item {
                OggItem::Packet { packet, start, end } => {
                    let samples = packet_samples(packet);
                    assert!(start <= end && samples.is_ok_and(|samples| end <= samples));
                }
                OggItem::Lost(samples) => assert!((1..=MAX_LOST_SAMPLES).contains(&samples)),
                _ => {}
            }
            seen.push(format!("{item:?}"));
        });
        if let Err(error) = fed {
            fault = Some(error);
            break;
        }
    }
    let left = if fault.is_none() { reader.end() } else { 0 };
    assert!(left <= bytes.len());
    (seen, fault, left)
}
