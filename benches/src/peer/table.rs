//! What was measured, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Agent,
    run::{Outcome, Row},
};

/// The rows of both agents side by side, in Markdown. Every ratio is Python's figure divided by the SDK's.
pub fn markdown(outcome: &Outcome) -> String {
    let mut text = String::from(
        "| system | mode | cycle | agent | calls to Waldur | to the back end | writes | wall | CPU | peak memory |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &outcome.rows {
        let (wall, cpu) = (row.took.wall().as_secs_f64(), row.took.cpu().as_secs_f64());
        let Row { system, mode, cycle, agent, waldur, backend, writes, .. } = row;
        let peak = row.took.peak_kib / 1024;
        // Writing into a text cannot fail.
        let _written = writeln!(
            text,
            "| {system} | {mode} | {cycle} | {agent} | {waldur} | {backend} | {writes} | {wall:.2} s | {cpu:.2} s | {peak} MiB |"
        );
    }
    text.push_str("\n| system | mode | cycle | calls | wall | CPU | peak memory |\n|---|---|---|---|---|---|---|\n");
    for (python, sdk) in pairs(outcome) {
        let Row { system, mode, cycle, .. } = python;
        let [calls, wall, cpu, peak] = ratios(python, sdk).map(|ratio| format!("{ratio:.1} ×"));
        let _written = writeln!(text, "| {system} | {mode} | {cycle} | {calls} | {wall} | {cpu} | {peak} |");
    }
    text
}

/// The same as a tree.
pub fn tree(outcome: &Outcome) -> Value {
    let rows = outcome.rows.iter().map(|row| {
        json!({
            "system": row.system.as_str(), "mode": row.mode.as_str(), "cycle": row.cycle, "agent": row.agent.as_str(),
            "calls_waldur": row.waldur, "calls_backend": row.backend, "writes": row.writes, "refused": row.refused,
            "took": row.took,
        })
    });
    let round_trip = u64::try_from(outcome.round_trip.as_micros()).unwrap_or(u64::MAX);
    json!({ "round_trip_us": round_trip, "rows": rows.collect::<Vec<_>>(), "failures": outcome.failures })
}

/// The cycles that both agents went through.
fn pairs(outcome: &Outcome) -> impl Iterator<Item = (&Row, &Row)> {
    let of = |agent: Agent| outcome.rows.iter().filter(move |row| row.agent == agent);
    of(Agent::Python).filter_map(move |python| {
        let same = |sdk: &&Row| (sdk.system, sdk.mode, sdk.cycle) == (python.system, python.mode, python.cycle);
        Some((python, of(Agent::Sdk).find(same)?))
    })
}

/// Calls, wall, CPU, memory.
#[allow(clippy::cast_precision_loss, reason = "for a ratio with one decimal")]
fn ratios(python: &Row, sdk: &Row) -> [f64; 4] {
    let pairs = [
        (python.calls(), sdk.calls()),
        (python.took.wall_us, sdk.took.wall_us),
        (python.took.cpu_us, sdk.took.cpu_us),
        (python.took.peak_kib, sdk.took.peak_kib),
    ];
    // What is below a step of the clock counts as one step.
    pairs.map(|(python, sdk)| python as f64 / sdk.max(1) as f64)
}
