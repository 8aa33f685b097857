//! `EncryptionKeys`.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyMapping;
use zeroize::Zeroizing;

use crate::error::Refusal;

/// Keys of encrypted bodies, by key id.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct EncryptionKeys {
    pub(crate) keys: Arc<earhook_intake::EncryptionKeys>,
}

#[pymethods]
impl EncryptionKeys {
    #[new]
    #[pyo3(
        signature = (keys, max_record_bytes = MAX_RECORD_BYTES),
        text_signature = "(keys, max_record_bytes=65536)"
    )]
    fn new(keys: &Bound<'_, PyMapping>, max_record_bytes: usize) -> Result<Self, Refusal> {
        let mut taken = HashMap::new();
        for pair in keys.items()? {
            let (key_id, key): (Vec<u8>, Vec<u8>) = pair.extract()?;
            let key = Zeroizing::new(key);
            if key_id.len() > usize::from(u8::MAX) || key.is_empty() {
                let text = "a key id has at most 255 bytes, and a key at least one";
                return Err(Refusal::Argument(text.to_owned()));
            }
            taken.insert(key_id, key);
        }
        let keys = earhook_intake::EncryptionKeys::new(taken, max_record_bytes);
        Ok(Self { keys: Arc::new(keys) })
    }

    fn __len__(&self) -> usize {
        self.keys.len()
    }

    fn __repr__(&self) -> String {
        format!("EncryptionKeys({} keys)", self.keys.len())
    }
}

const MAX_RECORD_BYTES: usize = 65_536;
