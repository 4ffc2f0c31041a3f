//! Every method of a back end and of its facets, listed once.
//!
//! Three things stand in front of a back end and need all of its methods: a pointer, a [layer](super::layers), an
//! [`Override`](super::Override). Each is a macro that writes one method, and [`operations!`] repeats it for all. A new
//! method of a trait gets a row here; without it, Clippy's `missing_trait_methods` fails.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{
    ApiKeys, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, Evaluation, Finding, Importer,
    Inspection, LimitChange, MarketplaceResource, MemberDirectory, OpContext, OptionChange, PendingOrder,
    PendingOrders, PlanChange, Progress, Removed, ResourceBackend, ResourceState, ResourceUpkeep, StatusControl, Usage,
    UsageSource, UserLimits, Verified,
};
use crate::{
    error::{Error, Result},
    types::{BackendId, Limits},
};

/// Hands the list to the macro `$write`, which is to match
///
/// - `to`, whatever stands behind its name here;
/// - `about`, what asks nobody: `method(arguments) -> answer`;
/// - `own`, what the back end itself is asked: `reads|writes "operation": method(arguments) -> answer`;
/// - each facet, as `accessor: Trait`: `reads|writes "operation": name in Override => method(arguments) -> answer`.
///
/// What is asked has the context before its arguments. `, each ids` is said of an answer that has a part for each of them.
macro_rules! operations {
    ($write:ident $($to:tt)*) => {
        $write! {
            to { $($to)* }
            about {
                backend_type() -> &'static str;
                capabilities() -> Capabilities;
                candidate_id(resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId>;
            }
            own {
                reads "ping": ping() -> Result<()>;
                writes "create": create(request: &CreateRequest) -> Result<Progress<Verified<Created>>>;
                reads "get": get(id: &BackendId) -> Result<Option<ResourceState>>;
                writes "delete": delete(request: &DeleteRequest) -> Result<Progress<Verified<Removed>>>;
                reads "inspect": inspect(inspection: &Inspection<'_>) -> ById<Option<ResourceState>>, each inspection.ids;
                writes "set_limits": set_limits(change: &LimitChange) -> Result<Progress<Verified<Limits>>>;
                writes "update_options": update_options(change: &OptionChange) -> Result<Progress<()>>;
                writes "update_plan": update_plan(change: &PlanChange) -> Result<Progress<()>>;
                reads "evaluate": evaluate(order: &PendingOrder) -> Result<Evaluation>;
                reads "diagnose": diagnose() -> Vec<Finding>;
            }
            members: MemberDirectory {
                reads "members.list": members_list => list(ids: &[BackendId]) -> ById<Complete<String>>, each ids;
                writes "members.apply": members_apply =>
                    apply(resource: &MarketplaceResource, id: &BackendId, plan: &MembershipPlan)
                    -> Result<Vec<MemberOutcome>>;
                writes "members.reconcile": members_reconcile =>
                    reconcile(resource: &MarketplaceResource, id: &BackendId, members: &[Grant])
                    -> Result<Vec<MemberOutcome>>;
                writes "members.update_attributes": members_update_attributes =>
                    update_attributes(member: &Grant) -> Result<()>;
                reads "members.assigned_names": members_assigned_names =>
                    assigned_names(people: &[UsernameRequest]) -> Result<BTreeMap<OfferingUserUuid, Personal>>;
            }
            usage: UsageSource {
                reads "usage": usage_measure => usage(ids: &[BackendId], period: Period)
                    -> BTreeMap<BackendId, Usage>, each ids;
            }
            status: StatusControl {
                writes "set_status": set_status =>
                    set_status(resource: &MarketplaceResource, id: &BackendId, status: Status) -> Result<()>;
            }
            user_limits: UserLimits {
                reads "user_limits.list": user_limits_list => list(ids: &[BackendId])
                    -> ById<BTreeMap<String, Limits>>, each ids;
                writes "user_limits.set": user_limits_set =>
                    set(resource: &MarketplaceResource, id: &BackendId, username: &str, limits: &Limits) -> Result<()>;
            }
            upkeep: ResourceUpkeep {
                reads "upkeep.is_behind": upkeep_is_behind =>
                    is_behind(id: &BackendId, about: &Surroundings) -> Result<bool>;
                writes "upkeep.sync_project": upkeep_sync_project =>
                    sync_project(id: &BackendId, about: &Surroundings) -> Result<()>;
                writes "upkeep.sync_end_date": upkeep_sync_end_date =>
                    sync_end_date(id: &BackendId, about: &Surroundings) -> Result<EndDate>;
                reads "upkeep.effective_id": upkeep_effective_id =>
                    effective_id(id: &BackendId, about: &Surroundings) -> Result<Option<String>>;
            }
            keys: ApiKeys {
                writes "keys.mint": keys_mint =>
                    mint(resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey>;
                writes "keys.revoke": keys_revoke =>
                    revoke(resource: &MarketplaceResource, id: &BackendId, client_id: &str) -> Result<()>;
                writes "keys.rotate": keys_rotate =>
                    rotate(resource: &MarketplaceResource, id: &BackendId, client_id: &str) -> Result<IssuedKey>;
                writes "keys.prune": keys_prune =>
                    prune(resource: &MarketplaceResource, id: &BackendId, known: &Complete<String>) -> Result<u32>;
                reads "keys.prunable": keys_prunable =>
                    prunable(resource: &MarketplaceResource, id: &BackendId) -> Result<Option<BTreeSet<String>>>;
            }
            importer: Importer {
                reads "importer.list": importer_list => list() -> Result<Complete<Importable>>;
            }
            pending: PendingOrders {
                reads "pending.check": pending_check => check(work: &PendingWork) -> Result<Progress<Settled>>;
            }
        }
    };
}
pub(super) use operations;

/// The ids of a row, if it is one on many.
macro_rules! ids {
    () => {
        &[]
    };
    ($ids:expr) => {
        $ids
    };
}
pub(super) use ids;

/// What an operation answers: it can say that it failed as a whole.
pub(super) trait Answer: Send {
    /// The answer of an operation, on `ids` if it is one on many, that came to nothing.
    fn failed(error: Error, ids: &[BackendId]) -> Self;

    /// That of a facet which is not there.
    fn no_facet(ids: &[BackendId]) -> Self
    where
        Self: Sized,
    {
        Self::failed(Error::unsupported("this facet"), ids)
    }
}

impl<T: Send> Answer for Result<T> {
    fn failed(error: Error, _ids: &[BackendId]) -> Self {
        Err(error)
    }
}

impl<T: Send> Answer for ById<T> {
    fn failed(error: Error, ids: &[BackendId]) -> Self {
        ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect()
    }
}

impl Answer for BTreeMap<BackendId, Usage> {
    fn failed(error: Error, ids: &[BackendId]) -> Self {
        ids.iter().map(|id| (id.clone(), Usage::Unreadable(error.clone()))).collect()
    }
}

impl Answer for Vec<Finding> {
    fn failed(error: Error, _ids: &[BackendId]) -> Self {
        vec![Finding::of_result("diagnose", Err(error))]
    }
}

/// A pointer to a back end is one, with the facets of what it points to.
macro_rules! pointer {
    (
        to { $pointer:ty }
        about { $($about:ident($($key:ident: $value:ty),*) -> $is:ty;)* }
        own { $(
            $_access:ident $_name:literal: $own:ident($($arg:ident: $type:ty),*) -> $answer:ty $(, each $_ids:expr)?;
        )* }
        $($accessor:ident: $facet:ident { $($_operations:tt)* })*
    ) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<B: ResourceBackend + ?Sized> ResourceBackend for $pointer {
            $(fn $about(&self $(, $key: $value)*) -> $is {
                (**self).$about($($key),*)
            })*
            $(async fn $own(&self, cx: &OpContext $(, $arg: $type)*) -> $answer {
                (**self).$own(cx $(, $arg)*).await
            })*
            $(fn $accessor(&self) -> Option<&dyn $facet> {
                (**self).$accessor()
            })*
        }
    };
}

operations!(pointer Arc<B>);
operations!(pointer Box<B>);
