//! Capabilities of administrators (radosgw-api.md §2).

use http::Method;
use waldur_sdk::{Error, Result};

use super::{
    RadosGwClient, Uid,
    model::{Cap, CapKind, CapPerm},
};

/// Calls on the capabilities of a user.
#[derive(Clone, Copy, Debug)]
pub struct Caps<'a>(pub(super) &'a RadosGwClient);

impl Caps<'_> {
    /// Adds capabilities and answers all that the user then has.
    ///
    /// # Errors
    /// `NotFound`; `Config` as [`NewUser::with_caps`](super::NewUser::with_caps).
    pub async fn add(&self, uid: &Uid, caps: &[Cap]) -> Result<Vec<Cap>> {
        self.send(Method::PUT, "caps.add", uid, caps).await
    }

    /// Takes capabilities away and answers all that the user then has. Taking what it has not is a success.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn remove(&self, uid: &Uid, caps: &[Cap]) -> Result<Vec<Cap>> {
        self.send(Method::DELETE, "caps.remove", uid, caps).await
    }

    async fn send(&self, method: Method, operation: &'static str, uid: &Uid, caps: &[Cap]) -> Result<Vec<Cap>> {
        if caps.is_empty() {
            return Err(Error::config("capabilities: must not be empty"));
        }
        check(caps)?;
        let call = self.0.call(method, operation, "/user").query("caps", "").query("uid", uid);
        let call = call.query("user-caps", wire(caps));
        self.0.in_turn(uid, call.send_json()).await
    }
}

/// The gateway ignores unknown permissions in silence, so only known ones are sent.
pub(super) fn check(caps: &[Cap]) -> Result<()> {
    let unknown = |cap: &&Cap| matches!(cap.kind, CapKind::Unknown(_)) || matches!(cap.perm, CapPerm::Unknown(_));
    match caps.iter().find(unknown) {
        None => Ok(()),
        Some(_) => Err(Error::config("capabilities: one of them is unknown to this version")),
    }
}

pub(super) fn wire(caps: &[Cap]) -> String {
    caps.iter().map(Cap::to_string).collect::<Vec<_>>().join(";")
}
