//! For tests, yours included: transports that need no server.

mod script;

pub use script::{Answer, Recorded, ScriptedTransport};
