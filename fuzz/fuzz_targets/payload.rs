//! One payload of every raw codec: decoded in full or refused in full, and nothing outside the
//! lanes' room is touched.
#![no_main]

use earhook_audio::{Codec, Decoder};
use libfuzzer_sys::fuzz_target;

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::L16Le, Codec::L16Be];
const UNTOUCHED: i16 = 0x5A5A;

// Two bytes say codec, channels and room; the rest is the payload.
fuzz_target!(|input: &[u8]| {
    let [choice, room, payload @ ..] = input else { return };
    let codec = CODECS[usize::from(*choice) % CODECS.len()];
    let channels = 1 + usize::from(*choice >> 7);
    let Ok(decoder) = Decoder::new(codec, channels) else { unreachable!() };
    let mut lanes: Vec<Vec<i16>> = vec![vec![UNTOUCHED; usize::from(*room)]; channels];
    let mut views: Vec<&mut [i16]> = lanes.iter_mut().map(Vec::as_mut_slice).collect();
    let written = decoder.decode_planar(payload, &mut views).unwrap_or(0);
    assert!(written * decoder.group_bytes() <= payload.len());
    for lane in &lanes {
        assert!(lane[written..].iter().all(|&sample| sample == UNTOUCHED));
    }
});
