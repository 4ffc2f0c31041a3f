//! What Harbor says when it says no.

use std::fmt;

/// A refusal: status, code and sentence, as in the body of an error. Also what the methods that act as an operator or a
/// container client return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refused {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BAD_REQUEST", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "UNAUTHORIZED", "unauthorized")
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "FORBIDDEN", message)
    }

    /// 403 as well, but for what nobody may do now: read-only mode, a full quota.
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "DENIED", message)
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "CONFLICT", message)
    }

    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self::new(412, "PRECONDITION", message)
    }

    /// What the server finds before it asks whether the caller may.
    pub(super) fn invalid(problems: &[String]) -> Self {
        Self::new(422, "UNPROCESSABLE_ENTITY", format!("validation failure list:\n{}", problems.join("\n")))
    }

    /// Everything that Harbor did not foresee; its log knows more.
    pub(super) fn internal() -> Self {
        Self::new(500, "UNKNOWN", "internal server error")
    }

    /// A status alone: some refusals have nothing to say.
    pub(super) fn wordless(status: u16) -> Self {
        Self::new(status, "", "")
    }

    /// The server has an answer, the fake does not.
    pub(super) fn unmodelled() -> Self {
        Self::new(501, "NOT_MODELLED", "FakeHarbor does not know this")
    }

    pub(super) fn is_unmodelled(&self) -> bool {
        self.status == 501
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The code, e.g. `NOT_FOUND`; empty where the server sends no body.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}

impl std::error::Error for Refused {}
