//! A fake Harbor, for tests. Feature `testing`.
//!
//! [`FakeHarbor`] is an [`HttpTransport`] without a socket: hand it to a client where the real stack would go. It holds
//! projects, quotas, user groups, members, repositories with their artifacts and tags, robots, local users and settings,
//! and answers Harbor's v2 API from them, byte for byte where that is known.
//!
//! ```
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use waldur_backend_harbor::testing::{FakeHarbor, Image, SeedProject};
//!
//! let harbor = FakeHarbor::builder().version("v2.14.0").build();
//! harbor.add_project(SeedProject::new("legacy").quota(20 << 30).group("waldur-project-a", 2))?;
//! harbor.push("legacy", "team/app", Image::new("v1").layer("base", 5_000))?;
//!
//! // The client under test logs in with `harbor.robot_login()` and `harbor.robot_secret()`, and sends through
//! // `harbor.clone()`. Afterwards:
//! assert!(harbor.unmodelled().is_empty());
//! assert_eq!(harbor.requests_with_cookie(), 0);
//! assert!(harbor.orphans(&["legacy"]).is_empty());
//! assert_eq!(harbor.quota_of("legacy").map(|quota| (quota.hard, quota.used)), Some((20 << 30, 5_000)));
//! # Ok(()) }
//! # example().unwrap();
//! ```
//!
//! # What it is built from
//! Recorded exchanges with Harbor 2.9.0, with logins of its own and by OIDC, and after real pushes; all of them are
//! replayed against it in `tests/fake_harbor`. Where they say nothing: harbor.md, and the API's contract.
//!
//! # What to expect
//! - **403, 404 and 401** are as confusing as on the real server. To a robot, a project that does not exist is 403 on
//!   everything but `HEAD /projects`; to an administrator it is 404. A wrong password is 401, but a list of projects
//!   answers it with public projects, and `health` and `systeminfo` with what everybody may know.
//! - **Rights** of robots are checked call by call. Which rights a robot can have depends on [the
//!   release](Settings::version); a robot that a test [adds](FakeHarbor::add_robot) has the rights that the test gives.
//! - **Numbers**: a quota has an id of its own; a request that is refused because the name is taken uses up a number.
//! - **A limit in the body of a new project** is silently ignored when the caller lacks `project:create` in the system,
//!   or asks for 0; without [quotas](Settings::quota_per_project) there is no row at all.
//! - **Names**: a digits-only segment of a path is an id, unless `X-Is-Resource-Name` says that it is a name. A
//!   repository's name is decoded twice. A deleted project's name is free again.
//! - **Pages**: ten rows unless asked, 100 at most. The total of a list of members ignores the name that was asked for. From
//!   2.14 on `usergroups/search` has one page only, and takes `%` and `_` in the text for wildcards.
//! - **What is false or empty is left out** where the server leaves it out: `deletable`, a summary's quota, counts of zero.
//! - **Layers** count once in a project, and in each project again. With [late usage](Settings::late_usage), what is used is
//!   written down by [`flush_usage`](FakeHarbor::flush_usage) only.
//! - **Concurrent changes of one quota**: one wins, the others are told 500 and change nothing.
//!   [`FakeHarborBuilder::quota_overlap`] turns this off.
//! - **A session cookie** ([`Settings::session_cookie`]) makes every later write 403 for whoever sends it back.
//! - **Read-only mode** is 403 too, with the code `DENIED`.
//!
//! A request whose future is dropped before it is done was not carried out. For faults on the wire (lost answers,
//! delays, broken bodies, pages of a proxy), put layers around it.
//!
//! # What it is not
//! It has no registry over the wire: images come and go by methods ([`push`](FakeHarbor::push) …). It does not know
//! registries, replication, scanning, preheating, retention and immutability as rules, webhooks, logs, labels (they are
//! numbered, and not kept), garbage collection, proxy caches, LDAP, and groups of local users. A call that it does not
//! know is answered `501 NOT_MODELLED` and listed in [`FakeHarbor::unmodelled`]: a test should find that empty. The same
//! goes for keys of `q` and `sort` that it does not know.
//!
//! Inventions on which no test should depend:
//!
//! - sentences of 422 about bodies, beyond those recorded, also the one about a missing content type;
//! - a repository whose name was encoded once is not found;
//! - 500 if a group's name is taken by one of another kind, or is longer than its column;
//! - what members with lesser roles may do: a summary of the server's table;
//! - the counts of roles in a summary, except that of administrators;
//! - read-only mode, and the check for a token, come before everything else;
//! - the additions of an image are those of the recorded one.
//!
//! [`HttpTransport`]: waldur_sdk::rest::HttpTransport

mod access;
mod body;
mod configuration;
mod fake;
mod groups;
mod images;
mod inspect;
mod operation;
mod pages;
mod projects;
mod query;
mod quotas;
mod records;
mod refused;
mod repositories;
mod rights;
mod robots;
mod seed;
mod settings;
mod state;
mod system;
mod wire;

pub use access::Permission;
pub use fake::{FakeHarbor, FakeHarborBuilder};
pub use images::Image;
pub use inspect::{GroupView, MemberView, ProjectView, QuotaView};
pub use refused::Refused;
pub use seed::{RobotEdit, SeedProject, SeedRobot};
pub use settings::Settings;
