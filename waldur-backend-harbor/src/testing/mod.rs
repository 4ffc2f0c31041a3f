//! A fake Harbor, for tests. Feature `testing`.
