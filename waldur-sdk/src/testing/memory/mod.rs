//! A small back end with everything that the contract knows, for tests, for the demo, and as an example.
//!
//! [`MemoryService`] is the system: a JSON API over objects with limits, members and a status, carried by itself as
//! an [`HttpTransport`](crate::rest::HttpTransport). [`MemoryBackend`] is the back end over it. Because every step is
//! a request, faults, kill points and interleaving reach every step.

mod backend;
mod facets;
mod jobs;
mod people;
mod service;
mod usage;

pub use backend::MemoryBackend;
pub use service::{MemoryObject, MemoryService, MemoryUsage};
