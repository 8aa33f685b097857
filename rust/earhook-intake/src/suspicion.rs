//! Whether the bytes are what was announced. The decoder never follows what is found here.
//!
//! Bytes that are read wrongly sound loud and rough: the wrong law of G.711 makes voice three to
//! four times as loud and twice as rough, the wrong order of bytes makes it noise. So each window
//! of a call's first seconds is read in every way there is, and votes for another one if it is much
//! quieter and much smoother so. Silence says nothing and does not vote.

use earhook_audio::Codec;

use crate::format::{Format, WireCodec};
use crate::shape::Shape;

/// Watches the first seconds of a call.
pub(crate) struct Suspicion {
    announced: WireCodec,
    channels: usize,
    head: Vec<u8>,
    window: Vec<u8>,
    window_seconds: f64,
    votes: Votes,
    windows_left: u32,
    packets: u32,
    bad_packets: u32,
    stereo_packets: u32,
    found: Option<&'static str>,
    is_over: bool,
}

/// Seconds of windows that said something.
#[derive(Default)]
struct Votes {
    announced: f64,
    others: [f64; READINGS.len()],
    noise: f64,
}

/// The ways in which bytes can be read.
const READINGS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::L16Le, Codec::L16Be];
/// Bytes of a window, for each channel.
const WINDOW_BYTES: usize = 4_000;
/// Sound that has to speak for another format.
const ENOUGH_SECONDS: f64 = 1.0;
/// Which part of all sound has to.
const ENOUGH_PART: f64 = 0.75;
/// Noise lasts longer: it may be somebody's.
const ENOUGH_NOISE_SECONDS: f64 = 3.0;
/// After so much sound that is what was announced nothing more is looked at.
const TRUSTED_SECONDS: f64 = 30.0;
/// However little of it was sound.
const MAX_WINDOWS: u32 = 600;
/// Below this it is silence. G.711 of two channels, one of them silent, is up to 80 if read as L16.
const QUIET: f64 = 100.0;
/// Bytes at random are at least so loud, read as anything; no telephone is.
const RANDOM_LOUDNESS: f64 = 8_000.0;
/// The longest beginning that tells a container.
const HEAD_BYTES: usize = 12;
/// From so many packets on it counts how many of them are none.
const ENOUGH_PACKETS: u32 = 20;
/// What is found where nothing we know is.
const UNKNOWN: &str = "unknown";
/// Both speakers in what was announced as one.
const STEREO_OPUS: &str = "audio/opus;channels=2";

impl Suspicion {
    pub(crate) fn new(format: &Format) -> Self {
        let sample_bytes = match format.codec {
            WireCodec::Raw(codec) => codec.bytes_per_sample(),
            // Were it samples, they would most likely be of G.711.
            WireCodec::Opus | WireCodec::Ogg => 1,
        };
        let samples = (WINDOW_BYTES / sample_bytes) as f64;
        let rate = match format.codec {
            WireCodec::Raw(_) => format.wire_rate,
            WireCodec::Opus | WireCodec::Ogg => 8_000,
        };
        Self {
            announced: format.codec,
            channels: format.channels,
            head: Vec::new(),
            window: Vec::new(),
            window_seconds: samples / f64::from(rate),
            votes: Votes::default(),
            windows_left: MAX_WINDOWS,
            packets: 0,
            bad_packets: 0,
            stereo_packets: 0,
            found: None,
            is_over: false,
        }
    }

    /// What was found; it never changes again.
    pub(crate) fn found(&self) -> Option<&'static str> {
        self.found
    }

    /// Bytes of a body, decrypted.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        self.see_head(bytes);
        let window_bytes = WINDOW_BYTES * self.channels;
        let mut rest = bytes;
        while !self.is_over && !rest.is_empty() {
            let wanted = window_bytes - self.window.len();
            let (taken, after) = rest.split_at(wanted.min(rest.len()));
            self.window.extend_from_slice(taken);
            rest = after;
            if self.window.len() == window_bytes {
                self.judge_window();
                self.window.clear();
            }
        }
    }

    /// The body has ended: what follows begins at a sample group again.
    pub(crate) fn see_end(&mut self) {
        let longest_group_bytes = 2 * self.channels;
        self.window.truncate(self.window.len() / longest_group_bytes * longest_group_bytes);
        // Only the beginning of the first body is the beginning of a file.
        if !self.head.is_empty() {
            self.head.resize(HEAD_BYTES, 0);
        }
    }

    /// An Opus packet that was one, or was none.
    pub(crate) fn see_packet(&mut self, packet: &[u8], is_good: bool) {
        if self.is_over || self.packets == ENOUGH_PACKETS {
            return;
        }
        // RFC 6716 §3.1: the `s` of the first byte. Mono in a stereo call is how quiet is sent.
        let is_stereo = packet.first().is_some_and(|toc| toc & 0x04 != 0);
        self.packets += 1;
        self.bad_packets += u32::from(!is_good);
        self.stereo_packets += u32::from(is_good && is_stereo);
        if self.packets < ENOUGH_PACKETS {
            return;
        }
        if self.bad_packets * 2 > self.packets {
            self.settle(UNKNOWN);
        } else if self.channels == 1 && self.stereo_packets * 2 > self.packets {
            self.settle(STEREO_OPUS);
        }
    }

    fn see_head(&mut self, bytes: &[u8]) {
        if self.head.len() == HEAD_BYTES {
            return;
        }
        let wanted = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..wanted.min(bytes.len())]);
        if let Some(container) = container_of(&self.head) {
            if (self.announced, container) != (WireCodec::Ogg, OGG) {
                self.settle(container);
            }
        }
    }

    fn judge_window(&mut self) {
        let shapes = READINGS.map(|codec| Shape::of(&self.window, codec, self.channels));
        let announced = match self.announced {
            WireCodec::Raw(codec) => shape_of(&shapes, codec),
            // Packets are as good as random.
            WireCodec::Opus | WireCodec::Ogg => Shape { loudness: RANDOM_LOUDNESS, roughness: 0.7 },
        };
        let smoothest = (0..READINGS.len())
            .filter(|&reading| is_rather(&shapes[reading], &announced))
            .filter(|&reading| !is_outdone(READINGS[reading], &shapes))
            .min_by(|&one, &two| shapes[one].roughness.total_cmp(&shapes[two].roughness));
        match smoothest {
            Some(reading) => self.votes.others[reading] += self.window_seconds,
            None if self.is_noise(&announced) => self.votes.noise += self.window_seconds,
            None if self.is_heard(&shapes, &announced) => {
                self.votes.announced += self.window_seconds
            }
            None => {}
        }
        self.count_votes();
    }

    /// Whether a window speaks for what was announced: it is heard, and smooth, or no other reading
    /// makes it quieter.
    fn is_heard(&self, shapes: &[Shape], announced: &Shape) -> bool {
        let quietest = shapes.iter().map(|shape| shape.loudness).fold(f64::MAX, f64::min);
        match self.announced {
            WireCodec::Raw(_) => {
                let is_likely = announced.roughness < 0.3 || announced.loudness < 1.2 * quietest;
                announced.loudness > QUIET && is_likely
            }
            // Silence of samples is quiet in some reading, packets are in none.
            WireCodec::Opus | WireCodec::Ogg => quietest > QUIET,
        }
    }

    fn is_noise(&self, shape: &Shape) -> bool {
        matches!(self.announced, WireCodec::Raw(_))
            && shape.loudness > RANDOM_LOUDNESS
            && (0.8..1.2).contains(&shape.roughness)
    }

    fn count_votes(&mut self) {
        let all = self.votes.announced + self.votes.noise + self.votes.others.iter().sum::<f64>();
        for (reading, &seconds) in READINGS.iter().zip(&self.votes.others) {
            if seconds >= ENOUGH_SECONDS && seconds >= ENOUGH_PART * all {
                return self.settle(name_of(*reading));
            }
        }
        if self.votes.noise >= ENOUGH_NOISE_SECONDS && self.votes.noise >= ENOUGH_PART * all {
            return self.settle(UNKNOWN);
        }
        self.windows_left -= 1;
        self.is_over = all >= TRUSTED_SECONDS || self.windows_left == 0;
    }

    fn settle(&mut self, found: &'static str) {
        (self.found, self.is_over) = (Some(found), true);
        (self.window, self.head) = (Vec::new(), vec![0; HEAD_BYTES]);
    }
}

/// Whether bytes are far more like sound in one way than in the way that was announced.
fn is_rather(one: &Shape, announced: &Shape) -> bool {
    one.loudness > QUIET
        && one.loudness < 0.9 * announced.loudness
        && one.roughness < 0.65 * announced.roughness
        && one.roughness < 0.5
        && one.unlikeness() < 0.3 * announced.unlikeness()
}

/// Whether the other law, or the other order of bytes, is still more like sound. What is too quiet to
/// vote so keeps the other one from voting: a whisper is loud and smooth in the wrong order.
fn is_outdone(reading: Codec, shapes: &[Shape; READINGS.len()]) -> bool {
    let other = match reading {
        Codec::Pcmu => Codec::Pcma,
        Codec::Pcma => Codec::Pcmu,
        Codec::L16Le => Codec::L16Be,
        Codec::L16Be => Codec::L16Le,
    };
    let [one, other] = [reading, other].map(|codec| shape_of(shapes, codec));
    other.unlikeness() < one.unlikeness()
}

fn shape_of(shapes: &[Shape; READINGS.len()], codec: Codec) -> Shape {
    let found = READINGS.iter().zip(shapes).find(|(reading, _)| **reading == codec);
    found.map_or(Shape::default(), |(_, shape)| *shape)
}

const OGG: &str = "audio/ogg";

/// The container that begins so.
fn container_of(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'O', b'g', b'g', b'S', ..] => Some(OGG),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => Some("audio/wav"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        [b'I', b'D', b'3', 2..=4, ..] => Some("audio/mpeg"),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Some("audio/webm"),
        [b'.', b's', b'n', b'd', ..] => Some("audio/basic"),
        _ => None,
    }
}

/// The codec's name, and the byte order where the short name alone would leave it open: `audio/L16`
/// has the high byte first, our `L16` the low one.
fn name_of(codec: Codec) -> &'static str {
    match codec {
        Codec::L16Le => "L16LE",
        known => known.name(),
    }
}
