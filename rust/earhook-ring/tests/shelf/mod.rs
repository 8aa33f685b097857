//! An outlet that writes down, position by position, what each call was given.

use std::collections::BTreeMap;

use earhook_ring::{GapReason, Item, Lane, Outlet};

/// What one position of a call holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// One sample per wanted channel; `None` for a channel that the call does not have.
    Samples(Vec<Option<i16>>),
    /// No audio.
    Gap(GapReason),
}

/// Everything that was taken, by call; checks that items are contiguous and never empty.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) given: BTreeMap<u32, Vec<(u64, Slot)>>,
    /// Calls in the order of their items.
    pub(crate) order: Vec<u32>,
    bytes: usize,
}

impl Outlet for Shelf {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, call: u32, channels: &[u8], item: &Item<'_>) {
        self.order.push(call);
        let given = self.given.entry(call).or_default();
        match item {
            Item::Gap(gap) => {
                assert!(gap.samples > 0);
                given.extend((gap.position..gap.end()).map(|at| (at, Slot::Gap(gap.reason))));
                self.bytes += 32;
            }
            Item::Audio(audio) => {
                assert!(audio.samples > 0);
                let samples_of = |channel: &u8| {
                    let lane = audio.channel(*channel)?;
                    let mut samples = Vec::new();
                    lane.append_to(&mut samples);
                    assert_eq!(samples, written_out(&lane, audio.samples));
                    Some(samples)
                };
                let lanes: Vec<Option<Vec<i16>>> = channels.iter().map(samples_of).collect();
                for index in 0..audio.samples {
                    let samples = lanes.iter().map(|lane| lane.as_ref().map(|lane| lane[index]));
                    given.push((audio.position + index as u64, Slot::Samples(samples.collect())));
                }
                self.bytes += 24 + 2 * audio.samples * channels.len();
            }
        }
    }

    fn mark(&self) -> usize {
        self.order.len()
    }

    fn rewind(&mut self, _mark: usize) {
        unreachable!("a shelf does not panic");
    }
}

/// The samples by the other way out: as bytes, alone and as the second of three.
fn written_out(lane: &Lane<'_>, samples: usize) -> Vec<i16> {
    let mut alone = vec![0; 2 * samples];
    lane.write_le(&mut alone, 1);
    let mut woven = vec![0; 6 * samples];
    lane.write_le(&mut woven[2..], 3);
    let pairs = |bytes: &[u8]| -> Vec<i16> {
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    };
    let second: Vec<i16> = pairs(&woven).into_iter().skip(1).step_by(3).collect();
    assert_eq!(pairs(&alone), second);
    assert!(pairs(&woven).iter().enumerate().all(|(at, sample)| at % 3 == 1 || *sample == 0));
    second
}
