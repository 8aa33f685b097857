//! The same bytes to our reader and to tungstenite's: what one hears, the other hears.

use std::io::{Cursor, Read, Write};

use earhook_line::{Event, FrameLimits, FrameReader, Rule};
use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

const LIMITS: FrameLimits = FrameLimits {
    message_bytes: 2048,
    fragments: 1_000_000,
    frames_per_second: 1_000_000,
    control_frames_per_second: 1_000_000,
};

/// What was heard, and whether reading came to the end of the bytes without a fault.
type Heard = (Vec<(char, Vec<u8>)>, bool);

fn ours(bytes: &[u8]) -> (Heard, Option<Rule>) {
    let (mut reader, mut chunk) = (FrameReader::new(LIMITS), bytes.to_vec());
    let (mut heard, mut at) = (Vec::new(), 0);
    while at < chunk.len() {
        let (taken, event) = reader.next(&mut chunk[at..], 0.0);
        at += taken;
        match event {
            Some(Event::Text(payload)) => heard.push(('t', payload.to_vec())),
            Some(Event::Binary(payload)) => heard.push(('b', payload.to_vec())),
            Some(Event::Ping(payload)) => heard.push(('p', payload.to_vec())),
            Some(Event::Close(code)) => {
                heard.push(('c', code.unwrap_or(0).to_be_bytes().to_vec()));
                return ((heard, true), None);
            }
            Some(Event::Broken(rule)) => return ((heard, false), Some(rule)),
            None => {}
        }
    }
    ((heard, true), None)
}

fn theirs(bytes: &[u8]) -> Heard {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(LIMITS.message_bytes))
        .max_message_size(Some(LIMITS.message_bytes));
    let peer = Peer(Cursor::new(bytes));
    let mut socket = WebSocket::from_raw_socket(peer, Role::Server, Some(config));
    let mut heard = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(('t', text.as_bytes().to_vec())),
            Ok(Message::Binary(payload)) => heard.push(('b', payload.to_vec())),
            Ok(Message::Ping(payload)) => heard.push(('p', payload.to_vec())),
            Ok(Message::Close(frame)) => {
                let code = frame.map_or(0, |frame| u16::from(frame.code));
                heard.push(('c', code.to_be_bytes().to_vec()));
                return (heard, true);
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(_)) => return (heard, true),
            Err(_) => return (heard, false),
        }
    }
}

/// Gives its bytes and then has nothing more; takes everything.
struct Peer<'a>(Cursor<&'a [u8]>);

impl Read for Peer<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(room)? {
            0 => Err(std::io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A frame that is mostly right: any opcode, now and then reserved bits, a wrong length form.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode =
        prop_oneof![6 => Just(0_u8), 6 => Just(1), 6 => Just(2), 2 => Just(9), 1 => 0_u8..16];
    let size = prop_oneof![8 => 0_usize..200, 1 => 1900_usize..2200];
    let text = "[a-zé€𝄞]{0,60}";
    (opcode, any::<bool>(), 0_u8..40, size, any::<[u8; 4]>(), text, any::<u8>()).prop_map(
        |(opcode, fin, odd, size, mask, text, noise)| {
            let payload = match noise % 4 {
                0 => vec![noise; size],
                1 if opcode == 8 => {
                    [&(1000_u16 + u16::from(noise)).to_be_bytes()[..], b"x"].concat()
                }
                _ => text.into_bytes(),
            };
            let rsv = if odd == 0 { 0x40 } else { 0 };
            let masked = if odd == 1 { 0 } else { 0x80 };
            let mut bytes = vec![if fin || opcode >= 8 { 0x80 } else { 0 } | rsv | opcode];
            let length = (payload.len() as u64).to_be_bytes();
            match payload.len() {
                0..=125 => bytes.push(masked | length[7]),
                _ => bytes.extend([masked | 126, length[6], length[7]]),
            }
            if masked != 0 {
                bytes.extend(mask);
            }
            bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_one_hears_the_other_hears(frames in vec(frame(), 0..10)) {
        let bytes = frames.concat();
        let ((heard, well), rule) = ours(&bytes);
        let (also_heard, also_well) = theirs(&bytes);
        // They let a close code through that only an endpoint may use for itself, and do not mind
        // which form a length is in: where we break off, they may go on.
        let stricter = matches!(rule, Some(Rule::CloseCode | Rule::Framing));
        if well || !stricter {
            prop_assert_eq!((heard, well), (also_heard, also_well));
        } else {
            prop_assert!(also_heard.starts_with(&heard), "{heard:?} and {also_heard:?}");
        }
    }
}
