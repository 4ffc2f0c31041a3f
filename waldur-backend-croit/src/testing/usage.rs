//! The log of traffic, `/admin/usage` (radosgw-api.md §5): what was moved, never what is stored.

use std::{collections::BTreeMap, ops::Range};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use super::{
    records::UserId,
    wire::{Arguments, Node, Reply},
};

/// Traffic as the usage log counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent to the tenant, error bodies included.
    pub bytes_sent: u64,
    /// Bytes received from the tenant.
    pub bytes_received: u64,
    /// Operations.
    pub ops: u64,
    /// Those of them that succeeded.
    pub successful_ops: u64,
}

impl Traffic {
    fn add(&mut self, other: Self) {
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.ops += other.ops;
        self.successful_ops += other.successful_ops;
    }

    fn members(self) -> [(&'static str, Node); 4] {
        let number = |value: u64| Node::Number(i64::try_from(value).unwrap_or(i64::MAX));
        [
            ("bytes_sent", number(self.bytes_sent)),
            ("bytes_received", number(self.bytes_received)),
            ("ops", number(self.ops)),
            ("successful_ops", number(self.successful_ops)),
        ]
    }
}

type Categories = BTreeMap<String, Traffic>;

/// Per user, per full hour and bucket, per category.
#[derive(Debug, Default)]
pub(super) struct UsageLog(BTreeMap<String, BTreeMap<(i64, String), Categories>>);

impl UsageLog {
    pub(super) fn record(&mut self, owner: &str, bucket: &str, category: &str, traffic: Traffic, now: Timestamp) {
        let hour = now.as_second().div_euclid(3600) * 3600;
        let entry = self.0.entry(owner.to_owned()).or_default().entry((hour, bucket.to_owned())).or_default();
        entry.entry(category.to_owned()).or_default().add(traffic);
    }

    pub(super) fn report(&self, arguments: &Arguments) -> Reply {
        let period = period(arguments);
        let bucket = Some(arguments.text("bucket")).filter(|bucket| !bucket.is_empty());
        let wanted: Vec<_> = arguments.text("categories").split(',').filter(|word| !word.is_empty()).collect();
        let (mut entries, mut summary) = (Vec::new(), Vec::new());
        for (owner, log) in &self.0 {
            if !meant(arguments, owner) {
                continue;
            }
            let (mut buckets, mut sums) = (Vec::new(), Categories::new());
            for ((hour, name), categories) in log {
                if !period.contains(hour) || bucket.is_some_and(|bucket| bucket != name) {
                    continue;
                }
                let shown =
                    categories.iter().filter(|(category, _)| wanted.is_empty() || wanted.contains(&category.as_str()));
                let shown: Categories = shown.map(|(category, traffic)| (category.clone(), *traffic)).collect();
                for (category, traffic) in &shown {
                    sums.entry(category.clone()).or_default().add(*traffic);
                }
                buckets.push(bucket_node(owner, *hour, name, &shown));
            }
            if !buckets.is_empty() {
                let owner = || ("user", Node::text(owner));
                entries.push(Node::Map(vec![owner(), ("buckets", Node::List("bucket", buckets))]));
                let mut total = Traffic::default();
                for traffic in sums.values() {
                    total.add(*traffic);
                }
                let total = ("total", Node::Map(total.members().into()));
                summary.push(Node::Map(vec![owner(), ("categories", categories_node(&sums)), total]));
            }
        }
        let mut report = Vec::new();
        if arguments.flag("show-entries", true) {
            report.push(("entries", Node::List("user", entries)));
        }
        if arguments.flag("show-summary", true) {
            report.push(("summary", Node::List("user", summary)));
        }
        Reply::Tree("usage", Node::Map(report))
    }

    /// Without a uid it forgets everybody.
    pub(super) fn trim(&mut self, arguments: &Arguments) {
        let period = period(arguments);
        for (owner, log) in &mut self.0 {
            if meant(arguments, owner) {
                log.retain(|(hour, _), _| !period.contains(hour));
            }
        }
    }
}

fn meant(arguments: &Arguments, owner: &str) -> bool {
    let uid = arguments.text("uid");
    uid.is_empty() || UserId::parse(uid).to_string() == owner
}

fn period(arguments: &Arguments) -> Range<i64> {
    let start = seconds(arguments.text("start")).unwrap_or(i64::MIN);
    let end = seconds(arguments.text("end")).unwrap_or(i64::MAX);
    start..end.max(start)
}

/// `2026-11-22`, with ` 05:00:00` or `T05:00:00Z` behind it; everything else is ignored.
fn seconds(text: &str) -> Option<i64> {
    let text = text.replace('T', " ");
    let text = text.trim_end_matches('Z').split('.').next().unwrap_or_default();
    let day = Date::strptime("%Y-%m-%d", text).map(|day| day.at(0, 0, 0, 0));
    let moment = day.or_else(|_| DateTime::strptime("%Y-%m-%d %H:%M:%S", text)).ok()?;
    moment.to_zoned(TimeZone::UTC).ok().map(|moment| moment.timestamp().as_second())
}

fn bucket_node(owner: &str, hour: i64, name: &str, categories: &Categories) -> Node {
    let time = Timestamp::from_second(hour).map(|time| format!("{time:.6}")).unwrap_or_default();
    Node::Map(vec![
        ("bucket", Node::text(name)),
        ("time", Node::Text(time)),
        ("epoch", Node::Number(hour)),
        ("owner", Node::text(owner)),
        ("categories", categories_node(categories)),
    ])
}

fn categories_node(categories: &Categories) -> Node {
    let one = |(category, traffic): (&String, &Traffic)| {
        let mut members = vec![("category", Node::text(category))];
        members.extend(traffic.members());
        Node::Map(members)
    };
    Node::List("entry", categories.iter().map(one).collect())
}
