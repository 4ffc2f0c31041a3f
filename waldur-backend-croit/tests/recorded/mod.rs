//! Exchanges recorded on Ceph RadosGW 16.2.15, one JSON object a line. Secrets are synthetic. Long answers are left
//! out.

use serde::Deserialize;

/// The access key that most requests are signed with, and its secret.
pub(crate) const ADMIN: (&str, &str) = ("ADMINACCESSKEY000001", "adminsecretkey00000000000000000000000001");

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) date: String,
    pub(crate) payload: Option<String>,
    pub(crate) key: String,
    pub(crate) signed: String,
    pub(crate) signature: String,
    pub(crate) body: Option<String>,
    pub(crate) status: u16,
    pub(crate) answer: Option<String>,
}

impl Exchange {
    /// The error code of the answer.
    pub(crate) fn code(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(self.answer.as_deref()?).ok()?;
        Some(answer.get("Code")?.as_str()?.to_owned())
    }
}

pub(crate) fn exchanges() -> Vec<Exchange> {
    include_str!("radosgw-16.2.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
