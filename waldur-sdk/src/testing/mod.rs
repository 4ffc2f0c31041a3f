//! What a back end, or a service that embeds the SDK, is tested with. Nothing here opens a socket or needs a runtime.

pub mod conformance;
mod memory;
mod script;

pub use memory::{MemoryBackend, MemoryObject, MemoryService};
pub use script::{Answer, Recorded, ScriptedTransport};
pub mod waldur;
