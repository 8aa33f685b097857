//! Encrypted bodies, record by record: `aes128gcm` of RFC 8188.

use std::sync::Arc;

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce};
use aes_gcm::Aes128Gcm;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::encryption::{EncryptionKeys, MIN_RECORD_BYTES};
use crate::error::EncryptionFault;
use crate::tally::Tally;

/// Salt, record size and length of the key id.
const FIXED_HEADER_BYTES: usize = 21;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// Opens the records of one body. What a record holds is given only after all of it has proved
/// authentic and in its place.
pub(crate) struct Records {
    keys: Arc<EncryptionKeys>,
    cipher: Option<Cipher>,
    /// The header, then the record, as far as they have come.
    pending: Vec<u8>,
    number: u64,
    ended: bool,
}

struct Cipher {
    aead: Aes128Gcm,
    nonce: [u8; NONCE_BYTES],
    record_bytes: usize,
}

impl Records {
    pub(crate) fn new(keys: Arc<EncryptionKeys>) -> Self {
        Self { keys, cipher: None, pending: Vec::new(), number: 0, ended: false }
    }

    /// Takes bytes in, up to the end of one record at most, and gives what is left of them.
    /// What was in the record is in `plain` then, which is empty if none was completed.
    pub(crate) fn take<'chunk>(
        &mut self,
        chunk: &'chunk [u8],
        plain: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<&'chunk [u8], EncryptionFault> {
        plain.clear();
        if self.ended && !chunk.is_empty() {
            return Err(EncryptionFault::AfterLast);
        }
        let wanted = self.wanted_bytes().saturating_sub(self.pending.len());
        let (taken, rest) = chunk.split_at(wanted.min(chunk.len()));
        self.pending.extend_from_slice(taken);
        // Asked again: the fixed part of a header may have said just now that a key id follows.
        if self.pending.len() < self.wanted_bytes() {
            return Ok(rest);
        }
        match &self.cipher {
            // A full record may be the last one too: its delimiter tells.
            Some(_) => self.ended = self.open(plain, tally)? == LAST,
            None => self.read_header()?,
        }
        Ok(rest)
    }

    /// The body has no more bytes: opens the last record, which may be shorter than others.
    pub(crate) fn end(
        &mut self,
        plain: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), EncryptionFault> {
        plain.clear();
        if self.ended {
            return Ok(());
        }
        if self.cipher.is_none() || self.pending.len() < MIN_RECORD_BYTES - 1 {
            return Err(EncryptionFault::Truncated);
        }
        match self.open(plain, tally)? {
            LAST => self.ended = true,
            _ => {
                plain.clear();
                return Err(EncryptionFault::Truncated);
            }
        }
        Ok(())
    }

    /// How many bytes the part that is being collected will have.
    fn wanted_bytes(&self) -> usize {
        match (&self.cipher, self.pending.get(FIXED_HEADER_BYTES - 1)) {
            (Some(cipher), _) => cipher.record_bytes,
            (None, None) => FIXED_HEADER_BYTES,
            (None, Some(key_id_bytes)) => FIXED_HEADER_BYTES + usize::from(*key_id_bytes),
        }
    }

    fn read_header(&mut self) -> Result<(), EncryptionFault> {
        let (salt, after_salt) = self.pending.split_at(SALT_BYTES);
        let (stated, after_size) = after_salt.split_at(4);
        let bytes = stated.iter().fold(0, |size, byte| (size << 8) | u32::from(*byte));
        let key_id = after_size.get(1..).unwrap_or_default();
        let limit = self.keys.max_record_bytes();
        let record_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if record_bytes < MIN_RECORD_BYTES {
            return Err(EncryptionFault::RecordTooShort { bytes });
        }
        if record_bytes > limit {
            return Err(EncryptionFault::RecordTooLong { bytes, limit });
        }
        let key = self.keys.find(key_id).ok_or(EncryptionFault::UnknownKey)?;
        self.cipher = Some(Cipher::derive(salt, key, record_bytes)?);
        self.pending.clear();
        Ok(())
    }

    /// Opens the pending record into `plain` and gives its delimiter.
    fn open(&mut self, plain: &mut Vec<u8>, tally: &mut Tally) -> Result<u8, EncryptionFault> {
        let number = self.number;
        let Some(cipher) = &self.cipher else { return Err(EncryptionFault::Truncated) };
        std::mem::swap(plain, &mut self.pending);
        self.pending.clear();
        let nonce = Nonce::<Aes128Gcm>::from(cipher.nonce_of(number));
        let delimiter = match cipher.aead.decrypt_in_place(&nonce, b"", plain) {
            Ok(()) => strip_padding(plain),
            Err(_) => {
                plain.clear();
                return Err(EncryptionFault::NotAuthentic { number });
            }
        };
        let Some(delimiter) = delimiter else {
            plain.clear();
            return Err(EncryptionFault::Delimiter { number });
        };
        self.number += 1;
        tally.records += 1;
        Ok(delimiter)
    }
}

/// Delimiter of a record that others follow.
const MORE: u8 = 1;
/// Delimiter of the last record.
const LAST: u8 = 2;

/// Cuts padding and delimiter off and gives the delimiter, if it is one.
fn strip_padding(plain: &mut Vec<u8>) -> Option<u8> {
    let place = plain.iter().rposition(|byte| *byte != 0)?;
    let delimiter = plain[place];
    plain.truncate(place);
    matches!(delimiter, MORE | LAST).then_some(delimiter)
}

impl Cipher {
    /// RFC 8188 §2.2 and §2.3.
    fn derive(salt: &[u8], key: &[u8], record_bytes: usize) -> Result<Self, EncryptionFault> {
        let secret = Hkdf::<Sha256>::new(Some(salt), key);
        let mut content_key = Zeroizing::new([0; 16]);
        let mut nonce = [0; NONCE_BYTES];
        let derived = secret
            .expand(b"Content-Encoding: aes128gcm\0", content_key.as_mut_slice())
            .and_then(|()| secret.expand(b"Content-Encoding: nonce\0", &mut nonce));
        // Neither can fail: both lengths are far below what HKDF can give.
        derived.map_err(|_| EncryptionFault::UnknownKey)?;
        let aead = Aes128Gcm::new((&*content_key).into());
        Ok(Self { aead, nonce, record_bytes })
    }

    fn nonce_of(&self, number: u64) -> [u8; NONCE_BYTES] {
        let mut nonce = self.nonce;
        for (byte, other) in nonce[NONCE_BYTES - 8..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= other;
        }
        nonce
    }
}
