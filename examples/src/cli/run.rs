//! `run`, `order-process`, `report`, `membership-sync`: passes over the offerings of a settings file.

use std::{env, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use waldur_sdk::settings::AgentSettings;

use super::{
    File, Logging,
    opening::{Opened, Refusal, open},
    signals,
};
use crate::{
    agent::{self, Board, Crew, Manager, Schedule, Unit, heartbeat::Heartbeat},
    config::{self, ConfigError},
    exit::Exit,
    log::Levels,
    modes::{Mode, Periods},
    progress::Bars,
    serve::{Server, serve},
    site::Site,
};

/// What every mode may be told.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: File,
    /// Ends after one pass.
    #[arg(long)]
    once: bool,
    /// Says what would be done, and writes nothing anywhere.
    #[arg(long)]
    dry_run: bool,
    /// Serves /livez, /readyz and /metrics there, e.g. 127.0.0.1:9100.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The heartbeat file, instead of those of the modes.
    #[arg(long, value_name = "FILE", env = "WALDUR_AGENT_HEARTBEAT")]
    heartbeat: Option<PathBuf>,
    #[command(flatten)]
    logging: Logging,
}

pub(super) async fn main(options: &Options, modes: &[Mode]) -> Result<Exit, Refusal> {
    let Opened { settings, log, .. } = open(&options.file.config, options.logging.form())?;
    let schedule = schedule(options.once)?;
    let dry_run = options.dry_run;
    let site = Site::networked().with_single_pass(options.once);
    let again = Again { site, path: options.file.config.clone(), modes: modes.to_vec(), dry_run };
    let units = again.units(&settings)?;
    for (mode, key) in idle(modes, &units) {
        tracing::warn!("no offering has a {key}: there is nothing to do in mode {mode}");
    }
    tracing::info!(units = units.len(), dry_run, "waldur-agent {} begins", env!("CARGO_PKG_VERSION"));
    let events = signals::events().map_err(|cause| Refusal::io("signals cannot be handled", &cause))?;
    let board = Board::new(again.site.metrics().clone());
    let server = listen(options.listen, &board).await?;
    let crew = Crew::new(units, schedule)
        .with_board(board)
        .with_heartbeat(heartbeat(options, modes))
        .with_manager(Manager::of_environment())
        .with_bars(if options.once { Bars::on_terminal() } else { None });
    // A single pass goes on with what it began with, also when its terminal is gone.
    let crew = if options.once { crew } else { crew.with_reload(again.reload(log.levels())) };
    let exit = crew.run(events).await;
    tracing::info!(code = exit.code(), "waldur-agent ends");
    if let Some(server) = server {
        server.stop(Duration::from_millis(200)).await;
    }
    Ok(exit)
}

fn schedule(once: bool) -> Result<Schedule, ConfigError> {
    if once {
        return Ok(Schedule::Once);
    }
    // What is no text is no number either.
    let variable = |name: &str| env::var_os(name).map(|value| value.into_string().unwrap_or_default());
    match Periods::from_environment(variable) {
        Ok(periods) => Ok(Schedule::Every(periods)),
        Err(problems) => Err(ConfigError::of(problems).unwrap_or_else(|| ConfigError::new("periods"))),
    }
}

/// The modes that have nothing to do, and the key that would give them something.
fn idle(modes: &[Mode], units: &[Unit]) -> Vec<(Mode, &'static str)> {
    let without = modes.iter().filter(|mode| units.iter().all(|unit| unit.mode() != **mode));
    without.map(|mode| (*mode, mode.key())).collect()
}

/// A single pass needs no sign of life unless it is told where, and a dry run must not pass for a living agent.
fn heartbeat(options: &Options, modes: &[Mode]) -> Heartbeat {
    match &options.heartbeat {
        _ if options.dry_run => Heartbeat::none(),
        Some(path) => Heartbeat::at(path.clone()),
        None if options.once => Heartbeat::none(),
        None => Heartbeat::of(modes),
    }
}

async fn listen(address: Option<SocketAddr>, board: &Board) -> Result<Option<Server>, Refusal> {
    let Some(address) = address else { return Ok(None) };
    let server = serve(board.clone(), address).await;
    let server = server.map_err(|cause| Refusal::io(format_args!("--listen {address}"), &cause))?;
    tracing::info!(address = %server.address(), "/livez, /readyz and /metrics are served");
    Ok(Some(server))
}

/// What units are made of, again and again.
struct Again {
    site: Site,
    path: PathBuf,
    modes: Vec<Mode>,
    dry_run: bool,
}

impl Again {
    fn units(&self, settings: &AgentSettings) -> Result<Vec<Unit>, ConfigError> {
        let (units, warnings) = self.site.units(settings, &self.modes, self.dry_run)?;
        agent::announce(&warnings);
        Ok(units)
    }

    /// Units of the file as it is by then, at the log level that it has by then.
    fn reload(self, levels: Levels) -> impl FnMut() -> Result<Vec<Unit>, ConfigError> + Send {
        move || {
            let (settings, warnings) = config::load(&self.path)?;
            let units = self.units(&settings)?;
            levels.set(settings.log_level);
            agent::announce(&warnings);
            Ok(units)
        }
    }
}
