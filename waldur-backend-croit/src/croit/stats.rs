//! What a user stored over time (croit-api.md §3).

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use waldur_sdk::{
    Error, ErrorKind, Result,
    types::{Decimal, Timestamp, lenient},
};

use super::{CroitClient, not_a_number};
use crate::s3::Uid;

/// Calls on statistics.
#[derive(Clone, Copy, Debug)]
pub struct Stats<'a>(pub(super) &'a CroitClient);

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The beginning.
    pub from: Timestamp,
    /// The end.
    pub until: Timestamp,
}

/// What was stored, oldest first, as far as croit has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Series {
    /// The points.
    pub points: Vec<Point>,
}

impl Series {
    /// Whether anything was measured at all.
    pub fn has_readings(&self) -> bool {
        self.points.iter().any(|point| matches!(point.level, Level::Bytes(_)))
    }
}

/// What was stored at one moment. croit has one reading every 180 s; in a long window it has fewer, and they are
/// averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Point {
    /// The moment, in seconds since 1970.
    #[serde(rename = "t", deserialize_with = "seconds")]
    pub at: i64,
    /// What was stored then.
    #[serde(rename = "v", default)]
    pub level: Level,
}

/// What is known about one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// So many bytes.
    Bytes(Decimal),
    /// Nothing: a gap, or the user was not there yet.
    #[default]
    Unknown,
    /// croit says a number that is none. Not to be calculated with.
    NotFinite,
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Unknown,
            Value::Number(number) => match lenient::decimal(Value::Number(number)) {
                Ok(Some(bytes)) => Self::Bytes(bytes),
                _ => Self::NotFinite,
            },
            _ => Self::NotFinite,
        })
    }
}

#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "lenient::or_default")]
    axis1: Axis,
}

#[derive(Default, Deserialize)]
struct Axis {
    #[serde(default, deserialize_with = "lenient::or_default")]
    graphs: Vec<Graph>,
}

#[derive(Deserialize)]
struct Graph {
    #[serde(default, deserialize_with = "lenient::or_default")]
    datapoints: Vec<Point>,
}

impl Stats<'_> {
    /// The most points that croit is asked for: full detail over about four days.
    pub const MAX_POINTS: u32 = 2000;

    /// What `uid` stored. A series without points says nothing, and nothing about whether there is such a user.
    ///
    /// # Errors
    /// `Unsupported` with the code [`NO_SUCH_GRAPH`](super::error::NO_SUCH_GRAPH) when croit does not draw this;
    /// `Decode` when the answer cannot be read whole.
    pub async fn user_data(&self, uid: &Uid, window: Window) -> Result<Series> {
        let call = self
            .0
            .call(Method::GET, "stats.user_data", "/stats", &[])
            .query("graph", "s3-user-data")
            .query("template-s3-user-name", super::name(uid)?)
            .query("startTime", window.from.as_second())
            .query("endTime", window.until.as_second())
            .query("maxDataPoints", Self::MAX_POINTS);
        let answer = call.send().await?;
        let answer: Answer = serde_json::from_slice(&not_a_number::quote(answer.body())).map_err(|cause| {
            let text = "the answer is no series";
            Error::new(ErrorKind::Decode, text).with_operation("stats.user_data").with_source(cause)
        })?;
        let graph = answer.axis1.graphs.into_iter().next();
        Ok(Series { points: graph.map(|graph| graph.datapoints).unwrap_or_default() })
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let wrong = || serde::de::Error::custom("must be a number of seconds");
    let seconds = lenient::decimal(deserializer)?.ok_or_else(wrong)?;
    i64::try_from(seconds.trunc()).map_err(|_| wrong())
}
