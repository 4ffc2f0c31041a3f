//! A typed client of Harbor's v2 API, usable without the rest of the SDK.
