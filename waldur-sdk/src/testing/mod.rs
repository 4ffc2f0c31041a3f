//! Fakes and layers for tests: of this crate, of back ends, and of programs that embed them.
//!
//! Everything here is a [`rest::HttpTransport`](crate::rest::HttpTransport) or works on one, so that a test needs no
//! socket, no port and no second thread.

pub mod waldur;
