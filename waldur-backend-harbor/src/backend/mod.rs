//! The back end: one project for each resource.
