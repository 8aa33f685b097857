//! Bytes of a consumer, or of a gateway: any cutting of them gives the same frames and the same
//! fault, and never more is held than one frame.
#![no_main]

use earhook_wire::{Decoder, Frame, WireError, MAX_CONSUMER_FRAME_BYTES};
use libfuzzer_sys::fuzz_target;

// The first byte says how the rest is cut.
fuzz_target!(|input: &[u8]| {
    let Some((&stride, bytes)) = input.split_first() else { return };
    let whole = frames(bytes, bytes.len().max(1));
    let pieces = frames(bytes, usize::from(stride) + 1);
    assert_eq!(whole, pieces);
});

fn frames(bytes: &[u8], stride: usize) -> (Vec<String>, Option<WireError>) {
    let mut decoder = Decoder::with_limit(MAX_CONSUMER_FRAME_BYTES);
    let mut seen = Vec::new();
    for chunk in bytes.chunks(stride) {
        let fed = decoder.feed(chunk);
        while let Some(frame) = decoder.next_frame() {
            if let Frame::Audio(audio) = frame {
                assert_eq!(audio.samples().len() * 2, audio.pcm.len());
            }
            seen.push(format!("{frame:?}"));
        }
        if let Err(fault) = fed {
            assert_eq!(decoder.feed(chunk), Err(fault));
            return (seen, Some(fault));
        }
        assert!(decoder.buffered_bytes() < MAX_CONSUMER_FRAME_BYTES);
    }
    (seen, None)
}
