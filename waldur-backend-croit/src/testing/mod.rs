//! A fake RadosGW and a [fake croit](FakeCroit), for tests. Feature `testing`.
//!
//! [`FakeRadosGw`] is an [`HttpTransport`] without a socket: hand it to a client where the real stack would go. It
//! holds users, keys, caps, quotas, buckets and the usage log, and answers the Admin Ops API of Ceph 16.2 from them,
//! byte for byte where that is known.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use waldur_backend_croit::testing::{FakeRadosGw, SeedUser};
//!
//! let gateway = FakeRadosGw::builder().seed(7).build();
//! gateway.add_user(SeedUser::new("legacy").key("LEGACYACCESSKEY00001", "legacy-secret"))?;
//! gateway.create_bucket("legacy", "results")?;
//! gateway.put_object("legacy", "results", "run-1", 5_000)?;
//!
//! // The client under test signs with `gateway.access_key()` and `gateway.secret_key()` and sends through
//! // `gateway.clone()`. Afterwards:
//! assert_eq!(gateway.unsigned_requests(), 0);
//! assert!(gateway.unmodelled().is_empty());
//! assert!(gateway.duplicate_stamps().is_empty());
//! assert!(gateway.orphans(&["legacy"]).is_empty());
//! # Ok(()) }
//! ```
//!
//! # What it is built from
//! Recorded exchanges with Ceph 16.2.15, all of them replayed against it in `tests/fake_radosgw`, and what
//! radosgw-api.md says of them. What these leave open was measured on a running 16.2.15; such places say "measured",
//! and the measurements are scripts in `tests/fake_radosgw/measured` that run against the fake and, when one is at hand,
//! against a real gateway.
//!
//! # What to expect
//! - **Signatures** are verified for real, over the query as the gateway rebuilds it. A request that the fake accepts
//!   is one that the gateway accepts.
//! - **Success has no content type** on user, bucket and usage calls; errors and metadata have one. XML on request.
//! - **Lists** come in the gateway's hash order, the very same order as there, with the same markers. A page may be
//!   empty although the one before said that it is truncated.
//! - **Statistics of a user** are those of the last `sync=true`; those of a bucket are always right.
//! - **Writes to one user that overlap**: one wins, the others answer 500 `UnknownError` and change nothing.
//!   [`FakeRadosGwBuilder::write_overlap`] turns this off.
//! - **Creates that overlap are not exclusive**: each answers 200 with keys of its own, and the last one's record
//!   stands, so that all other keys are dead. Nor are e-mail and access key unique then. A delete that overlaps a
//!   modification answers 200, and the user is there again, with keys that cannot log in. (All measured;
//!   [`FakeRadosGwBuilder::exclusive_creates`] makes creates exclusive.)
//! - **Every write that is acknowledged is kept**, unless a test says otherwise by [`FakeRadosGw::lose_writes`]: the
//!   real gateway now and then loses one when several processes write to one user.
//! - **Dangerous calls are dangerous**: `DELETE ?quota` deletes the user, and so does any delete whose first
//!   sub-resource in the order of sending is not its own (`DELETE ?sync&caps`); `?key` with a uid that nobody has changes
//!   or deletes the key of whoever holds it; `DELETE /admin/usage` without a user forgets everybody.
//!
//! A request whose future is dropped before it is done was not carried out. For faults on the wire (lost answers,
//! delays, broken bodies), put layers around it.
//!
//! # What it is not
//! It does not have: S3 over the wire (the tenant's side are methods: [`put_object`](FakeRadosGw::put_object) …), SigV2
//! and presigned requests, `format=html`, JSON with mistakes that the gateway's parser forgives, multipart uploads,
//! versioning, bucket policies, renames, buckets that move between tenants, temporary URLs, `check_on_raw`, keys in
//! `POST ?subuser`, writes and other sections of `/admin/metadata`, `/admin/log` and `/admin/config` for those who may.
//! A call that it does not know is answered `501 NotModelledByFakeRadosGw` and listed in [`FakeRadosGw::unmodelled`]: a
//! test should find that empty. `/admin/info`, `/admin/ratelimit` and `/admin/account` are unknown to 16.2 itself and
//! answer 405.
//!
//! Where the gateway prints memory that it never initialised (an unreadable `max-buckets` or `max-size-kb`), the fake
//! prints one number out of the recordings. The names of XML elements are known for users, keys, caps, quotas, lists
//! and errors; those in the statistics of buckets are guessed.
//!
//! [`HttpTransport`]: waldur_sdk::rest::HttpTransport

mod buckets;
mod croit;
mod fake;
mod inspect;
mod keys;
mod listing;
mod mint;
mod operation;
mod placement;
mod quotas;
mod records;
mod refused;
mod signature;
mod state;
mod tenant;
mod usage;
mod users;
mod wire;

pub use croit::{FakeCroit, FakeCroitBuilder};
pub use fake::{FakeRadosGw, FakeRadosGwBuilder};
pub use inspect::{BucketView, KeyView, SeedUser, UserEdit, UserView};
pub use records::{Caps, Quota};
pub use refused::Refused;
pub use usage::Traffic;
