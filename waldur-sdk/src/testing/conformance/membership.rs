//! What a membership synchronisation relies on.

use std::collections::BTreeSet;

use super::{
    Outcome, Subject,
    checks::{cx, id_of, make},
    ensure,
    facets::{NO_PAUSE, set},
    must,
};
use crate::{
    backend::{
        Aspects, CreateRequest, EndDate, Grant, Inspection, LimitChange, MemberChange, MemberDirectory, MemberOutcome,
        MembershipPlan, Progress, ResourceBackend, ResourceState, Status, Surroundings,
    },
    error::ErrorClass,
    types::{BackendId, Limits},
};

const NO_MEMBERS: &str = "no members";

async fn seen(backend: &dyn ResourceBackend, id: &BackendId) -> Result<ResourceState, String> {
    let mut states = backend.inspect(&cx(), &Inspection::of(std::slice::from_ref(id), Aspects::ALL)).await;
    match states.remove(id) {
        Some(state) => must("inspect", state)?.ok_or_else(|| format!("{id} should exist")),
        None => Err(format!("inspect says nothing about {id}")),
    }
}

async fn names(backend: &dyn ResourceBackend, id: &BackendId) -> Result<Vec<String>, String> {
    let Some(members) = backend.members() else { return Err(NO_MEMBERS.to_owned()) };
    let list = members.list(&cx(), std::slice::from_ref(id)).await.remove(id);
    let mut names = must("listing members", list.ok_or_else(|| format!("the list does not name {id}"))?)?.into_items();
    names.sort();
    Ok(names)
}

async fn apply(
    members: &dyn MemberDirectory,
    made: &CreateRequest,
    plan: &MembershipPlan,
) -> crate::Result<Vec<MemberOutcome>> {
    members.apply(&cx(), &made.resource, &made.backend_id, plan).await
}

async fn add(backend: &dyn ResourceBackend, made: &CreateRequest, grants: Vec<Grant>) -> Result<(), String> {
    let Some(members) = backend.members() else { return Err(NO_MEMBERS.to_owned()) };
    for outcome in must("adding members", apply(members, made, &MembershipPlan::additions(grants)).await)? {
        must("adding a member", outcome.result)?;
    }
    Ok(())
}

pub(super) async fn members_of_many_objects_are_told_apart(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(members) = backend.members() else { return Ok(Some(NO_MEMBERS)) };
    let (made, other) = (make(subject, 60).await?, make(subject, 61).await?.backend_id);
    let one = made.backend_id.clone();
    add(&*backend, &made, vec![Grant::new("alice")]).await?;
    let lists = members.list(&cx(), &[one.clone(), other.clone()]).await;
    let of = |id: &BackendId| lists.get(id).and_then(|list| list.as_ref().ok()).map(|list| list.items().to_vec());
    ensure(of(&one) == Some(vec!["alice".to_owned()]), || format!("added alice, listed {:?}", of(&one)))?;
    ensure(of(&other) == Some(Vec::new()), || format!("added nobody to the other, listed {:?}", of(&other)))?;
    Ok(None)
}

pub(super) async fn an_outage_is_not_an_empty_list_of_members(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    if backend.members().is_none() {
        return Ok(Some(NO_MEMBERS));
    }
    let made = make(subject, 62).await?;
    let id = made.backend_id.clone();
    add(&*backend, &made, vec![Grant::new("alice")]).await?;
    if !subject.set_outage(true) {
        return Ok(Some("the subject cannot arrange an outage"));
    }
    let broken = subject.backend();
    let list = match broken.members() {
        Some(members) => members.list(&cx(), std::slice::from_ref(&id)).await.remove(&id),
        None => None,
    };
    subject.set_outage(false);
    ensure(!matches!(list, Some(Ok(_))), || "members were listed during an outage".into())?;
    ensure(names(&*backend, &id).await? == ["alice"], || "alice is gone after the outage".into())?;
    Ok(None)
}

pub(super) async fn members_of_an_absent_object_are_an_error(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(members) = backend.members() else { return Ok(Some(NO_MEMBERS)) };
    let resource = subject.resource(63);
    let absent = id_of(&*backend, &resource)?;
    let list = members.list(&cx(), std::slice::from_ref(&absent)).await.remove(&absent);
    ensure(!matches!(list, Some(Ok(_))), || "an object that does not exist has a list of members".into())?;
    let plan = MembershipPlan::additions(vec![Grant::new("alice")]);
    let added = members.apply(&cx(), &resource, &absent, &plan).await;
    let given = added.is_ok_and(|outcomes| outcomes.iter().any(|outcome| outcome.result.is_ok()));
    ensure(!given, || "access to an object that does not exist was given".into())?;
    Ok(None)
}

pub(super) async fn one_bad_member_stops_no_other(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(members) = backend.members() else { return Ok(Some(NO_MEMBERS)) };
    let made = make(subject, 64).await?;
    let id = made.backend_id.clone();
    // Whether names like these are taken is the system's affair; that the others are, is not.
    let bad = ["../etc", "a b/c", "", "x\u{0}y"].map(Grant::new);
    let grants = bad.into_iter().chain([Grant::new("alice"), Grant::new("bob")]).collect();
    let outcomes = must("adding members", apply(members, &made, &MembershipPlan::additions(grants)).await)?;
    for name in ["alice", "bob"] {
        let outcome = outcomes.iter().find(|outcome| outcome.username == name);
        ensure(outcome.is_some_and(|outcome| outcome.result.is_ok()), || {
            format!("{name} was not added because of others' names")
        })?;
    }
    let present = names(&*backend, &id).await?;
    ensure(["alice", "bob"].iter().all(|name| present.iter().any(|found| found == name)), || {
        "those who were added are not listed".into()
    })?;
    Ok(None)
}

pub(super) async fn roles_are_brought_in_line_and_then_left_alone(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(members) = backend.members() else { return Ok(Some(NO_MEMBERS)) };
    let made = make(subject, 65).await?;
    let id = made.backend_id.clone();
    let with = |roles: &[&str]| {
        let mut grant = Grant::new("alice");
        grant.roles = roles.iter().map(|role| (*role).to_owned()).collect::<BTreeSet<_>>();
        grant
    };
    add(&*backend, &made, vec![with(&["PROJECT.MEMBER"])]).await?;
    for roles in [["PROJECT.MANAGER"].as_slice(), &["PROJECT.MANAGER", "PROJECT.MEMBER"], &["PROJECT.MEMBER"]] {
        let grants = [with(roles)];
        for outcome in must("reconcile", members.reconcile(&cx(), &made.resource, &id, &grants).await)? {
            must("bringing roles in line", outcome.result)?;
        }
        let again = must("reconcile again", members.reconcile(&cx(), &made.resource, &id, &grants).await)?;
        let changed = again.iter().any(|outcome| !matches!(outcome.result, Ok(MemberChange::Unchanged)));
        ensure(!changed, || format!("roles {roles:?} are in line, yet brought in line again"))?;
    }
    ensure(names(&*backend, &id).await? == ["alice"], || "a change of roles changed who has access".into())?;
    Ok(None)
}

pub(super) async fn what_is_known_of_a_person_may_be_told_again(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(members) = backend.members() else { return Ok(Some(NO_MEMBERS)) };
    let made = make(subject, 66).await?;
    let id = made.backend_id.clone();
    let mut grant = Grant::new("alice");
    grant.attributes.insert("organization".to_owned(), "Example Org".into());
    add(&*backend, &made, vec![grant.clone()]).await?;
    for _twice in 0..2 {
        must("update_attributes", members.update_attributes(&cx(), &grant).await)?;
    }
    ensure(names(&*backend, &id).await? == ["alice"], || "attributes changed who has access".into())?;
    Ok(None)
}

pub(super) async fn a_pause_is_read_back_and_leaves_members_alone(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(status) = backend.status() else { return Ok(Some("no status")) };
    let made = make(subject, 67).await?;
    let id = made.backend_id.clone();
    if backend.members().is_some() {
        add(&*backend, &made, vec![Grant::new("alice")]).await?;
    }
    let before = seen(&*backend, &id).await?;
    if !set(status, &made, Status::Paused).await? {
        return Ok(Some(NO_PAUSE));
    }
    let found = seen(&*backend, &id).await?.status;
    ensure(found == Status::Paused, || format!("paused, and inspect reads {found:?}: it is paused in every cycle"))?;
    must("set_status", status.set_status(&cx(), &made.resource, &id, Status::Active).await)?;
    let after = seen(&*backend, &id).await?;
    ensure(after.status == Status::Active && after.limits == before.limits, || {
        format!("limits were {:?}, and are {:?} after a pause", before.limits, after.limits)
    })?;
    if backend.members().is_some() {
        ensure(names(&*backend, &id).await? == ["alice"], || "a pause changed who has access".into())?;
    }
    Ok(None)
}

pub(super) async fn downscaling_is_set_again_and_restored(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(status) = backend.status() else { return Ok(Some("no status")) };
    let made = make(subject, 68).await?;
    let id = made.backend_id.clone();
    for wanted in [Status::Downscaled, Status::Downscaled, Status::Paused, Status::Active] {
        if !set(status, &made, wanted).await? {
            continue;
        }
        let found = seen(&*backend, &id).await?.status;
        ensure(found == wanted, || format!("set {wanted:?}, reads {found:?}"))?;
    }
    Ok(None)
}

pub(super) async fn limits_read_as_they_were_set(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let request = make(subject, 69).await?;
    let wanted = subject.other_limits();
    let change = LimitChange::new(request.resource.clone(), request.backend_id.clone(), wanted.clone());
    match backend.set_limits(&cx(), &change).await {
        Ok(Progress::Done(_)) => {}
        Ok(Progress::Pending { .. }) => return Ok(Some("limits are changed later")),
        Err(error) if error.class() == ErrorClass::Unsupported => return Ok(Some("limits are not supported")),
        Err(error) => return Err(format!("set_limits failed: {error}")),
    }
    // Twice: a reading in other units, or one that grows, would be told to Waldur and come back as an order.
    for _twice in 0..2 {
        let found = seen(&*backend, &request.backend_id).await?.limits;
        for (component, limit) in &wanted {
            let same = found.get(component).is_none_or(|found| crate::backend::state::same(*found, *limit));
            ensure(same, || format!("{component} was set to {limit}, inspect reads {:?}", found.get(component)))?;
        }
    }
    Ok(None)
}

pub(super) async fn metadata_stay_as_they_are(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let id = make(subject, 70).await?.backend_id;
    let (first, second) = (seen(&*backend, &id).await?.metadata, seen(&*subject.backend(), &id).await?.metadata);
    ensure(first == second, || "metadata differ from one reading to the next: they are published for ever".into())?;
    Ok(None)
}

pub(super) async fn user_limits_are_replaced_and_taken_away(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(facet) = backend.user_limits() else { return Ok(Some("no limits of users")) };
    let made = make(subject, 71).await?;
    let id = made.backend_id.clone();
    if backend.members().is_some() {
        add(&*backend, &made, vec![Grant::new("alice")]).await?;
    }
    let of_alice = async || -> Result<Limits, String> {
        let list = facet.list(&cx(), std::slice::from_ref(&id)).await.remove(&id);
        let list = must("listing limits of users", list.ok_or_else(|| format!("the list does not name {id}"))?)?;
        Ok(list.get("alice").cloned().unwrap_or_default())
    };
    ensure(of_alice().await?.is_empty(), || "a user without limits has some".into())?;
    for limits in [subject.limits(), subject.other_limits(), Limits::new(), Limits::new()] {
        must("setting limits of a user", facet.set(&cx(), &made.resource, &id, "alice", &limits).await)?;
        let found = of_alice().await?;
        ensure(found == limits, || format!("set {limits:?} for a user, reads {found:?}"))?;
    }
    Ok(None)
}

pub(super) async fn upkeep_of_what_is_in_step_changes_nothing(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(upkeep) = backend.upkeep() else { return Ok(Some("no upkeep")) };
    let request = make(subject, 72).await?;
    let mut about = Surroundings::new(request.resource.clone());
    let id = &request.backend_id;
    for round in 0..3 {
        must("sync_project", upkeep.sync_project(&cx(), id, &about).await)?;
        let date = must("sync_end_date", upkeep.sync_end_date(&cx(), id, &about).await)?;
        let effective = must("effective_id", upkeep.effective_id(&cx(), id, &about).await)?;
        if let EndDate::Set(date) = date {
            ensure(round == 0 || date == about.resource.end_date, || {
                "Waldur's last day is in line, yet changed again".into()
            })?;
            about.resource.end_date = date;
        }
        ensure(round == 0 || effective.is_none() || effective == about.effective_id, || {
            "the effective id changes from one look to the next".into()
        })?;
        about.effective_id = effective.or(about.effective_id);
    }
    Ok(None)
}
