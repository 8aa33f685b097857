//! What an intake has counted.

/// Counts of one call, all of them since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Opus packets that were decoded.
    pub packets: u64,
    /// Packets marked as lost, or lost on the way, for which the decoder made up sound.
    pub concealed_packets: u64,
    /// Packets marked as lost that the next packet brought back (in-band FEC).
    pub recovered_packets: u64,
    /// Packets that break RFC 6716; they count as lost too.
    pub bad_packets: u64,
    /// Bytes at ends of bodies that were not a whole sample group, packet or page.
    pub trailing_bytes: u64,
    /// Bytes of Ogg streams that belonged to no good page.
    pub skipped_bytes: u64,
    /// Encrypted records that were opened.
    pub records: u64,
    /// Encrypted records, or headers of encrypted bodies, that were refused.
    pub refused_records: u64,
    /// Bytes of encrypted bodies, refused ones included.
    pub encrypted_bytes: u64,
}

impl Tally {
    /// Every count with its name.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 9] {
        [
            ("packets", self.packets),
            ("concealed_packets", self.concealed_packets),
            ("recovered_packets", self.recovered_packets),
            ("bad_packets", self.bad_packets),
            ("trailing_bytes", self.trailing_bytes),
            ("skipped_bytes", self.skipped_bytes),
            ("records", self.records),
            ("refused_records", self.refused_records),
            ("encrypted_bytes", self.encrypted_bytes),
        ]
    }
}
