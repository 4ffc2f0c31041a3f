//! What users stored over time (croit-api.md §3).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    FakeCroit,
    answer::{Outcome, Refusal, text},
    api::argument,
};

/// What croit draws a point of, in seconds.
const STEP: usize = 180;
const GRAPH: &str = "s3-user-data";
/// Stands where JSON has no number, and how that is printed.
const MARK: &str = "\u{1}";
const PRINTED_MARK: &str = r#""\u0001""#;

/// What one user stored, and what croit has of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// From that second on, so many bytes.
    levels: BTreeMap<i64, u64>,
    /// From one second to another, nothing is known.
    gaps: Vec<(i64, i64)>,
    /// From one second to another, what is known is no number.
    spoilt: Vec<(i64, i64)>,
    /// croit stopped to measure.
    last: Option<i64>,
}

/// One point of a series.
#[derive(Clone, Copy, PartialEq)]
enum Sample {
    Unknown,
    NotFinite,
    Bytes(u64),
}

impl FakeCroit {
    /// `uid` stores `bytes` from this moment on. Before its first such moment croit has nothing of a user.
    pub fn stores(&self, uid: &str, from: Timestamp, bytes: u64) {
        self.state().stored.entry(uid.to_owned()).or_default().levels.insert(from.as_second(), bytes);
    }

    /// Of this time croit has nothing: `null`.
    pub fn hide(&self, uid: &str, from: Timestamp, until: Timestamp) {
        self.state().stored.entry(uid.to_owned()).or_default().gaps.push((from.as_second(), until.as_second()));
    }

    /// croit has again what was hidden.
    pub fn reveal(&self, uid: &str) {
        self.state().stored.entry(uid.to_owned()).or_default().gaps.clear();
    }

    /// Of this time croit says a bare `NaN`.
    pub fn spoil(&self, uid: &str, from: Timestamp, until: Timestamp) {
        self.state().stored.entry(uid.to_owned()).or_default().spoilt.push((from.as_second(), until.as_second()));
    }

    /// croit does not measure this user after this moment: the series goes on in `null`s, as it does before there was one.
    pub fn stop_measuring(&self, uid: &str, at: Timestamp) {
        self.state().stored.entry(uid.to_owned()).or_default().last = Some(at.as_second());
    }

    /// Answers `GET /stats`.
    pub(super) fn draw(&self, query: &str) -> Outcome {
        self.count("stats.get");
        let graph = argument(query, "graph").unwrap_or_default();
        let state = self.state();
        if graph != GRAPH || state.graph_is_gone {
            return Err(Refusal::new(404, format!("Graph {graph} not found.")));
        }
        let wrong = || Refusal::new(400, "startTime, endTime and maxDataPoints must be numbers.");
        let number = |name: &str| argument(query, name).and_then(|text| text.parse::<i64>().ok()).ok_or_else(wrong);
        let now = self.now().as_second();
        let moment = |seconds: i64| if seconds <= 0 { now + seconds } else { seconds };
        let (from, until) = (moment(number("startTime")?), moment(number("endTime")?).min(now));
        let most = usize::try_from(number("maxDataPoints")?).map_err(|_| wrong())?.max(1);
        let uid = argument(query, "template-s3-user-name").unwrap_or_default();
        // Of a user it has nothing of, croit pads the whole window; what it does of nobody is not known.
        let is_there = self.gateway().state().users.values().any(|user| user.id.id == uid);
        let stored = state.stored.get(&uid).cloned().or_else(|| is_there.then(Stored::default)).unwrap_or_default();
        let points = if is_there { stored.points(from, until, most) } else { Vec::new() };
        Ok(answer(&points))
    }
}

impl Stored {
    /// One point for each step; in a window that is too long, one for several, with their average.
    fn points(&self, from: i64, until: i64, most: usize) -> Vec<(i64, Sample)> {
        let (from, until) = (from.max(0), until.max(0));
        let samples = usize::try_from(until - from).map_or(0, |span| span / STEP + 1);
        let together = samples.div_ceil(most).max(1);
        let changes = self.changes();
        let point = |first: usize| {
            let at = |sample: usize| from + i64::try_from(sample * STEP).unwrap_or(i64::MAX);
            let last = (first + together).min(samples) - 1;
            // Where nothing changes, one sample is as good as their average.
            let is_flat = changes.range((Bound::Excluded(at(first)), Bound::Included(at(last)))).next().is_none();
            let chunk: Vec<_> =
                (first..=if is_flat { first } else { last }).map(|sample| self.at(at(sample))).collect();
            (at(first), average(&chunk))
        };
        (0..samples).step_by(together).map(point).collect()
    }

    /// The moments at which a sample may differ from the one before.
    fn changes(&self) -> BTreeSet<i64> {
        let spans = self.gaps.iter().chain(&self.spoilt).flat_map(|(from, until)| [*from, *until]);
        self.levels.keys().copied().chain(spans).chain(self.last.map(|last| last + 1)).collect()
    }

    fn at(&self, at: i64) -> Sample {
        let within = |spans: &[(i64, i64)]| spans.iter().any(|(from, until)| (*from..*until).contains(&at));
        if within(&self.gaps) || self.last.is_some_and(|last| at > last) {
            return Sample::Unknown;
        }
        match self.levels.range(..=at).next_back() {
            Some(_) if within(&self.spoilt) => Sample::NotFinite,
            Some((_, bytes)) => Sample::Bytes(*bytes),
            None => Sample::Unknown,
        }
    }
}

fn average(chunk: &[Sample]) -> Sample {
    let (mut sum, mut known) = (0_u128, 0_u128);
    for sample in chunk {
        match sample {
            Sample::Unknown => {}
            Sample::NotFinite => return Sample::NotFinite,
            Sample::Bytes(bytes) => (sum, known) = (sum + u128::from(*bytes), known + 1),
        }
    }
    match sum.checked_div(known) {
        None => Sample::Unknown,
        Some(average) => Sample::Bytes(average.try_into().unwrap_or(u64::MAX)),
    }
}

fn answer(points: &[(i64, Sample)]) -> Response<Bytes> {
    let point = |(at, sample): &(i64, Sample)| {
        let value = match sample {
            Sample::Unknown => Value::Null,
            Sample::NotFinite => MARK.into(),
            Sample::Bytes(bytes) => serde_json::from_str(&format!("{bytes}.0")).unwrap_or_default(),
        };
        json!({ "t": at, "v": value })
    };
    let datapoints: Vec<_> = points.iter().map(point).collect();
    let graphs = json!([{ "datapoints": datapoints }]);
    let body = json!({ "name": GRAPH, "axis1": { "unit": "BYTES", "graphs": graphs } }).to_string();
    text(200, "application/json", body.replace(PRINTED_MARK, "NaN"))
}
