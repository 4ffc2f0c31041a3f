//! What Waldur has about the resources whose objects a back end is asked about.

use std::collections::BTreeMap;

use super::request::MarketplaceResource;
use crate::types::BackendId;

/// What Waldur has about resources, by the id of the object. Put together when it is asked for, so whoever does not ask
/// does not pay.
pub trait Records: Send + Sync {
    /// The resources that have this id: none where that is not known, and more than one where several share an object.
    fn of(&self, id: &BackendId) -> Vec<MarketplaceResource>;
}

/// One resource for each id; an empty map knows nothing.
impl Records for BTreeMap<BackendId, MarketplaceResource> {
    fn of(&self, id: &BackendId) -> Vec<MarketplaceResource> {
        self.get(id).cloned().into_iter().collect()
    }
}
