//! The mask of a client's frames (RFC 6455 §5.3).

const LANES: usize = 64;

/// Takes the mask off a part of a payload that begins `offset` bytes into it.
pub(crate) fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut lanes = [0; LANES];
    for (at, lane) in lanes.iter_mut().enumerate() {
        *lane = mask[(offset + at) % 4];
    }
    let mut blocks = bytes.chunks_exact_mut(LANES);
    for block in &mut blocks {
        for (byte, lane) in block.iter_mut().zip(&lanes) {
            *byte ^= lane;
        }
    }
    for (byte, lane) in blocks.into_remainder().iter_mut().zip(&lanes) {
        *byte ^= lane;
    }
}
