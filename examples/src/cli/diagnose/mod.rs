//! `diagnose`: what works between Waldur, this machine and the back ends, and what to do about the rest.

mod backend;
mod components;
mod table;
mod waldur;

use std::{collections::BTreeSet, time::Duration};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use waldur_sdk::{
    backend::{Finding, Outcome},
    settings::{AgentSettings, OfferingSettings},
};

use super::{
    File, offerings,
    opening::{Opened, Refusal, open},
    printed, refused,
};
use crate::{exit::Exit, log::Form, modes::Mode, site::Site};

/// How long each side of an offering may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the diagnosis may be told.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: File,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only the offerings of this name; may be given again.
    #[arg(long, value_name = "NAME")]
    offering: Vec<String>,
}

/// What was found out about one offering.
struct Diagnosis {
    offering: String,
    findings: Vec<Finding>,
}

pub(super) async fn main(options: &Options) -> Result<Exit, Refusal> {
    match all(options).await {
        // Who reads JSON reads it there.
        Err(refusal) if options.json => Ok(printed(refused(&refusal), &as_json(&[], false, &refusal.problems))),
        outcome => outcome,
    }
}

async fn all(options: &Options) -> Result<Exit, Refusal> {
    let Opened { settings, log: _until_the_end, .. } = open(&options.file.config, Form::Beside)?;
    let site = Site::networked();
    let all = offerings(&settings, &options.offering)?;
    let diagnoses: Vec<Diagnosis> =
        stream::iter(all).map(|offering| diagnose(&site, &settings, offering)).buffered(8).collect().await;
    let failed = |diagnosis: &Diagnosis| diagnosis.findings.iter().any(|finding| finding.outcome == Outcome::Failed);
    let exit = if diagnoses.iter().any(failed) { Exit::Failed } else { Exit::Done };
    let text = if options.json { as_json(&diagnoses, exit == Exit::Done, &[]) } else { table::render(&diagnoses) };
    Ok(printed(exit, &text))
}

async fn diagnose(site: &Site, settings: &AgentSettings, offering: &OfferingSettings) -> Diagnosis {
    let mut findings = waldur::local(settings, offering);
    let (found, context) = waldur::findings(site, settings, offering).await;
    findings.extend(found);
    if let Some(context) = &context {
        findings.extend(components::findings(offering, context));
    }
    let backends: BTreeSet<&str> = Mode::ALL.iter().filter_map(|mode| mode.backend(offering)).collect();
    for backend_type in backends {
        findings.extend(backend::findings(site, settings, offering, backend_type, context.as_ref()).await);
    }
    Diagnosis { offering: offering.name.clone(), findings }
}

fn as_json(diagnoses: &[Diagnosis], ok: bool, problems: &[String]) -> String {
    let finding = |finding: &Finding| {
        json!({
            "check": finding.check,
            "outcome": table::word(finding.outcome),
            "detail": finding.detail,
            "remedy": finding.remedy,
        })
    };
    let offerings: Vec<_> = diagnoses
        .iter()
        .map(|diagnosis| {
            let findings: Vec<_> = diagnosis.findings.iter().map(finding).collect();
            json!({ "offering": diagnosis.offering, "findings": findings })
        })
        .collect();
    format!("{:#}\n", json!({ "ok": ok, "offerings": offerings, "problems": problems }))
}
