//! Log lines on stderr, as text or as one JSON object a line. No secret gets this far: errors and events of the SDK
//! carry none.
//!
//! A thread of its own writes them. Whoever reads stderr slowly, or not at all, holds no order up: lines that find no
//! room are dropped and counted.

use std::{
    env,
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use waldur_sdk::settings::LogLevel;

use crate::progress;

/// Lines that wait to be written.
const ROOM: usize = 4096;

/// How long the end of the program waits for lines to be written.
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

/// Begins to log, until the answer is dropped. `RUST_LOG` (`debug`, `warn,waldur_sdk=trace`) wins over `level`, which is meant for the agent's own
/// lines: libraries below it speak from warnings on.
///
/// A second call in one process changes nothing.
///
/// # Errors
/// When `RUST_LOG` cannot be read.
pub fn init(format: LogFormat, level: LogLevel) -> Result<Log, String> {
    let targets = match env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => {
            text.parse().map_err(|_| "RUST_LOG: must be levels such as info or warn,waldur_sdk=debug".to_owned())?
        }
        _ => Targets::new().with_default(LevelFilter::WARN).with_target("waldur", as_tracing(level)),
    };
    let log = Log::begin();
    let sink = log.sink.clone();
    let lines = fmt::layer().with_writer(move || sink.clone()).with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    let begun = match format {
        LogFormat::Text => registry.with(lines.with_target(false).compact().with_filter(targets)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false).with_current_span(false);
            registry.with(lines.with_filter(targets)).try_init()
        }
    };
    drop(begun);
    Ok(log)
}

/// The log of the program. Dropping it waits, but not for ever, until what was said is written.
#[must_use = "what was said last is lost unless this is kept until the end"]
#[derive(Debug)]
pub struct Log {
    sink: Sink,
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
    fn begin() -> Self {
        let (lines, waiting) = mpsc::sync_channel(ROOM);
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Sink { lines, dropped: dropped.clone() };
        // Ends with the process.
        thread::spawn(move || write_all(&waiting, &dropped));
        Self { sink }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
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

fn as_tracing(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warning => Level::WARN,
        LogLevel::Error | LogLevel::Critical => Level::ERROR,
    }
}
