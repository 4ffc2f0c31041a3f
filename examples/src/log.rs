//! Log lines on stderr, as text or as one JSON object a line. No secret gets this far: errors and events of the SDK
//! carry none.

use std::{env, io, io::IsTerminal as _};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use waldur_sdk::settings::LogLevel;

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Begins to log. `RUST_LOG` (`debug`, `warn,waldur_sdk=trace`) wins over `level`, which is meant for the agent's own
/// lines: libraries below it speak from warnings on.
///
/// A second call in one process changes nothing.
///
/// # Errors
/// When `RUST_LOG` cannot be read.
pub fn init(format: LogFormat, level: LogLevel) -> Result<(), String> {
    let targets = match env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => {
            text.parse().map_err(|_| "RUST_LOG: must be levels such as info or warn,waldur_sdk=debug".to_owned())?
        }
        _ => Targets::new().with_default(LevelFilter::WARN).with_target("waldur", as_tracing(level)),
    };
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    let begun = match format {
        LogFormat::Text => registry.with(lines.with_target(false).compact().with_filter(targets)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false).with_current_span(false);
            registry.with(lines.with_filter(targets)).try_init()
        }
    };
    drop(begun);
    Ok(())
}

fn as_tracing(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warning => Level::WARN,
        LogLevel::Error | LogLevel::Critical => Level::ERROR,
    }
}
