//! `measure_levels`.

use earhook_audio::{Codec, Decoder, Level};
use pyo3::prelude::*;

use crate::buffer::Lent;
use crate::detach::detached;
use crate::error::Refusal;

#[pyfunction]
pub(crate) fn measure_levels(
    audio: &Bound<'_, PyAny>,
    codec: &str,
    channels: usize,
) -> Result<Vec<(u16, u64)>, Refusal> {
    let py = audio.py();
    let codec = Codec::from_name(codec)
        .ok_or_else(|| Refusal::Argument(format!("unknown codec {codec:?}")))?;
    let decoder = Decoder::new(codec, channels)?;
    let audio = Lent::by(audio)?.to_vec(py)?;
    detached(py, "measuring levels", move || {
        let samples = decoder.samples_in(audio.len())?;
        let mut lanes = vec![vec![0; samples]; channels];
        let mut views: Vec<&mut [i16]> = lanes.iter_mut().map(Vec::as_mut_slice).collect();
        decoder.decode_planar(&audio, &mut views)?;
        Ok(lanes.iter().map(|lane| Level::of(lane)).map(|one| (one.peak, one.energy)).collect())
    })
}
