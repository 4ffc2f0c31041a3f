//! What is said about a failed order, and to whom.

use super::policy::OrderPolicy;
use crate::{
    client::ErrorDetails,
    error::Error,
    rest::redact::{escape, truncate},
};

/// The most that is sent of a message or a traceback, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Stands for everything that a customer is not to see. The beginning is what other tools look for.
pub(super) const GENERIC: &str =
    "Internal backend error. Please contact the service provider if the problem does not go away.";

/// The texts for `set_state_erred` (core.md §2.4): the customer's message where the error has one, else the technical
/// one or, if details are not exposed, a fixed sentence. The "traceback" is the chain of causes, and empty when
/// details are not exposed.
pub(super) fn describe(error: &Error, policy: &OrderPolicy) -> ErrorDetails {
    let message = match error.customer_message() {
        Some(message) => message.to_owned(),
        None if !policy.expose_error_details => GENERIC.to_owned(),
        None => match error.code() {
            Some(code) => format!("{} ({code})", error.message()),
            None => error.message().to_owned(),
        },
    };
    let traceback = if policy.expose_error_details { error.chain().join("\ncaused by: ") } else { String::new() };
    ErrorDetails::new(cap(&message)).with_traceback(cap_lines(&traceback))
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
