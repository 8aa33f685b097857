//! Whether a packet carries a copy of the one before it (in-band FEC, RFC 6716 §2.1.7).

/// Whether the first frame of a packet has its low-bitrate copy flag set (RFC 6716 §4.2.4). The
/// flags are the first bits that the range coder writes, each of even odds: they stand as they are.
pub(crate) fn carries_copy(packet: &[u8]) -> bool {
    let Some((&toc, rest)) = packet.split_first() else { return false };
    let Some(silk_frames) = silk_frames(toc) else { return false };
    let Some(&flags) = first_frame(toc, rest).and_then(<[u8]>::first) else { return false };
    let is_stereo = toc & 0x04 != 0;
    let of_middle = flags >> (7 - silk_frames) & 1 == 1;
    let of_side = is_stereo && flags >> (6 - 2 * silk_frames) & 1 == 1;
    of_middle || of_side
}

/// How many SILK frames one frame of the packet holds; none if it has no SILK part (table 2).
fn silk_frames(toc: u8) -> Option<u8> {
    match toc >> 3 {
        configuration @ 0..=11 => Some([1, 1, 2, 3][usize::from(configuration & 3)]),
        12..=15 => Some(1),
        _ => None,
    }
}

/// The bytes from the first frame on (RFC 6716 §3.2).
fn first_frame(toc: u8, rest: &[u8]) -> Option<&[u8]> {
    match toc & 0b11 {
        0 | 1 => Some(rest),
        2 => rest.get(length_bytes(rest.first()?)..),
        _ => {
            let (&counts, mut rest) = rest.split_first()?;
            let (varying, padded) = (counts & 0x80 != 0, counts & 0x40 != 0);
            if padded {
                let longer = rest.iter().position(|byte| *byte != 255)?;
                rest = rest.get(longer + 1..)?;
            }
            for _ in 1..if varying { counts & 0x3F } else { 1 } {
                rest = rest.get(length_bytes(rest.first()?)..)?;
            }
            Some(rest)
        }
    }
}

/// How long a frame's length is that begins so (RFC 6716 §3.2.1).
fn length_bytes(first: &u8) -> usize {
    1 + usize::from(*first >= 252)
}
