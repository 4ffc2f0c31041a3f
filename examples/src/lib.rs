//! The reference agent, in parts that other programs may copy and tests can drive.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the YAML file of the Python agent, read with budgets, all problems at once |
//! | [`site`] | from settings to clients, back ends and processors; where requests go is the caller's choice |
//! | [`modes`] | what an agent can do for an offering: one file for each mode |
//! | [`agent`] | units at work, stopping at a safe point, heartbeat, health, metrics |
//! | [`cli`] | the command line, a file for each subcommand |
//! | [`exit`] | what the exit code says |
//! | [`log`] | `tracing` as text or JSON |
//! | [`progress`] | passes on a terminal |
//! | [`demo`] | a Waldur and a gateway in memory, with customers who order |
//! | [`live`] | the same against a real gateway |
//! | [`serve`] | any fake as a server on a socket |

pub mod agent;
pub mod cli;
pub mod config;
pub mod demo;
pub mod exit;
pub mod live;
pub mod log;
pub mod modes;
pub mod progress;
pub mod registration;
pub mod serve;
pub mod site;

/// What the front page shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
