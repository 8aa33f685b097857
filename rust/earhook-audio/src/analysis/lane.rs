//! One lane: levels, what its sound is, and when its speaker speaks.

use super::call::BLOCK_RATE;
use super::conversation::Heard;
use super::fact::{Fact, Span, ToneKind};
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

/// Mean square below which nobody can be understood: 69 dB below full scale.
const QUIET_POWER: u64 = 144;
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
        self.window.take(samples, level.peak);
        let spectrum = (level.energy > QUIET_POWER * samples.len() as u64).then(|| {
            self.window.scale();
            Spectrum::of(&self.window)
        });
        let voiced = self.voice.hears(spectrum.as_ref());
        let is_tone = self.hear_tones(block, spectrum.as_ref(), out);
        let is_music = self.hear_music(block, spectrum.as_ref(), out);
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
        }
    }

    /// The stream breaks off: takes the piece of a block before it, and ends what goes on.
    pub(super) fn interrupt(&mut self, start: u64, piece: &[i16], out: &mut Vec<Fact>) -> Heard {
        self.loudness.take(self.place, start, piece, out);
        self.loudness.end_clipping(self.place, out);
        let (key, tone) = (self.keypad.end(), self.progress.end());
        self.tell_tones(key, tone, out);
        let music = self.music.end(start);
        self.tell_music(music, out);
        self.voice.dismiss();
        let ended = self.talk.end();
        self.tell(ended, out);
        Heard { ended, ..Heard::default() }
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

    /// Whether a tone sounds in the block. What talk had begun with it is taken back.
    fn hear_tones(
        &mut self,
        block: Span,
        spectrum: Option<&Spectrum>,
        out: &mut Vec<Fact>,
    ) -> bool {
        let pressed = self.keypad.take(&self.window, spectrum, block.start);
        let sounding = self.progress.take(&self.window, spectrum, block);
        self.tell_tones(pressed.key, sounding.tone, out);
        let since = match (pressed.held_since, sounding.since) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if let Some(since) = since {
            self.talk.retract(since);
            self.echo = ECHO_BLOCKS + 1;
        }
        self.echo = self.echo.saturating_sub(1);
        since.is_some()
    }

    fn hear_music(
        &mut self,
        block: Span,
        spectrum: Option<&Spectrum>,
        out: &mut Vec<Fact>,
    ) -> bool {
        let power = spectrum.map_or(0.0, |spectrum| spectrum.correlations[0]);
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
