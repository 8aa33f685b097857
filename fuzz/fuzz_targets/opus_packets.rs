//! Opus packets in any order, with losses between them: each is decoded to the length that its
//! table of contents says, or refused with nothing added; and what is made up has the length that
//! was asked for.
#![no_main]

use earhook_audio::opus::{packet_samples, toc_is_sane, OpusDecoder, MAX_PACKET_SAMPLES};
use libfuzzer_sys::fuzz_target;

// The first byte says how many channels; then packets, each behind its length in 16 bits: of
// these 12 are the length, and 4 what is done before it.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let channels = 1 + usize::from(choice & 1);
    let Ok(mut decoder) = OpusDecoder::new(channels) else { unreachable!() };
    let mut out = Vec::new();
    while let [high, low, behind @ ..] = rest {
        let length = (usize::from(high & 15) << 8 | usize::from(*low)).min(behind.len());
        let (packet, next) = behind.split_at(length);
        rest = next;
        let lost = usize::from(high >> 4) * 240;
        match high >> 4 {
            0..=9 => {}
            10..=12 => expect(&mut out, channels, lost, |out| decoder.conceal(lost, out)),
            13 | 14 => expect(&mut out, channels, lost, |out| decoder.recover(packet, lost, out)),
            _ => decoder.reset(),
        }
        let told = packet_samples(packet);
        assert!(told.is_err() || toc_is_sane(packet));
        match decoder.decode(packet, &mut out) {
            Ok(samples) => {
                assert_eq!(Ok(samples), told);
                assert!(samples <= MAX_PACKET_SAMPLES);
                assert_eq!(out.len(), samples * channels);
            }
            Err(_) => assert!(out.is_empty()),
        }
        out.clear();
    }
});

fn expect(out: &mut Vec<i16>, channels: usize, samples: usize, make: impl FnOnce(&mut Vec<i16>)) {
    make(out);
    assert_eq!(out.len(), samples * channels);
    out.clear();
}
