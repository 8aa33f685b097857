//! `SignalFeed`: the readers of the signal sink, measured instead of handed out.

use earhook_audio::analysis::{Fact, LaneSummary, Loud, Settings, Stretch, Summary};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::books::Books;
use crate::detach::{detached, guarded};
use crate::error::Refusal;
use crate::feed::report;
use crate::measuring::{Found, Measuring};
use crate::pipeline::{known_channels, Pipeline};

const MEASURING: &str = "measuring calls";

/// Call, kind, channel, start, end, word, samples.
type FactTuple = (u32, &'static str, Option<u8>, u64, Option<u64>, Option<String>, Option<u64>);
/// Channel; samples in all, talking, in tones, in music, clipped; spans, digits, interruptions;
/// root mean square and peak in dBFS, mean.
type LaneTuple = (u8, u64, u64, u64, u64, u64, u64, u64, u64, f64, f64, f64);
/// Samples in all, talk-over, dead air, longest dead air; silent channel; lanes.
type SummaryTuple = (u64, u64, u64, u64, Option<u8>, Vec<LaneTuple>);
/// Samples of a point, start, end, points.
type StretchTuple<'py> = (u64, u64, u64, Bound<'py, PyBytes>);
type FinishTuple<'py> = (Vec<FactTuple>, Option<SummaryTuple>, Option<StretchTuple<'py>>, Books);

/// The readers of one sink, and an analysis of each.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct SignalFeed {
    measuring: Measuring,
}

#[pymethods]
impl SignalFeed {
    #[new]
    #[pyo3(signature = (
        *,
        dead_air_seconds,
        pause_seconds,
        talk_over_seconds,
        interruption_seconds,
        one_way_seconds,
    ))]
    fn new(
        dead_air_seconds: f64,
        pause_seconds: f64,
        talk_over_seconds: f64,
        interruption_seconds: f64,
        one_way_seconds: f64,
    ) -> Self {
        let settings = Settings {
            dead_air_seconds,
            pause_seconds,
            talk_over_seconds,
            interruption_seconds,
            one_way_seconds,
        };
        Self { measuring: Measuring::new(settings) }
    }

    #[pyo3(signature = (call, pipeline, *, channels, rate))]
    fn attach(
        &self,
        call: u32,
        pipeline: &Pipeline,
        channels: Vec<u8>,
        rate: u32,
    ) -> Result<(), Refusal> {
        let mut channels = known_channels(channels)?;
        channels.sort_unstable();
        guarded("attaching a call", || self.measuring.attach(call, &pipeline.ring, channels, rate))
    }

    fn measure(&self, py: Python<'_>) -> Result<bool, Refusal> {
        let (is_behind, faults) = detached(py, MEASURING, || Ok(self.measuring.measure()))?;
        report(py, &faults);
        Ok(is_behind)
    }

    #[getter]
    fn pending(&self) -> Result<bool, Refusal> {
        guarded("looking for facts", || Ok(self.measuring.has_found()))
    }

    fn take(&self, most: usize) -> Result<Vec<FactTuple>, Refusal> {
        guarded("taking facts", || {
            Ok(self.measuring.take(most).into_iter().map(fact_tuple).collect())
        })
    }

    #[pyo3(signature = (call, /))]
    fn finish<'py>(&self, py: Python<'py>, call: u32) -> Result<FinishTuple<'py>, Refusal> {
        guarded("finishing a call", || {
            let finished = self.measuring.finish(call)?;
            let summary =
                finished.summary.map(|summary| summary_tuple(&finished.channels, &summary));
            let envelope = finished.envelope.map(|all| stretch_tuple(py, &finished.channels, &all));
            let facts = finished.found.into_iter().map(fact_tuple).collect();
            Ok((facts, summary, envelope, finished.books.into()))
        })
    }

    #[pyo3(signature = (call, /))]
    fn summary(&self, call: u32) -> Result<Option<SummaryTuple>, Refusal> {
        guarded("summing a call up", || {
            let summary = self.measuring.summary(call);
            Ok(summary.map(|(channels, summary)| summary_tuple(&channels, &summary)))
        })
    }

    #[pyo3(signature = (call, /))]
    fn levels(&self, call: u32) -> Result<Vec<(u8, f64, f64, bool)>, Refusal> {
        guarded("reading levels", || {
            let levels = self.measuring.levels(call).into_iter();
            Ok(levels
                .map(|(channel, one)| (channel, one.rms_dbfs, one.peak_dbfs, one.speaking))
                .collect())
        })
    }

    #[pyo3(signature = (call, since, /))]
    fn envelope<'py>(
        &self,
        py: Python<'py>,
        call: u32,
        since: u64,
    ) -> Result<Option<StretchTuple<'py>>, Refusal> {
        guarded("drawing a call", || {
            let found = self.measuring.envelope(call, since);
            Ok(found.map(|(channels, stretch)| stretch_tuple(py, &channels, &stretch)))
        })
    }

    #[pyo3(signature = (call, /))]
    fn books(&self, call: u32) -> Result<Books, Refusal> {
        guarded("reading books", || Ok(self.measuring.books(call)?.into()))
    }
}

fn fact_tuple(found: Found) -> FactTuple {
    let Found { call, channels, fact } = found;
    let channel = |lane: usize| channels.get(lane).copied();
    let (lane, word, samples) = match fact {
        Fact::Speech { lane, .. } | Fact::Music { lane, .. } => (Some(lane), None, None),
        Fact::TalkOver { by, .. } | Fact::Interruption { by, .. } => (Some(by), None, None),
        Fact::DeadAir { .. } | Fact::DeadAirEnded { .. } => (None, None, None),
        Fact::Dtmf { lane, digit, .. } => (Some(lane), Some(digit.to_string()), None),
        Fact::Tone { lane, kind, .. } => (Some(lane), Some(kind.name().to_owned()), None),
        Fact::Clipping { lane, samples, .. } => (Some(lane), None, Some(samples)),
        Fact::OneWay { silent, .. } | Fact::OneWayEnded { silent, .. } => {
            (Some(silent), None, None)
        }
    };
    (call, fact.name(), lane.and_then(channel), fact.start(), fact.end(), word, samples)
}

fn stretch_tuple<'py>(py: Python<'py>, channels: &[u8], stretch: &Stretch) -> StretchTuple<'py> {
    let lane_of = |channel| channels.iter().position(|have| *have == channel);
    let lanes = [lane_of(0), lane_of(1)];
    let of = |point: &[Loud], lane: Option<usize>| {
        lane.and_then(|lane| point.get(lane).copied()).unwrap_or_default()
    };
    let points: Vec<u8> = stretch
        .points
        .iter()
        .flat_map(|point| {
            let [external, internal] =
                lanes.map(|lane| of(point.as_ref().map_or(&[], |p| p), lane));
            let gap = u8::from(point.is_none());
            [external.peak, external.rms, internal.peak, internal.rms, gap]
        })
        .collect();
    (stretch.step, stretch.span.start, stretch.span.end, PyBytes::new(py, &points))
}

fn summary_tuple(channels: &[u8], summary: &Summary) -> SummaryTuple {
    let lanes =
        channels.iter().zip(&summary.lanes).map(|(channel, lane)| lane_tuple(*channel, lane));
    (
        summary.samples,
        summary.talk_over_samples,
        summary.dead_air_samples,
        summary.longest_dead_air_samples,
        summary.one_way.and_then(|lane| channels.get(lane).copied()),
        lanes.collect(),
    )
}

fn lane_tuple(channel: u8, lane: &LaneSummary) -> LaneTuple {
    (
        channel,
        lane.samples,
        lane.talk_samples,
        lane.tone_samples,
        lane.music_samples,
        lane.clipped_samples,
        lane.spans,
        lane.digits,
        lane.interruptions,
        lane.rms_dbfs(),
        lane.peak_dbfs(),
        lane.dc(),
    )
}
