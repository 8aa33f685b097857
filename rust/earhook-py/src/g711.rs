//! `decode_g711` and `encode_g711`.

use earhook_audio::g711::{decode, encode, Law};
use earhook_audio::Codec;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Lent;
use crate::detach::detached;
use crate::error::Refusal;

#[pyfunction]
pub(crate) fn decode_g711<'py>(
    codes: &Bound<'py, PyAny>,
    law: &str,
) -> Result<Bound<'py, PyBytes>, Refusal> {
    let (py, law) = (codes.py(), law_named(law)?);
    let codes = Lent::by(codes)?.to_vec(py)?;
    let pcm = detached(py, "decoding G.711", move || {
        let mut samples = vec![0; codes.len()];
        decode(law, &codes, &mut samples);
        Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect::<Vec<u8>>())
    })?;
    Ok(PyBytes::new(py, &pcm))
}

#[pyfunction]
pub(crate) fn encode_g711<'py>(
    pcm: &Bound<'py, PyAny>,
    law: &str,
) -> Result<Bound<'py, PyBytes>, Refusal> {
    let (py, law) = (pcm.py(), law_named(law)?);
    let pcm = Lent::by(pcm)?.to_vec(py)?;
    if pcm.len() % 2 != 0 {
        return Err(Refusal::Argument(format!("{} bytes are not 16-bit samples", pcm.len())));
    }
    let codes = detached(py, "encoding G.711", move || {
        let sample = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
        let samples: Vec<i16> = pcm.chunks_exact(2).map(sample).collect();
        let mut codes = vec![0; samples.len()];
        encode(law, &samples, &mut codes);
        Ok(codes)
    })?;
    Ok(PyBytes::new(py, &codes))
}

fn law_named(name: &str) -> Result<Law, Refusal> {
    match Codec::from_name(name) {
        Some(Codec::Pcmu) => Ok(Law::Mu),
        Some(Codec::Pcma) => Ok(Law::A),
        _ => Err(Refusal::Argument(format!("unknown law {name:?}: PCMU or PCMA"))),
    }
}
