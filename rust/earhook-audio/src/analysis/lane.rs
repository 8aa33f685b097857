//! One lane: levels, what its sound is, and when its speaker speaks.

use super::call::BLOCK_RATE;
use super::conversation::Heard;
use super::fact::{Fact, Span, ToneKind};
use super::floor::Floor;
use super::keypad::Keypad;
use super::loudness::Loudness;
use super::music::Music;
use super::progress::Progress;
use super::settings::Settings;
use super::spectrum::Spectrum;
use super::summary::{LaneLevel, LaneSummary};
use super::talk::Talk;
use super::voice::Voice;
use super::window::Window;

/// Listens to one lane.
pub(super) struct Lane {
    place: usize,
    loudness: Loudness,
    window: Window,
    floor: Floor<1>,
    /// Blocks in a row that are no louder than noise.
    noise_blocks: u32,
    voice: Voice,
    keypad: Keypad,
    progress: Progress,
    music: Music,
    talk: Talk,
    /// Blocks after a tone in which its end may still be taken for voice.
    echo: u32,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    talk_samples: u64,
    talk_spans: u64,
    tone_samples: u64,
    music_samples: u64,
    digits: u64,
}

/// How closely a block is looked at.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Closeness {
    /// There is nothing in it.
    Silent,
    /// It is as loud as the noise of the line.
    AsBefore,
    Whole,
}

/// Mean square below which nobody can be understood: 69 dB below full scale.
const QUIET_POWER: f32 = 144.0;
/// Of blocks less than so far above the noise, one in so many is looked at.
const NOISE_RANGE: f32 = 1.25;
const NOISE_BLOCKS: u32 = 4;
/// No line with anything on it is so quiet: 60 dB below full scale.
const EMPTY_PEAK: u16 = 33;
/// A tone that is cut off rings in the blocks that follow.
const ECHO_BLOCKS: u32 = 2;
/// At which tones are looked for.
const RATE: u32 = 8_000;

impl Lane {
    pub(super) fn new(place: usize, rate: u32, settings: &Settings) -> Self {
        Self {
            place,
            loudness: Loudness::new(),
            window: Window::new(),
            floor: Floor::new(),
            noise_blocks: 0,
            voice: Voice::new(),
            keypad: Keypad::new(u64::from(rate / RATE)),
            progress: Progress::new(rate),
            music: Music::new(u64::from(rate / BLOCK_RATE)),
            talk: Talk::new(rate, settings.pause_seconds),
            echo: 0,
            totals: Totals::default(),
        }
    }

    /// Takes a whole block.
    pub(super) fn take(&mut self, block: Span, samples: &[i16], out: &mut Vec<Fact>) -> Heard {
        let level = self.loudness.take(self.place, block.start, samples, out);
        let power = level.energy as f32 / samples.len() as f32;
        let closeness = self.closeness(power);
        let spectrum = if closeness == Closeness::Whole {
            Some(Spectrum::of(&mut self.window, samples, level.peak))
        } else {
            self.window.pass(samples, level.peak);
            None
        };
        let voiced = closeness != Closeness::AsBefore && self.voice.hears(spectrum.as_ref());
        if closeness == Closeness::AsBefore {
            self.voice.hears_noise();
        }
        let is_tone = self.hear_tones(block, spectrum.as_ref(), out);
        let is_music = self.hear_music(block, power, out);
        let is_played = is_tone || is_music;
        if is_played || self.echo > 0 {
            self.voice.dismiss();
        }
        let ended = self.talk.take(block, voiced && !is_played && self.echo == 0);
        self.tell(ended, out);
        Heard {
            ended,
            open: self.talk.open(),
            is_undecided: self.talk.is_undecided(),
            is_played,
            is_empty: level.peak < EMPTY_PEAK,
            level,
        }
    }

    /// The stream breaks off: takes the piece of a block before it, and ends what goes on.
    pub(super) fn interrupt(&mut self, start: u64, piece: &[i16], out: &mut Vec<Fact>) -> Heard {
        let level = self.loudness.take(self.place, start, piece, out);
        self.loudness.end_clipping(self.place, out);
        let (key, tone) = (self.keypad.end(), self.progress.end());
        self.tell_tones(key, tone, out);
        let music = self.music.end(start);
        self.tell_music(music, out);
        self.voice.dismiss();
        self.window = Window::new();
        let ended = self.talk.end();
        self.tell(ended, out);
        Heard { ended, level, ..Heard::default() }
    }

    pub(super) fn summary(&self) -> LaneSummary {
        let open = self.talk.open();
        LaneSummary {
            talk_samples: self.totals.talk_samples + open.map_or(0, |open| open.samples()),
            spans: self.totals.talk_spans + u64::from(open.is_some()),
            tone_samples: self.totals.tone_samples,
            music_samples: self.totals.music_samples,
            digits: self.totals.digits,
            ..self.loudness.summary().clone()
        }
    }

    pub(super) fn level(&self) -> LaneLevel {
        self.loudness.shown(self.talk.open().is_some())
    }

    /// How close a look a block of such power needs: noise is looked at every few blocks.
    fn closeness(&mut self, power: f32) -> Closeness {
        let [floor] = self.floor.follow(&[power]);
        if power < QUIET_POWER {
            return Closeness::Silent;
        }
        let is_noise = power < NOISE_RANGE * floor
            && self.floor.is_known()
            && !(self.voice.is_watching() || self.keypad.is_watching())
            && !self.progress.is_watching();
        self.noise_blocks = if is_noise { self.noise_blocks + 1 } else { 0 };
        if self.noise_blocks.is_multiple_of(NOISE_BLOCKS) {
            Closeness::Whole
        } else {
            Closeness::AsBefore
        }
    }

    /// Whether a tone sounds in the block. What talk had begun with it is taken back.
    fn hear_tones(
        &mut self,
        block: Span,
        spectrum: Option<&Spectrum>,
        out: &mut Vec<Fact>,
    ) -> bool {
        let pressed = self.keypad.take(spectrum, block.start);
        let sounding = self.progress.take(spectrum, block);
        self.tell_tones(pressed.key, sounding.tone, out);
        let since = [pressed.held_since, sounding.since].into_iter().flatten().min();
        if let Some(since) = since {
            self.talk.retract(since);
            self.echo = ECHO_BLOCKS + 1;
        }
        self.echo = self.echo.saturating_sub(1);
        since.is_some()
    }

    fn hear_music(&mut self, block: Span, power: f32, out: &mut Vec<Fact>) -> bool {
        let ended = self.music.take(power, block);
        self.tell_music(ended, out);
        let since = self.music.since();
        if let Some(since) = since {
            self.talk.retract(since);
        }
        since.is_some()
    }

    fn tell_music(&mut self, music: Option<Span>, out: &mut Vec<Fact>) {
        if let Some(span) = music {
            self.totals.music_samples += span.samples();
            out.push(Fact::Music { lane: self.place, span });
        }
    }

    fn tell_tones(
        &mut self,
        key: Option<(char, Span)>,
        tone: Option<(ToneKind, Span)>,
        out: &mut Vec<Fact>,
    ) {
        let lane = self.place;
        if let Some((digit, span)) = key {
            self.totals.digits += 1;
            self.totals.tone_samples += span.samples();
            out.push(Fact::Dtmf { lane, digit, span });
        }
        if let Some((kind, span)) = tone {
            self.totals.tone_samples += span.samples();
            out.push(Fact::Tone { lane, kind, span });
        }
    }

    fn tell(&mut self, ended: Option<Span>, out: &mut Vec<Fact>) {
        let Some(span) = ended else { return };
        self.totals.talk_samples += span.samples();
        self.totals.talk_spans += 1;
        out.push(Fact::Speech { lane: self.place, span });
    }
}
