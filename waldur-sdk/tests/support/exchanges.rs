//! Fakes of generation 8 whose exchanges can be written down: `dev/contract.sh` names a folder in `CONTRACT_OUT`, runs the
//! suite, and holds what it finds there against a published contract.
//!
//! An exchange is taken where it comes to the fake, beneath every layer, so that what tests break on the way is not in it.
//! Those that differ in ids, numbers and lengths of lists alone are written once.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "support of several test crates")]

use std::{
    collections::{BTreeSet, HashSet},
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex},
};

use serde_json::{Value, json};
use waldur_sdk::testing::{
    Exchange,
    waldur::{FakeWaldur, Generation},
};

/// A fake for any test but those that send deliberately wrong requests themselves.
pub fn fake_waldur(generation: Generation) -> FakeWaldur {
    match &*SCRIBE {
        Some(scribe) if generation == Generation::V8 => {
            FakeWaldur::new(generation).with_observer(|exchange| scribe.write_down(exchange))
        }
        _ => FakeWaldur::new(generation),
    }
}

static SCRIBE: LazyLock<Option<Scribe>> = LazyLock::new(|| Some(Scribe::new(&folder()?)));

/// Where `dev/contract.sh` wants them, if it does.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("CONTRACT_OUT").map(PathBuf::from)
}

struct Scribe {
    seen: Mutex<HashSet<String>>,
    lines: File,
    count: File,
}

impl Scribe {
    fn new(folder: &Path) -> Self {
        let open = |name: &str| OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap();
        let lines = open(&format!("exchanges-{}.jsonl", std::process::id()));
        Self { seen: Mutex::default(), lines, count: open("count") }
    }

    fn write_down(&self, exchange: &Exchange) {
        // The token endpoint is not Waldur's.
        if !exchange.path.contains("/api/") {
            return;
        }
        // Several programs write it at once; its length is the number.
        (&self.count).write_all(b".").unwrap();
        let mut line = exchange.to_json();
        let shape = shape(&json!([exchange.method.as_str(), exchange.path, exchange.query, line["request"]["body"]]))
            + &shape(&json!([line["response"]["status"], line["response"]["body"]]));
        if self.seen.lock().unwrap().insert(shape.clone()) {
            line["shape"] = shape.into();
            (&self.lines).write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }
}

/// Members, types, and the words that are no ids.
fn shape(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        Value::Number(number) if number.is_f64() => "1.5".to_owned(),
        Value::Number(_) => "1".to_owned(),
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Array(items) => format!("{:?}", items.iter().map(shape).collect::<BTreeSet<_>>()),
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, member)| format!("{}:{}", word(name), shape(member))).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// A text with every part that has a digit in it replaced: ids, dates, numbers.
fn word(text: &str) -> String {
    let mut shown = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (word, end) = part.split_at(part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
        shown += if word.contains(|c: char| c.is_ascii_digit()) { "9" } else { word };
        shown += end;
    }
    shown
}
