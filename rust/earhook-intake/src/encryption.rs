//! Keys of encrypted bodies.

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroizing;

/// Shortest record that can hold something: tag, delimiter and one byte (RFC 8188 §2.1).
pub(crate) const MIN_RECORD_BYTES: usize = 18;

/// Input keying material by key id (RFC 8188 §2.1). What it holds is shown nowhere.
pub struct EncryptionKeys {
    keys: HashMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    max_record_bytes: usize,
}

impl EncryptionKeys {
    /// Keys, and the longest record that will be held in memory for each body.
    #[must_use]
    pub fn new(keys: HashMap<Vec<u8>, Zeroizing<Vec<u8>>>, max_record_bytes: usize) -> Self {
        Self { keys, max_record_bytes }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn find(&self, key_id: &[u8]) -> Option<&[u8]> {
        self.keys.get(key_id).map(|key| key.as_slice())
    }

    pub(crate) fn max_record_bytes(&self) -> usize {
        self.max_record_bytes
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncryptionKeys({} keys)", self.keys.len())
    }
}
