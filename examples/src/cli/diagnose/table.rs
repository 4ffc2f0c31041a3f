//! Findings as a table.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use waldur_sdk::backend::{Finding, Outcome};

use super::Diagnosis;

pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Warning => "warning",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    }
}

pub(super) fn render(diagnoses: &[Diagnosis]) -> String {
    let width = console::Term::stdout().size_checked().map_or(120, |(_, columns)| columns.clamp(80, 160));
    let mut text = String::new();
    for diagnosis in diagnoses {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        for finding in &diagnosis.findings {
            table.add_row([word(finding.outcome).to_owned(), finding.check.clone(), detail(finding)]);
        }
        text.extend([&*diagnosis.offering, "\n"]);
        for line in table.lines() {
            text.extend([&*coloured(line.trim_end()), "\n"]);
        }
        text.push('\n');
    }
    let count = |outcome| diagnoses.iter().flat_map(|one| &one.findings).filter(|one| one.outcome == outcome).count();
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    text + &format!("{failed} failed, {warnings} warnings, {} ok\n", count(Outcome::Passed))
}

/// The word that a line begins with in its colour, where stdout shows colours.
fn coloured(line: &str) -> String {
    let word = line.split_whitespace().next().filter(|word| line.starts_with(&format!(" {word} ")));
    let style = match word {
        Some("ok") => console::Style::new().green(),
        Some("warning") => console::Style::new().yellow(),
        Some("FAILED") => console::Style::new().red().bold(),
        Some("skipped") => console::Style::new().dim(),
        _ => return line.to_owned(),
    };
    let word = word.unwrap_or_default();
    line.replacen(word, &style.apply_to(word).to_string(), 1)
}

fn detail(finding: &Finding) -> String {
    match &finding.remedy {
        Some(remedy) => format!("{}\n-> {remedy}", finding.detail),
        None => finding.detail.clone(),
    }
}
