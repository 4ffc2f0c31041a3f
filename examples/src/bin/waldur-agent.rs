//! The reference agent: a drop-in for the order processing of the Python site agent, and a demo that needs no network.
//!
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments, 75 something failed for a passing reason, 78 the
//! configuration is wrong.

use std::{env, io, io::Write as _, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use futures_util::{Stream, stream};
use waldur_examples::{
    agent::{self, Schedule},
    config::{self, ConfigError},
    demo,
    exit::Exit,
    log::{self, LogFormat},
    site::Site,
};

/// Processes the orders of a Waldur marketplace.
#[derive(Debug, Parser)]
#[command(name = "waldur-agent", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The form of log lines, which go to stderr.
    #[arg(long, value_enum, default_value_t, global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  all went well, or the agent was asked to stop and did
   1  something failed, such as an order that is erred now
   2  wrong arguments
  75  something failed for a passing reason; run again later
  78  the configuration is wrong; nothing was done

Environment:
  RUST_LOG  levels of log lines, e.g. debug or warn,waldur_sdk=trace; wins over log_level
  WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES  minutes between two passes, default 5, may have a fraction";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a marketplace at work, with a Waldur and a Ceph gateway in memory; checks all it did.
    Demo(demo::Options),
    /// Processes the orders of the offerings of a settings file.
    OrderProcess {
        /// The settings file of the site agent.
        #[arg(short, long, default_value = "waldur-site-agent-config.yaml")]
        config: PathBuf,
        /// Ends after one pass.
        #[arg(long)]
        once: bool,
        /// Says what would be processed, and writes nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

fn main() -> Exit {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return told(Exit::Failed, &format!("waldur-agent: no runtime: {cause}")),
    };
    match arguments.command {
        Command::Demo(options) => runtime.block_on(demo::main(&options)),
        Command::OrderProcess { config, once, dry_run } => {
            match runtime.block_on(order_process(&config, once, dry_run, arguments.log_format)) {
                Ok(exit) => exit,
                Err(problems) => told(Exit::Config, &format!("waldur-agent: {problems}")),
            }
        }
    }
}

async fn order_process(
    config: &std::path::Path,
    once: bool,
    dry_run: bool,
    format: LogFormat,
) -> Result<Exit, ConfigError> {
    let (settings, mut warnings) = config::load(config)?;
    log::init(format, settings.log_level).map_err(ConfigError::new)?;
    let schedule = if once { Schedule::Once } else { Schedule::Every(period()?) };
    let (mut agents, more) = Site::networked().agents(&settings, dry_run)?;
    warnings.extend(more);
    agent::announce(&warnings);
    if agents.is_empty() {
        tracing::warn!("no offering has an order_processing_backend: there is nothing to do");
    }
    tracing::info!(offerings = agents.len(), dry_run, "waldur-agent {} begins", env!("CARGO_PKG_VERSION"));
    let stop = signals().map_err(|cause| ConfigError::new(format!("signals cannot be handled: {cause}")))?;
    let exit = agent::run(&mut agents, schedule, stop).await;
    tracing::info!(code = exit.code(), "waldur-agent ends");
    Ok(exit)
}

/// The pause between two passes (core.md §6.7).
fn period() -> Result<Duration, ConfigError> {
    const NAME: &str = "WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES";
    let minutes = match env::var(NAME) {
        Ok(text) => text.trim().parse().unwrap_or(f64::NAN),
        Err(env::VarError::NotPresent) => 5.0,
        Err(env::VarError::NotUnicode(_)) => f64::NAN,
    };
    Duration::try_from_secs_f64(minutes * 60.0)
        .ok()
        .filter(|period| !period.is_zero())
        .ok_or_else(|| ConfigError::new(format!("{NAME}: must be a number greater than 0")))
}

/// SIGTERM and SIGINT, as they come.
#[cfg(unix)]
fn signals() -> io::Result<impl Stream<Item = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let one = |mut signal: tokio::signal::unix::Signal| stream::poll_fn(move |context| signal.poll_recv(context));
    Ok(stream::select(one(terminate), one(interrupt)))
}

/// Ctrl-C, as it comes.
#[cfg(not(unix))]
fn signals() -> io::Result<impl Stream<Item = ()>> {
    Ok(stream::unfold((), |()| async { tokio::signal::ctrl_c().await.ok().map(|()| ((), ())) }))
}

/// Says why the program ends, on stderr. A reader who is gone changes nothing.
fn told(exit: Exit, text: &str) -> Exit {
    drop(writeln!(io::stderr(), "{text}"));
    exit
}
