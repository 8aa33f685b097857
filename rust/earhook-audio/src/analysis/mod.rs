//! What a call sounds like: levels, who speaks when, tones, and what the two sides do to each other.
//!
//! A [`CallAnalysis`] takes the audio of one call, all lanes side by side, and says what it found
//! as [`Fact`]s with positions. It keeps a bounded amount whatever comes and however long the call
//! is. What it says depends on the samples and gaps alone, never on how they were cut into pieces:
//! everything happens per *block* of 20 ms, and blocks are counted from the start of the call and
//! from the end of every gap.
//!
//! ```
//! use earhook_audio::analysis::{CallAnalysis, Fact, Settings, Span};
//!
//! let mut analysis = CallAnalysis::new(8_000, 2, &Settings::default())?;
//! let silence = vec![0; 6 * 8_000];
//! let mut facts = Vec::new();
//! analysis.push_audio(0, &[&silence, &silence], &mut facts);
//! assert_eq!(facts, [Fact::DeadAir { start: 0 }]);
//! let summary = analysis.finish(&mut facts);
//! assert_eq!(facts[1], Fact::DeadAirEnded { span: Span { start: 0, end: 48_000 } });
//! assert_eq!(summary.longest_dead_air_samples, 48_000);
//! # Ok::<(), earhook_audio::analysis::ShapeError>(())
//! ```

mod call;
mod conversation;
mod envelope;
mod fact;
mod floor;
mod keypad;
mod lane;
mod loudness;
mod music;
mod progress;
mod projection;
mod settings;
mod spectrum;
mod summary;
mod talk;
mod voice;
mod window;

pub use call::{CallAnalysis, ShapeError, RATES};
pub use envelope::{Loud, Stretch};
pub use fact::{Fact, Span, ToneKind};
pub use loudness::{dbfs, SILENCE_DBFS};
pub use settings::Settings;
pub use summary::{LaneLevel, LaneSummary, Summary};
