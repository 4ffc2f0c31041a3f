//! The command line: a file for each subcommand, and the Python agent's own way to be called.

mod check_config;
mod diagnose;
mod healthz;
mod load_components;
mod load_usage;
mod names;
mod opening;
mod run;
mod show;
mod signals;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use waldur_sdk::settings::{AgentSettings, OfferingSettings};

use self::opening::Refusal;
use crate::{
    demo,
    exit::Exit,
    log::{Form, LogFormat},
    modes::Mode,
};

/// The file of the Python agent.
const DEFAULT_FILE: &str = "waldur-site-agent-config.yaml";

/// Works for the provider of offerings on a Waldur marketplace.
///
/// Without a subcommand it is called as the Python site agent is: -m order_process|report|membership_sync -c FILE.
#[derive(Debug, Parser)]
#[command(name = "waldur-agent", version, after_help = AFTER, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    compatible: Compatible,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER: &str = "\
Exit codes:
   0  all went well, or the agent was asked to stop and did
   1  something failed, such as an order that is erred now, a check or the health of an agent
   2  the arguments are wrong; nothing was done
  74  this machine failed: a file, a stream, a socket
  75  something failed for a passing reason, or was stopped before its end; run again later
  78  the configuration is wrong; nothing was done
healthz knows 0 and 1 alone, and 2 for wrong arguments.

Signals:
  TERM, INT, QUIT, TSTP  come to a safe point within 25 s and end; a second one ends at once
  HUP                    read the settings anew; load-usage and load-components end

Environment:
  RUST_LOG  levels of log lines, e.g. debug or warn,waldur_sdk=trace; wins over log_level
  WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES    minutes between two passes, default 5
  WALDUR_SITE_AGENT_MEMBERSHIP_SYNC_PERIOD_MINUTES  default 5
  WALDUR_SITE_AGENT_REPORT_PERIOD_MINUTES           default 30; all three may have a fraction";

/// The Python agent's own command line.
#[derive(Debug, Args)]
struct Compatible {
    /// What to do: order_process, report, membership_sync or all.
    #[arg(short, long, value_parser = mode_or_all, default_value = "order_process")]
    mode: Modes,
    #[command(flatten)]
    run: run::Options,
}

/// The settings file.
#[derive(Clone, Debug, Args)]
struct File {
    /// The settings file of the site agent.
    #[arg(short, long = "config-file", alias = "config", value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Args)]
struct Logging {
    /// The form of log lines, which go to stderr.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Logging {
    fn form(self) -> Form {
        Form::Kept(self.log_format)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Does everything for the offerings of a settings file: orders, usage, members.
    Run {
        /// Only this, instead of everything: order_process, report or membership_sync; may be given again.
        #[arg(short, long, value_parser = one_mode)]
        mode: Vec<Mode>,
        #[command(flatten)]
        run: run::Options,
    },
    /// Carries out the orders of the offerings of a settings file.
    OrderProcess(run::Options),
    /// Reports the usage of their resources.
    Report(run::Options),
    /// Keeps members, limits and states of their resources true.
    MembershipSync(run::Options),
    /// Says whether a settings file is right, and what it comes to, without its secrets. Sends nothing.
    CheckConfig(check_config::Options),
    /// Checks names, connections, clocks, credentials, rights, versions and components on both sides.
    Diagnose(diagnose::Options),
    /// Makes the components of a settings file in Waldur, or brings them to what the file says.
    LoadComponents(load_components::Options),
    /// Reports usage of months that are over.
    LoadUsage(load_usage::Options),
    /// Says whether an agent on this machine lives and can work.
    Healthz(healthz::Options),
    /// Shows a marketplace at work, with a Waldur and a Ceph gateway in memory; checks all it did.
    Demo(demo::Options),
}

/// One mode or all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Modes(Vec<Mode>);

fn mode_or_all(word: &str) -> Result<Modes, String> {
    if word == "all" { Ok(Modes(Mode::ALL.to_vec())) } else { one_mode(word).map(|mode| Modes(vec![mode])) }
}

fn one_mode(word: &str) -> Result<Mode, String> {
    let word = word.replace('-', "_");
    let known = Mode::ALL.into_iter().find(|mode| mode.as_str() == word);
    known.ok_or_else(|| match word.as_str() {
        "event_process" => "this version reads no events; -m all polls for everything".to_owned(),
        _ => "is none of order_process, report, membership_sync, all".to_owned(),
    })
}

/// Runs the program with its arguments, its name first, and says how it ended.
///
/// # Errors
/// Wrong arguments, and whatever else `clap` prints instead of running, such as the help.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, clap::Error> {
    let arguments = Arguments::try_parse_from(names::resolve(arguments))?;
    quiet_panics();
    // Code that blocks holds its own thread up, and no other offering.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return Ok(refused(&Refusal::io("no runtime", &cause))),
    };
    let exit = runtime.block_on(dispatch(arguments));
    // A name that is being looked up and a back end that blocks cannot be interrupted: nobody waits for them.
    runtime.shutdown_background();
    Ok(exit)
}

async fn dispatch(arguments: Arguments) -> Exit {
    let Compatible { mode: Modes(modes), run: options } = arguments.compatible;
    let outcome = match arguments.command {
        None => run::main(&options, &modes).await,
        Some(Command::Run { mode, run }) if mode.is_empty() => run::main(&run, &Mode::ALL).await,
        Some(Command::Run { mode, run }) => run::main(&run, &mode).await,
        Some(Command::OrderProcess(options)) => run::main(&options, &[Mode::OrderProcess]).await,
        Some(Command::Report(options)) => run::main(&options, &[Mode::Report]).await,
        Some(Command::MembershipSync(options)) => run::main(&options, &[Mode::MembershipSync]).await,
        Some(Command::CheckConfig(options)) => check_config::main(&options),
        Some(Command::Diagnose(options)) => diagnose::main(&options).await,
        Some(Command::LoadComponents(options)) => load_components::main(&options).await,
        Some(Command::LoadUsage(options)) => load_usage::main(&options).await,
        Some(Command::Healthz(options)) => Ok(healthz::main(&options).await),
        Some(Command::Demo(options)) => Ok(demo::main(&options).await),
    };
    outcome.unwrap_or_else(|problems| refused(&problems))
}

/// The offerings of these names, or all if there is no name.
fn offerings<'s>(settings: &'s AgentSettings, names: &[String]) -> Result<Vec<&'s OfferingSettings>, Refusal> {
    if let Some(name) = names.iter().find(|name| settings.offerings.iter().all(|offering| offering.name != **name)) {
        return Err(Refusal::usage(format!("--offering: there is no offering {name:?} in the file")));
    }
    let wanted = |offering: &&OfferingSettings| names.is_empty() || names.contains(&offering.name);
    Ok(settings.offerings.iter().filter(wanted).collect())
}

/// Says why nothing was done.
fn refused(refusal: &Refusal) -> Exit {
    told(refusal.exit, &format!("waldur-agent: {refusal}"))
}

/// Says how it went, on stderr. A reader who is gone changes nothing.
fn told(exit: Exit, text: &str) -> Exit {
    drop(writeln!(io::stderr(), "{text}"));
    exit
}

/// Prints a result. A reader who is gone is a failure: nobody has it.
fn printed(exit: Exit, text: &str) -> Exit {
    if io::stdout().write_all(text.as_bytes()).is_ok() { exit } else { exit.or_worse(Exit::Io) }
}

/// A panic says where it happened and no more: what it would say may be made of anything. It is a line of the log, where
/// there is one.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        if tracing::dispatcher::has_been_set() {
            tracing::error!("a defect at {place}; what it said is withheld");
        } else {
            drop(writeln!(io::stderr(), "waldur-agent: a defect at {place}; what it said is withheld"));
        }
    }));
}
