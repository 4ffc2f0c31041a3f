//! Log lines on stderr, as text or as one JSON object a line. No secret gets this far: errors and events of the SDK
//! carry none.
//!
//! A thread of its own writes them. A slow reader of stderr, or none at all, holds no order up: lines that find no room
//! are dropped and counted.

use std::{
    env,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};
use waldur_sdk::settings::LogLevel;

use crate::progress;

/// Lines that wait to be written.
const ROOM: usize = 4096;

/// How long anybody waits for lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// What the lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A log that is kept: as the level of the settings has it.
    Kept(LogFormat),
    /// A command at whose end somebody waits: no times, and warnings whatever the level.
    Beside,
}

/// Begins to log, until the answer is dropped. `RUST_LOG` (`debug`, `warn,waldur_sdk=trace`) wins over `level`, which is meant for the agent's own
/// lines: libraries below it speak from warnings on.
///
/// A second call in one process changes nothing.
///
/// # Errors
/// When `RUST_LOG` cannot be read.
pub fn init(form: Form, level: LogLevel) -> Result<Log, String> {
    let of_environment = of_environment()?;
    let is_fixed = of_environment.is_some();
    let level = if form == Form::Beside { at_least_warnings(level) } else { level };
    let (targets, handle) = reload::Layer::new(of_environment.unwrap_or_else(|| targets(level)));
    let log = Log::begin((!is_fixed).then_some(handle));
    let sink = log.sink.clone();
    let lines = fmt::layer().with_writer(move || sink.clone()).with_ansi(console::colors_enabled_stderr());
    let registry = tracing_subscriber::registry();
    let begun = match form {
        Form::Beside => {
            registry.with(lines.with_target(false).compact().without_time().with_filter(targets)).try_init()
        }
        Form::Kept(LogFormat::Text) => {
            registry.with(lines.with_target(false).compact().with_filter(targets)).try_init()
        }
        Form::Kept(LogFormat::Json) => {
            let lines = lines.json().flatten_event(true).with_span_list(false).with_current_span(false);
            registry.with(lines.with_filter(targets)).try_init()
        }
    };
    drop(begun);
    Ok(log)
}

fn of_environment() -> Result<Option<Targets>, String> {
    match env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => {
            let targets = text.parse();
            targets.map(Some).map_err(|_| "RUST_LOG: must be levels such as info or warn,waldur_sdk=debug".to_owned())
        }
        _ => Ok(None),
    }
}

fn targets(level: LogLevel) -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target("waldur", as_tracing(level))
}

/// The level of a log that goes on.
#[derive(Clone, Debug)]
pub struct Levels(Option<reload::Handle<Targets, Registry>>);

impl Levels {
    /// From now on this level holds, unless `RUST_LOG` does.
    pub fn set(&self, level: LogLevel) {
        // Where another log was first there is nothing to set.
        let _has_log = self.0.as_ref().is_some_and(|handle| handle.reload(targets(level)).is_ok());
    }
}

/// The log of the program. Dropping it waits, but not for ever, until what was said is written.
#[must_use = "what was said last is lost unless this is kept until the end"]
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    levels: Levels,
}

#[derive(Clone, Debug)]
struct Sink {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

enum Line {
    Text(Vec<u8>),
    /// Everything before it is written: say so.
    End(SyncSender<()>),
}

impl Log {
    /// The way to another level.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }

    fn begin(handle: Option<reload::Handle<Targets, Registry>>) -> Self {
        let (lines, waiting) = mpsc::sync_channel(ROOM);
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Sink { lines, dropped: dropped.clone() };
        // Ends with the process.
        thread::spawn(move || write_all(&waiting, &dropped));
        Self { sink, levels: Levels(handle) }
    }
}

impl Log {
    /// Waits, but not for ever, until what was said is written.
    pub fn settle(&self) {
        let begin = Instant::now();
        let (written, all) = mpsc::sync_channel(1);
        let mut end = Line::End(written);
        while begin.elapsed() < PATIENCE {
            match self.sink.lines.try_send(end) {
                Ok(()) => {
                    // Whoever does not read by then is not waited for.
                    let _in_time = all.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())).is_ok();
                    return;
                }
                Err(TrySendError::Full(back)) => end = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.settle();
    }
}

fn write_all(lines: &Receiver<Line>, dropped: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        let written = match line {
            Line::Text(text) => progress::write_to_stderr(&text),
            Line::End(done) => done.send(()).map_err(io::Error::other),
        };
        let missing = dropped.swap(0, Ordering::Relaxed);
        if written.is_ok() && missing > 0 {
            drop(progress::write_to_stderr(format!("{missing} log lines found no room and were dropped\n").as_bytes()));
        }
    }
}

/// One call is one line.
impl Write for Sink {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Line::Text(text.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn at_least_warnings(level: LogLevel) -> LogLevel {
    match level {
        LogLevel::Error | LogLevel::Critical => LogLevel::Warning,
        level => level,
    }
}

fn as_tracing(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warning => Level::WARN,
        LogLevel::Error | LogLevel::Critical => Level::ERROR,
    }
}
