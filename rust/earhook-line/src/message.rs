//! A message in fragments, while it is put together.

use std::str::from_utf8;

use crate::rule::Rule;

/// The fragments so far.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) is_text: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fragments: usize,
    /// How much of the text is known to be UTF-8.
    valid: usize,
}

impl Message {
    pub(crate) const fn new(is_text: bool) -> Self {
        Self { is_text, bytes: Vec::new(), fragments: 0, valid: 0 }
    }

    /// Adds the payload of a fragment.
    ///
    /// # Errors
    /// [`Rule::Text`], at the first fragment that cannot be part of UTF-8.
    pub(crate) fn add(&mut self, payload: &[u8], is_last: bool) -> Result<(), Rule> {
        self.bytes.extend_from_slice(payload);
        if !self.is_text {
            return Ok(());
        }
        match from_utf8(&self.bytes[self.valid..]) {
            Ok(text) => self.valid += text.len(),
            // A character that is cut by the end of the fragment may go on in the next one.
            Err(error) if error.error_len().is_none() && !is_last => {
                self.valid += error.valid_up_to();
            }
            Err(_) => return Err(Rule::Text),
        }
        Ok(())
    }
}
