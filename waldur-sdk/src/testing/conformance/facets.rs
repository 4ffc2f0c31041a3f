//! Abilities that not every back end has.

use std::collections::BTreeSet;

use super::{
    Outcome, Subject,
    checks::{cx, id_of, make},
    ensure, must,
};
use crate::{
    backend::{
        CreateRequest, Grant, MarketplaceResource, MemberDirectory, MembershipPlan, ResourceBackend, Status,
        StatusControl,
    },
    error::ErrorClass,
    rest::Complete,
    types::BackendId,
};

pub(super) async fn members_are_added_and_removed(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(members) = backend.members() else { return Ok(Some("no members")) };
    let request = make(subject, 30).await?;
    let (resource, id) = (request.resource, request.backend_id);
    let plan = MembershipPlan::additions(vec![Grant::new("alice"), Grant::new("bob")]);
    for _twice in 0..2 {
        let outcomes = must("adding members", members.apply(&cx(), &resource, &id, &plan).await)?;
        ensure(outcomes.len() == 2, || format!("two members, {} outcomes", outcomes.len()))?;
        for outcome in outcomes {
            must(&format!("adding {}", outcome.username), outcome.result)?;
        }
    }
    let present = listed(members, &id).await?;
    let mut names = present.items().to_vec();
    names.sort();
    ensure(names == ["alice", "bob"], || format!("added alice and bob, listed {names:?}"))?;
    let removal = MembershipPlan::default().and_remove(&["bob".to_owned(), "nobody".to_owned()], &present);
    ensure(removal.removals() == ["bob"], || "who is not there is to be removed".into())?;
    for outcome in must("removing a member", members.apply(&cx(), &resource, &id, &removal).await)? {
        must("removing bob", outcome.result)?;
    }
    let present = listed(members, &id).await?;
    ensure(present.items() == ["alice"], || format!("removed bob, listed {:?}", present.items()))?;
    Ok(None)
}

async fn listed(members: &dyn MemberDirectory, id: &BackendId) -> Result<Complete<String>, String> {
    let mut lists = members.list(&cx(), std::slice::from_ref(id)).await;
    match lists.remove(id) {
        Some(list) => must("listing members", list),
        None => Err(format!("the list of members does not name {id}")),
    }
}

pub(super) async fn active_on_a_healthy_object_changes_nothing(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(status) = backend.status() else { return Ok(Some("no status")) };
    let request = make(subject, 31).await?;
    let before = must("get", backend.get(&cx(), &request.backend_id).await)?;
    must("set_status", status.set_status(&cx(), &request.resource, &request.backend_id, Status::Active).await)?;
    let after = must("get", backend.get(&cx(), &request.backend_id).await)?;
    let limits = |state: &Option<crate::backend::ResourceState>| state.as_ref().map(|state| state.limits.clone());
    ensure(limits(&before) == limits(&after), || "Active on a healthy object changed its limits".into())?;
    Ok(None)
}

pub(super) async fn status_is_set_and_restored(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(status) = backend.status() else { return Ok(Some("no status")) };
    let request = make(subject, 32).await?;
    for wanted in [Status::Paused, Status::Paused, Status::Active] {
        if !set(status, &request, wanted).await? {
            return Ok(Some(NO_PAUSE));
        }
        let state = must("get", backend.get(&cx(), &request.backend_id).await)?;
        let found = state.map(|state| state.status);
        ensure(found == Some(wanted), || format!("set {wanted:?}, reads {found:?}"))?;
    }
    Ok(None)
}

pub(super) const NO_PAUSE: &str = "the back end has no word for a pause";

/// Sets a status; `false` when the back end has no word for it.
pub(super) async fn set(status: &dyn StatusControl, of: &CreateRequest, wanted: Status) -> Result<bool, String> {
    match status.set_status(&cx(), &of.resource, &of.backend_id, wanted).await {
        Err(error) if error.class() == ErrorClass::Unsupported && wanted != Status::Active => Ok(false),
        outcome => must("set_status", outcome).map(|()| true),
    }
}

pub(super) async fn members_and_status_of_a_foreign_object_are_refused(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    if backend.members().is_none() && backend.status().is_none() && backend.user_limits().is_none() {
        return Ok(Some("no members, status or limits of users"));
    }
    let resource = subject.resource(75);
    let id = id_of(&*backend, &resource)?;
    if !subject.plant(&id, true).await {
        return Ok(Some("the subject cannot plant an object"));
    }
    let before = seen(&*backend, &id).await?;
    change_foreign(subject, &*backend, &resource, &id).await?;
    ensure(before == seen(&*backend, &id).await?, || "a stranger's object was changed".into())?;
    Ok(None)
}

/// What can be seen of an object. Nobody has to tell the members of a stranger's.
async fn seen(backend: &dyn ResourceBackend, id: &BackendId) -> Result<impl PartialEq + use<>, String> {
    let state = must("get", backend.get(&cx(), id).await)?;
    let members: Option<BTreeSet<_>> = match backend.members() {
        Some(members) => listed(members, id).await.map(|list| list.into_items().into_iter().collect()).ok(),
        None => None,
    };
    Ok((members, state.map(|state| (state.status, state.limits))))
}

async fn change_foreign(
    subject: &dyn Subject,
    backend: &dyn ResourceBackend,
    resource: &MarketplaceResource,
    id: &BackendId,
) -> Result<(), String> {
    if let Some(members) = backend.members() {
        let plan = MembershipPlan::additions(vec![Grant::new("alice")]);
        let added = members.apply(&cx(), resource, id, &plan).await;
        let given = added.is_ok_and(|outcomes| outcomes.iter().any(|outcome| outcome.result.is_ok()));
        ensure(!given, || "somebody was given access to a stranger's object".into())?;
        let mut member = Grant::new("alice");
        member.roles.insert("PROJECT.ADMIN".to_owned());
        let kept = members.reconcile(&cx(), resource, id, &[member]).await;
        let changed = kept.is_ok_and(|outcomes| outcomes.iter().any(|outcome| outcome.result.is_ok()));
        ensure(!changed, || "roles on a stranger's object were brought in line".into())?;
    }
    if let Some(status) = backend.status() {
        let paused = status.set_status(&cx(), resource, id, Status::Paused).await;
        ensure(paused.is_err(), || "a stranger's object was paused".into())?;
    }
    if let Some(limits) = backend.user_limits() {
        let set = limits.set(&cx(), resource, id, "alice", &subject.limits()).await;
        ensure(set.is_err(), || "limits of a user were set on a stranger's object".into())?;
    }
    Ok(())
}

pub(super) async fn import_lists_what_was_created(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(importer) = backend.importer() else { return Ok(Some("no import")) };
    let request = make(subject, 33).await?;
    let absent = id_of(&*backend, &subject.resource(34))?;
    let list = must("list", importer.list(&cx()).await)?;
    let has = |id: &BackendId| list.items().iter().any(|item| item.backend_id == *id);
    ensure(has(&request.backend_id), || "the list lacks an object that was created".into())?;
    ensure(!has(&absent), || "the list names an object that was never created".into())?;
    let item = list.items().iter().find(|item| item.backend_id == request.backend_id);
    let wrong = item.and_then(|item| item.limits.iter().find(|(name, limit)| request.limits.get(*name) != Some(limit)));
    ensure(wrong.is_none(), || format!("the list has another limit than was ordered: {wrong:?}"))?;
    if subject.set_outage(true) {
        let during = importer.list(&cx()).await;
        subject.set_outage(false);
        ensure(during.is_err(), || "a whole list was read during an outage".into())?;
    }
    Ok(None)
}
