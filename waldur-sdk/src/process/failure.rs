//! What is said about a failure, and to whom.

use std::{fmt, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use crate::{
    client::ErrorDetails,
    error::{Error, ErrorClass, ErrorKind, Result},
    rest::redact::{escape, truncate},
};

/// The most that is sent of a message or a traceback, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Stands for everything that a customer is not to see. The beginning is what other tools look for.
pub(super) const GENERIC: &str =
    "Internal backend error. Please contact the service provider if the problem does not go away.";

/// The texts for `set_state_erred` and `set_as_erred` (core.md §2.4): the customer's message where the error has one, else the technical
/// one or, if details are not exposed, a fixed sentence. The "traceback" is the chain of causes, and empty when
/// details are not exposed.
pub(super) fn describe(error: &Error, expose: bool) -> ErrorDetails {
    let message = match error.customer_message() {
        Some(message) => message.to_owned(),
        None if !expose => GENERIC.to_owned(),
        None => technical(error),
    };
    let traceback = if expose { error.chain().join("\ncaused by: ") } else { String::new() };
    ErrorDetails::new(cap(&message)).with_traceback(cap_lines(&traceback))
}

/// What failed and how, without the address: that is in the traceback.
fn technical(error: &Error) -> String {
    let mut text = error.message().to_owned();
    if !error.operation().is_empty() {
        text = format!("{}: {text}", error.operation());
    }
    if let Some(code) = error.code() {
        text = format!("{text} ({code})");
    }
    text
}

/// Writes an error with what came of it before it, and in `{:#}` its causes behind it.
pub(super) fn write_error(f: &mut fmt::Formatter<'_>, outcome: impl fmt::Display, error: &Error) -> fmt::Result {
    write!(f, "{outcome}: ")?;
    fmt::Display::fmt(error, f)
}

/// Writes a failure, and why Waldur was not told of it.
pub(super) fn write_not_reported(f: &mut fmt::Formatter<'_>, error: &Error, cause: &Error) -> fmt::Result {
    write_error(f, "failed", error)?;
    write_error(f, "; not reported", cause)
}

/// Whether something is left as it is because it is not ready yet, or because the caller wanted it so (a stop, a dry run),
/// and not because something is down, refused or wrong.
pub(super) fn waits(error: &Error) -> bool {
    let waits = matches!(error.kind(), ErrorKind::NotReady | ErrorKind::Cancelled | ErrorKind::DryRun);
    waits && error.class() == ErrorClass::NotReady
}

/// A panic of a back end is a bug like any other: it fails what it was at and nothing else (faults.md row 129). What it said may
/// hold anything and is not repeated; the process's panic hook has told the log.
pub(super) async fn shielded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(_panic) => Err(Error::new(ErrorKind::Other, "the back end panicked: this is a bug in it")),
    }
}

/// Of somebody about whom the back end said nothing, nothing is known.
pub(super) fn unsaid() -> Error {
    Error::not_ready("the back end did not say what became of a member")
}

fn cap(text: &str) -> String {
    let mut text = escape(text);
    truncate(&mut text, MAX_TEXT);
    text
}

fn cap_lines(text: &str) -> String {
    let mut text = text.lines().map(escape).collect::<Vec<_>>().join("\n");
    truncate(&mut text, MAX_TEXT);
    text
}
