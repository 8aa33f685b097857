//! The wall between Python and the core: lists, converts and releases; decides nothing.
//!
//! What every class here keeps to: it is frozen, and what changes in it lies behind a lock; no
//! lock is held while Python code can run; the interpreter is released through [`detach`] only,
//! bytes come in through [`buffer`] only, errors go out through [`error`] only. A panic never
//! passes: it becomes `earhook.errors.CoreFault` and ends the call in which it happened.

mod blocks;
mod books;
mod budget;
mod buffer;
mod cipher;
mod detach;
mod encryption;
mod error;
mod feed;
mod g711;
mod intake;
mod levels;
mod line;
mod measuring;
mod merger;
mod pipeline;
mod signal;
mod stream;
mod switchboard;
#[cfg(feature = "testing")]
mod testing;
mod word;

use pyo3::prelude::*;

/// The native core. `earhook.media` is its only importer.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::books::Books;
    #[pymodule_export]
    use crate::budget::Budget;
    #[pymodule_export]
    use crate::encryption::EncryptionKeys;
    #[pymodule_export]
    use crate::feed::Feed;
    #[pymodule_export]
    use crate::g711::{decode_g711, encode_g711};
    #[pymodule_export]
    use crate::intake::Intake;
    #[pymodule_export]
    use crate::levels::measure_levels;
    #[pymodule_export]
    use crate::line::Line;
    #[pymodule_export]
    use crate::merger::Merger;
    #[pymodule_export]
    use crate::pipeline::Pipeline;
    #[pymodule_export]
    use crate::signal::SignalFeed;
    #[pymodule_export]
    use crate::stream::{encode_ack, encode_frame, FrameDecoder};
    #[pymodule_export]
    use crate::switchboard::Switchboard;
    #[cfg(feature = "testing")]
    #[pymodule_export]
    use crate::testing::{fail, fail_in_drain, fail_in_push};
}
