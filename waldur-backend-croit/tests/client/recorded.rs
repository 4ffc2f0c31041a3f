//! Exchanges recorded on Ceph RadosGW 16.2.15, one JSON object a line. Secrets are synthetic.

use serde::Deserialize;

/// The access key that most requests are signed with, and its secret.
pub(crate) const ADMIN: (&str, &str) = ("ADMINACCESSKEY000001", "adminsecretkey00000000000000000000000001");

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    #[serde(rename = "file")]
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) target: String,
    headers: std::collections::BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) status: u16,
    pub(crate) answer: String,
}

impl Exchange {
    /// A header of the request, as it was written.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A part of the authorization: `Credential`, `SignedHeaders`, `Signature`.
    pub(crate) fn authorization(&self, part: &str) -> &str {
        let parts = self.header("Authorization").split([' ', ',']);
        parts.filter_map(|text| text.split_once('=')).find(|(name, _)| *name == part).map_or("", |(_, value)| value)
    }

    /// The error code of the answer.
    pub(crate) fn code(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.answer).ok()?;
        Some(answer.get("Code")?.as_str()?.to_owned())
    }
}

pub(crate) fn exchanges() -> Vec<Exchange> {
    const FILES: [&str; 10] = [
        include_str!("../recorded/radosgw-16.2/t10_race.jsonl"),
        include_str!("../recorded/radosgw-16.2/t1_users.jsonl"),
        include_str!("../recorded/radosgw-16.2/t2_lifecycle.jsonl"),
        include_str!("../recorded/radosgw-16.2/t3_quota.jsonl"),
        include_str!("../recorded/radosgw-16.2/t4_buckets.jsonl"),
        include_str!("../recorded/radosgw-16.2/t5_enforce_delete.jsonl"),
        include_str!("../recorded/radosgw-16.2/t6_auth.jsonl"),
        include_str!("../recorded/radosgw-16.2/t7_pages_latency.jsonl"),
        include_str!("../recorded/radosgw-16.2/t8_usage.jsonl"),
        include_str!("../recorded/radosgw-16.2/t9_misc.jsonl"),
    ];
    FILES.iter().flat_map(|file| file.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}
