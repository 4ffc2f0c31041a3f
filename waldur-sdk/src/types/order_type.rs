//! What orders ask for.

use crate::open_enum;

open_enum! {
    /// What an order asks for (core.md §1.5).
    pub enum OrderType {
        /// A new resource.
        Create = "Create",
        /// Other limits, another plan or other options.
        Update = "Update",
        /// The end of a resource.
        Terminate = "Terminate",
        /// A terminated resource back.
        Restore = "Restore",
    }
}
