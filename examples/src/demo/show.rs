//! What was ordered, what came of it, what is there: as a table, or as JSON.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use super::{Summary, check::Checked};

/// The table, the numbers, and what is not as it was ordered.
pub(super) fn table(summary: &Summary, to: &mut dyn Write, width: u16) -> io::Result<()> {
    writeln!(to, "A Waldur and a Ceph gateway in memory, and between them the agent, built from a settings file.")?;
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["Order", "Resource", "Ordered", "What came of it", "User on the gateway", ""]);
    for checked in summary.checked.iter().filter(|checked| !checked.story.crowd) {
        table.add_row([
            checked.story.kind.to_string(),
            checked.story.name.clone(),
            checked.story.wish.clone(),
            checked.outcome.clone(),
            short(&checked.found),
            mark(checked.differences.is_empty()),
        ]);
    }
    let crowd: Vec<_> = summary.checked.iter().filter(|checked| checked.story.crowd).collect();
    if let Some(first) = crowd.first() {
        let right = crowd.iter().filter(|checked| checked.differences.is_empty()).count();
        table.add_row([
            first.story.kind.to_string(),
            format!("{} more", crowd.len()),
            "10 to 70 GB each".to_owned(),
            format!("{right} as ordered"),
            format!("{right} users, each with quotas and 1 key"),
            mark(right == crowd.len()),
        ]);
    }
    if let Some(users) = table.column_mut(4) {
        // A user fits on one line.
        users.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(42)));
    }
    writeln!(to, "{table}")?;
    let (waldur, gateway) = summary.requests;
    let orders = summary.checked.len();
    let seconds = summary.elapsed.as_secs_f64();
    writeln!(to, "{orders} orders in {seconds:.2} s, {waldur} requests to Waldur, {gateway} to the gateway.")?;
    writeln!(to, "One more pass with nothing new to do: {} writes.", summary.idle_writes)?;
    let differences = summary.differences();
    if differences.is_empty() {
        return writeln!(to, "All is as it was ordered.");
    }
    writeln!(to, "Not as it was ordered:")?;
    differences.iter().try_for_each(|difference| writeln!(to, "  {difference}"))
}

/// Users by the last part of their name, which is the beginning of the resource's UUID.
fn short(found: &str) -> String {
    found.replace("waldur_aurora_climate_", "…")
}

fn mark(right: bool) -> String {
    if right { "✓" } else { "✗" }.to_owned()
}

/// The same for programs.
pub(super) fn json(summary: &Summary) -> Value {
    let (waldur, gateway) = summary.requests;
    json!({
        "ok": summary.is_as_ordered(),
        "orders": summary.checked.iter().map(row).collect::<Vec<_>>(),
        "differences": summary.differences(),
        "requests": { "waldur": waldur, "gateway": gateway },
        "idle_writes": summary.idle_writes,
        "elapsed_ms": u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

fn row(checked: &Checked) -> Value {
    json!({
        "order": checked.story.order.hex(),
        "type": checked.story.kind.as_str(),
        "resource": checked.story.name,
        "ordered": checked.story.wish,
        "outcome": checked.outcome,
        "gateway": checked.found,
        "ok": checked.differences.is_empty(),
    })
}
