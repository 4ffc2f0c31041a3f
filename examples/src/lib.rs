//! The reference agent, in parts that other programs may copy and tests can drive.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the YAML file of the Python agent, read with budgets, all problems at once |
//! | [`site`] | from settings to clients, back ends and processors; where requests go is the caller's choice |
//! | [`agent`] | passes over all offerings, the pause between them, stopping at a safe point |
//! | [`exit`] | what the exit code says |
//! | [`log`] | `tracing` as text or JSON |
//! | [`demo`] | a Waldur and a gateway in memory, with customers who order |
//! | [`live`] | the same against a real gateway |
//! | [`serve`] | any fake as a server on a socket |

pub mod agent;
pub mod config;
pub mod demo;
pub mod exit;
pub mod live;
pub mod log;
pub mod registration;
pub mod serve;
pub mod site;
