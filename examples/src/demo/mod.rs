//! A marketplace at work: customers order, the agent provides, and everything it did is checked behind its back.
//!
//! Nothing is faked but the two systems at the ends: the agent is built from a settings file as the binary builds it,
//! and its requests go to [`FakeWaldur`](waldur_sdk::testing::waldur::FakeWaldur) and
//! [`FakeRadosGw`](waldur_backend_croit::testing::FakeRadosGw) in the same process.

mod check;
mod progress;
mod show;
mod stories;
mod world;

use std::{
    io::{self, Write as _},
    time::Duration,
};

use waldur_sdk::{backend::OpContext, rest::Environment};

use self::{check::Checked, progress::Progress, stories::Story, world::World};
use crate::{
    agent::{Pass, Unit, pass},
    config::ConfigError,
    exit::Exit,
};

/// What the demo may be told.
#[derive(Clone, Copy, Debug, clap::Args)]
#[non_exhaustive]
pub struct Options {
    /// How many orders, all alike, come beside those that tell a story.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub orders: usize,
    /// How long each request takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    pub latency: u64,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl Default for Options {
    /// As without arguments.
    fn default() -> Self {
        Self { orders: 20, latency: 10, json: false }
    }
}

/// What came of it all.
#[derive(Clone, Debug)]
pub struct Summary {
    checked: Vec<Checked>,
    /// What is wrong as a whole.
    whole: Vec<String>,
    requests: (u64, u64),
    idle_writes: u64,
    elapsed: Duration,
}

impl Summary {
    /// Whether all is as it was ordered.
    pub fn is_as_ordered(&self) -> bool {
        self.differences().is_empty()
    }

    /// What is not as it was ordered, each with the resource that it is about.
    pub fn differences(&self) -> Vec<String> {
        let of = |checked: &Checked| {
            let name = format!("{} {}", checked.story.kind, checked.story.name);
            checked.differences.iter().map(move |difference| format!("{name}: {difference}")).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.checked.iter().flat_map(of).collect();
        all.extend(self.whole.iter().cloned());
        all
    }

    /// How many orders were placed.
    pub fn orders(&self) -> usize {
        self.checked.len()
    }

    /// How often a pass with nothing to do wrote something.
    pub fn idle_writes(&self) -> u64 {
        self.idle_writes
    }

    /// The table, `width` characters wide, and what follows it.
    pub fn table(&self, width: u16) -> String {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        drop(show::table(self, &mut text, width));
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The same for programs.
    pub fn json(&self) -> serde_json::Value {
        show::json(self)
    }
}

/// Runs the demo on the terminal, and says how it ended.
pub async fn main(options: &Options) -> Exit {
    let environment = Environment::default().with_timer(tokio::time::sleep);
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let (exit, written) = match run(options, &environment).await {
        Ok(summary) => {
            let text = if options.json { format!("{:#}\n", summary.json()) } else { coloured(summary.table(width())) };
            (if summary.is_as_ordered() { Exit::Done } else { Exit::Failed }, out.write_all(text.as_bytes()))
        }
        Err(error) => (Exit::Failed, writeln!(err, "waldur-agent: the demo cannot run: {error}")),
    };
    if written.is_ok() { exit } else { exit.or_worse(Exit::Io) }
}

/// Marks in colour, where stdout shows colours.
fn coloured(table: String) -> String {
    if !console::colors_enabled() {
        return table;
    }
    table.replace('✓', &console::style('✓').green().to_string()).replace('✗', &console::style('✗').red().to_string())
}

/// What a terminal of unknown width is taken for.
fn width() -> u16 {
    console::Term::stdout().size_checked().map_or(130, |(_, columns)| columns.clamp(80, 160))
}

/// Runs the demo with the clocks of `environment`. Progress shows if stderr is a terminal.
///
/// # Errors
/// When the stage cannot be set.
pub async fn run(options: &Options, environment: &Environment) -> Result<Summary, Error> {
    let begin = environment.instant();
    let world = World::new(environment);
    let mut agents = world.agents(environment, Duration::from_millis(options.latency))?;
    let mut show =
        Show { world: &world, agents: &mut agents, stories: Vec::new(), checked: Vec::new(), whole: Vec::new() };

    show.act("New resources", stories::new_resources(&world, options.orders)?).await;
    match stories::changes(&world, &show.stories) {
        Ok(changes) => show.act("Changes and ends", changes).await,
        Err(refused) => show.whole.push(format!("a customer could not use what was made: {}", refused.code())),
    }
    let returns = stories::returns(&world, &show.stories);
    show.act("Returns", returns).await;

    let before = world.writes();
    let elapsed = environment.instant().saturating_duration_since(begin);
    let requests = world.requests();
    show.act("Nothing new", Vec::new()).await;
    let idle_writes = world.writes() - before;
    if idle_writes > 0 {
        show.whole.push(format!("a pass with nothing new to do wrote {idle_writes} times"));
    }
    show.whole.extend(check::world(&world, &show.stories));
    Ok(Summary { checked: show.checked, whole: show.whole, requests, idle_writes, elapsed })
}

/// The performance, act by act.
struct Show<'a> {
    world: &'a World,
    agents: &'a mut [Unit],
    stories: Vec<Story>,
    checked: Vec<Checked>,
    whole: Vec<String>,
}

impl Show<'_> {
    /// Orders have been placed: one pass, and a look behind the stage.
    async fn act(&mut self, title: &str, stories: Vec<Story>) {
        let mut cx = OpContext::new("demo");
        let progress = Progress::on_terminal(title, &stories).map(std::sync::Arc::new);
        if let Some(progress) = &progress {
            cx = cx.with_progress(progress.clone());
        }
        let passes = pass(self.agents, &cx).await;
        if let Some(progress) = progress {
            progress.end();
        }
        self.whole.extend(passes.iter().filter_map(failure));
        self.checked.extend(stories.iter().map(|story| check::story(self.world, story)));
        self.stories.extend(stories);
    }
}

fn failure(pass: &Pass) -> Option<String> {
    let error = pass.outcome.as_ref().err()?;
    Some(format!("{}: {}", pass.offering, error.chain().join(": ")))
}

/// Why the stage could not be set.
#[derive(Debug)]
pub enum Error {
    /// The settings are wrong.
    Config(ConfigError),
    /// The gateway refused what was to be there from the beginning.
    Gateway(waldur_backend_croit::testing::Refused),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Gateway(refused) => write!(f, "the gateway refused: {}", refused.code()),
        }
    }
}

impl std::error::Error for Error {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<waldur_backend_croit::testing::Refused> for Error {
    fn from(refused: waldur_backend_croit::testing::Refused) -> Self {
        Self::Gateway(refused)
    }
}
