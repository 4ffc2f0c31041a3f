//! The demo ends as it says, and would say so if it did not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

use serde_json::Value;
use waldur_examples::demo::{self, Options};
use waldur_sdk::rest::Environment;

fn virtual_time() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}

#[tokio::test(start_paused = true)]
async fn all_is_as_ordered_and_an_idle_pass_writes_nothing() {
    let summary = demo::run(&Options::default(), &virtual_time()).await.unwrap();
    assert_eq!(summary.differences(), Vec::<String>::new());
    assert!(summary.is_as_ordered());
    assert_eq!(summary.orders(), 33);
    assert_eq!(summary.idle_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_table_has_a_row_for_every_story_and_no_secret() {
    let mut options = Options::default();
    options.orders = 3;
    let summary = demo::run(&options, &virtual_time()).await.unwrap();
    let table = summary.table(140);
    for word in ["Create", "Update", "Terminate", "Restore", "genome-reads", "3 more", "All is as it was ordered."] {
        assert!(table.contains(word), "{word} is missing from\n{table}");
    }
    assert_eq!(table.matches('✓').count(), 14, "{table}");
    assert!(!table.contains("secret"), "{table}");
    let json = summary.json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["orders"].as_array().unwrap().len(), 16);
    assert!(!json.to_string().contains("secret_key"));
}

#[test]
fn the_binary_prints_json_and_ends_with_0() {
    let demo = Command::new(env!("CARGO_BIN_EXE_waldur-agent"))
        .args(["demo", "--orders", "2", "--latency", "0", "--json"])
        .output()
        .unwrap();
    assert_eq!(demo.status.code(), Some(0), "{}", String::from_utf8_lossy(&demo.stderr));
    let summary: Value = serde_json::from_slice(&demo.stdout).unwrap();
    assert_eq!(summary["ok"], true);
    assert_eq!(summary["differences"], Value::Array(Vec::new()));
    assert!(demo.stderr.is_empty(), "stderr is no terminal here, so nothing is shown on it");
}
