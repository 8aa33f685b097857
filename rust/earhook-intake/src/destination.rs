//! Where decoded audio goes.

/// Takes what an [`Intake`](crate::Intake) gives, in order.
pub trait Destination {
    /// Samples: one lane a channel, all of the same length, never empty.
    fn audio(&mut self, lanes: &[Vec<i16>]);

    /// So many samples per channel that were lost before they came to us.
    fn missing(&mut self, samples: u64);
}

/// Keeps everything, in memory: for tests and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The samples of each channel.
    pub lanes: Vec<Vec<i16>>,
    /// Position and length of each gap. Positions count samples and what was missing.
    pub missing: Vec<(u64, u64)>,
}

impl Collected {
    /// Samples per channel and what was missing, together.
    #[must_use]
    pub fn position(&self) -> u64 {
        let samples = self.lanes.first().map_or(0, Vec::len) as u64;
        samples + self.missing.iter().map(|(_, samples)| samples).sum::<u64>()
    }
}

impl Destination for Collected {
    fn audio(&mut self, lanes: &[Vec<i16>]) {
        self.lanes.resize(lanes.len(), Vec::new());
        for (all, lane) in self.lanes.iter_mut().zip(lanes) {
            all.extend_from_slice(lane);
        }
    }

    fn missing(&mut self, samples: u64) {
        let position = self.position();
        match self.missing.last_mut() {
            Some((start, so_far)) if *start + *so_far == position => *so_far += samples,
            _ => self.missing.push((position, samples)),
        }
    }
}
