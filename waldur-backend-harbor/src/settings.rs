//! `backend_settings` of a Harbor offering (harbor.md §1).
