//! How far a failed exchange came, read from the chain of causes.

use std::{error::Error, io};

use super::{TransportError, TransportErrorKind};

/// No head of an answer came. `proxied` says that the way led through a proxy.
pub(super) fn sending(cause: ::reqwest::Error, proxied: bool) -> TransportError {
    let kind = if cause.is_builder() {
        TransportErrorKind::InvalidRequest
    } else if cause.is_connect() {
        if cause.is_timeout() {
            TransportErrorKind::Connect
        } else if causes(&cause).any(is_tls) {
            TransportErrorKind::Tls
        } else if causes(&cause).any(is_exhausted) {
            TransportErrorKind::Local
        } else if proxied {
            TransportErrorKind::Proxy
        } else {
            TransportErrorKind::Connect
        }
    } else if cause.is_timeout() {
        TransportErrorKind::Timeout
    } else if causes(&cause).any(is_oversized_head) {
        TransportErrorKind::TooLarge
    } else {
        TransportErrorKind::Interrupted
    };
    wrap(kind, cause)
}

/// The head came, the body did not come whole.
pub(super) fn reading(cause: ::reqwest::Error) -> TransportError {
    let kind = if cause.is_timeout() { TransportErrorKind::Timeout } else { TransportErrorKind::Interrupted };
    wrap(kind, cause)
}

fn wrap(kind: TransportErrorKind, cause: ::reqwest::Error) -> TransportError {
    // The URL holds the query, and the query may hold a secret.
    TransportError::new(kind).with_source(cause.without_url())
}

fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    #[cfg(any(feature = "rustls", feature = "rustls-ring"))]
    if cause.is::<rustls::Error>() {
        return true;
    }
    #[cfg(feature = "native-tls")]
    if cause.is::<native_tls::Error>() {
        return true;
    }
    let _ = cause;
    false
}

/// Whether this side, not the other, has no file descriptors or ports left. The library has no names for the first two:
/// they are `ENFILE` and `EMFILE` on every Unix.
fn is_exhausted(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|cause| {
        cause.kind() == io::ErrorKind::AddrNotAvailable || (cfg!(unix) && matches!(cause.raw_os_error(), Some(23 | 24)))
    })
}

/// The type behind this is hyper's, whose question for it exists only with the server's half compiled in. Should the
/// text change, the failure counts as a broken connection, which is no less safe.
fn is_oversized_head(cause: &(dyn Error + 'static)) -> bool {
    cause.to_string() == "message head is too large"
}

/// The error and everything below it. An `io::Error` is entered as well: its `source` leaves out what it wraps.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error: &'a (dyn Error + 'static) = next?;
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
        Some(error)
    })
}
