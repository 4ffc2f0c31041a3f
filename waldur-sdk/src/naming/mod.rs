//! Names: pure functions, no I/O.

mod slug;

pub use slug::SlugNaming;
