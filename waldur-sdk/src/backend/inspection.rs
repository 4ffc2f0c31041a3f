//! What a back end is asked about its objects.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::request::MarketplaceResource;
use crate::types::BackendId;

/// A question about objects: which ones, what about them, and what Waldur has about them already.
///
/// ```
/// # use waldur_sdk::{backend::{Aspects, Inspection, OpContext, ResourceBackend}, types::BackendId};
/// # async fn example(backend: &dyn ResourceBackend, cx: &OpContext, ids: &[BackendId]) {
/// let states = backend.inspect(cx, &Inspection::of(ids, Aspects::ALL)).await;
/// # }
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Inspection<'a> {
    /// The ids of the objects.
    pub ids: &'a [BackendId],
    /// What is wanted of them.
    pub aspects: Aspects,
    /// What Waldur has about their resources. A membership synchronisation gives it; other callers may give nothing.
    pub records: &'a dyn Records,
    /// All objects that the same pass asks about, if this is a portion of them ([`Capabilities::in_portions`]).
    ///
    /// [`Capabilities::in_portions`]: super::Capabilities::in_portions
    pub pass: Option<&'a PassIds>,
}

impl<'a> Inspection<'a> {
    /// Asks about these objects, and tells nothing of their resources.
    pub fn of(ids: &'a [BackendId], aspects: Aspects) -> Self {
        Self { ids, aspects, records: &(), pass: None }
    }

    /// Tells what Waldur has about their resources.
    #[must_use]
    pub fn with_records(mut self, records: &'a dyn Records) -> Self {
        self.records = records;
        self
    }

    /// Is a portion of a pass.
    #[must_use]
    pub fn in_pass(mut self, pass: &'a PassIds) -> Self {
        self.pass = Some(pass);
        self
    }
}

impl fmt::Debug for Inspection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection")
            .field("ids", &self.ids)
            .field("aspects", &self.aspects)
            .field("pass", &self.pass)
            .finish_non_exhaustive()
    }
}

/// Which parts of a [`ResourceState`](super::ResourceState) are wanted; reading less may cost less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aspects {
    /// Limits.
    pub limits: bool,
    /// Metadata.
    pub metadata: bool,
}

impl Aspects {
    /// Everything.
    pub const ALL: Self = Self { limits: true, metadata: true };
    /// Whether it exists, and whose it is.
    pub const EXISTENCE: Self = Self { limits: false, metadata: false };
}

/// What Waldur has about resources, by the id of the object. It is put together when it is asked for, so it costs
/// nothing if nobody asks.
pub trait Records: Send + Sync {
    /// The resources that have this id: none where that is not known, and more than one where several share an object.
    fn of(&self, id: &BackendId) -> Vec<MarketplaceResource>;
}

/// Knows nothing.
impl Records for () {
    fn of(&self, _id: &BackendId) -> Vec<MarketplaceResource> {
        Vec::new()
    }
}

/// One resource for each id.
impl Records for BTreeMap<BackendId, MarketplaceResource> {
    fn of(&self, id: &BackendId) -> Vec<MarketplaceResource> {
        self.get(id).cloned().into_iter().collect()
    }
}

/// The ids of all objects that one pass asks about, a portion at a time. A back end that answers from one listing keeps
/// it as long as this value is the same: clones are equal to each other, and different from those of any other pass,
/// whatever the ids are.
#[derive(Clone)]
pub struct PassIds(Arc<[BackendId]>);

impl PassIds {
    /// A pass over these.
    pub fn new(ids: impl IntoIterator<Item = BackendId>) -> Self {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids.into())
    }

    /// The ids, each once.
    pub fn ids(&self) -> &[BackendId] {
        &self.0
    }

    /// Whether an id, or what may be one, is among them.
    pub fn contains(&self, id: &str) -> bool {
        self.0.binary_search_by(|one| one.as_str().cmp(id)).is_ok()
    }
}

impl PartialEq for PassIds {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PassIds {}

impl fmt::Debug for PassIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassIds").field("ids", &self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_pass_is_equal_to_itself_and_not_to_the_next_one_over_the_same_ids() {
        let ids = || ["b", "a", "b", "A"].map(|id| BackendId::new(id).unwrap());
        let pass = PassIds::new(ids());
        assert_eq!(pass.ids().iter().map(BackendId::as_str).collect::<Vec<_>>(), ["A", "a", "b"]);
        assert!(pass.contains("a") && pass.contains("A") && !pass.contains("B") && !pass.contains(""));
        assert_eq!(pass, pass.clone());
        assert_ne!(pass, PassIds::new(ids()));
    }
}
