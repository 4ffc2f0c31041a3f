//! Harbor itself, and its robot accounts.

use http::Method;
use waldur_sdk::{Result, rest::Pager};

use super::{
    HarborClient, listing,
    model::{Health, Robot, Statistics, SystemInfo},
};

/// Calls on Harbor itself.
#[derive(Clone, Copy, Debug)]
pub struct System<'a>(pub(super) &'a HarborClient);

impl System<'_> {
    /// How Harbor is. Answered to everybody, so that it proves no login, and with 200 when Harbor is not well.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn health(&self) -> Result<Health> {
        self.0.call(Method::GET, "system.health", "/health", &[]).must_exist().send_json().await
    }

    /// Version and settings. Answered to everybody; those who log in are told more.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn info(&self) -> Result<SystemInfo> {
        self.0.call(Method::GET, "system.info", "/systeminfo", &[]).must_exist().send_json().await
    }

    /// What there is, as far as the account may see it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn statistics(&self) -> Result<Statistics> {
        self.0.call(Method::GET, "system.statistics", "/statistics", &[]).send_json().await
    }

    /// The robot accounts of the system, without their secrets.
    pub fn robots(&self) -> Pager<Robot> {
        let call = self.0.call(Method::GET, "robots.list", "/robots", &[]);
        listing::pages(call, "name", |robot: Robot| robot, |robot| robot.id.to_string())
    }
}
