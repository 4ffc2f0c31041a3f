//! `healthz`: whether an agent on this machine lives and can work (core.md §5.9). The answer is 0 or 1, whatever is wrong:
//! those who watch know no other.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use waldur_sdk::{
    Error,
    client::AgentMode,
    rest::TracingObserver,
    settings::{AgentSettings, OfferingSettings},
};

use super::{
    opening::{Opened, open},
    printed, refused,
};
use crate::{agent::heartbeat, exit::Exit, log::Form, site::Site};

/// How long a Waldur may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the check may be told.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    /// The settings file of the site agent.
    #[arg(
        short,
        long = "config-file",
        alias = "config",
        value_name = "FILE",
        default_value = "/etc/waldur-site-agent/config.yaml"
    )]
    config: PathBuf,
    /// The greatest age of a heartbeat, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    max_age: u64,
    /// Looks at the heartbeat and asks no Waldur.
    #[arg(long)]
    liveness_only: bool,
    /// The heartbeat file; otherwise all that agents keep in the runtime directory, or the Python agent's.
    #[arg(long, value_name = "FILE", env = "WALDUR_AGENT_HEARTBEAT")]
    heartbeat: Option<PathBuf>,
}

pub(super) async fn main(options: &Options) -> Exit {
    let exit = liveness(options);
    let exit = if options.liveness_only || exit != Exit::Done { exit } else { readiness(&options.config).await };
    exit.min(Exit::Failed)
}

fn liveness(options: &Options) -> Exit {
    let files = options.heartbeat.clone().map_or_else(heartbeat::known, |file| vec![file]);
    let mut exit = Exit::Done;
    for file in files {
        let shown = file.display();
        let line = match heartbeat::age(&file, SystemTime::now()) {
            Err(cause) => Err(format!("{shown}: {cause}")),
            Ok(age) if age.as_secs() >= options.max_age => Err(format!("{shown}: is {} s old", age.as_secs())),
            Ok(age) => Ok(format!("{shown}: is {} s old", age.as_secs())),
        };
        exit = exit.or_worse(said(line));
    }
    exit
}

async fn readiness(config: &Path) -> Exit {
    match open(config, Form::Beside) {
        Ok(Opened { settings, log: _until_the_end, .. }) => said(any_answer(&settings).await),
        Err(refusal) => refused(&refusal),
    }
}

fn said(line: Result<String, String>) -> Exit {
    match line {
        Ok(line) => printed(Exit::Done, &format!("ok    {line}\n")),
        Err(line) => printed(Exit::Failed, &format!("FAIL  {line}\n")),
    }
}

async fn ask(site: &Site, settings: &AgentSettings, offering: &OfferingSettings) -> Result<(), Error> {
    let waldur = site.waldur(settings, offering, AgentMode::Testing, TracingObserver)?;
    waldur.until(site.environment().instant().checked_add(PATIENCE)).users().me().await.map(drop)
}

/// Whether any one offering's Waldur answers to its credentials.
async fn any_answer(settings: &AgentSettings) -> Result<String, String> {
    let site = Site::networked();
    let mut answers = stream::iter(&settings.offerings)
        .map(|offering| async { (offering.name.clone(), ask(&site, settings, offering).await) })
        .buffer_unordered(8);
    let mut refusals = Vec::new();
    while let Some((name, answer)) = answers.next().await {
        match answer {
            Ok(()) => return Ok(format!("Waldur answers for {name}")),
            Err(error) => refusals.push(format!("{name}: {}", error.chain().join(": "))),
        }
    }
    Err(if refusals.is_empty() { "there is no offering".to_owned() } else { refusals.join("\n      ") })
}
