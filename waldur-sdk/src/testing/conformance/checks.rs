//! Names, lifecycle, ownership, certainty, limits.

use futures_util::future::join;
use uuid::Uuid;

use super::{Outcome, Subject, ensure, must};
use crate::{
    backend::{
        Aspects, Candidate, Collision, CreateRequest, Created, DeleteRequest, Inspection, LimitChange,
        MarketplaceResource, OpContext, OptionChange, Origin, Ownership, PlanChange, Progress, ResourceBackend,
        ResourceState, Verified,
    },
    error::{ErrorClass, Result},
    types::{Amounts, BackendId, JsonObject, Limit, Limits, OrderUuid, PlanUuid},
};

pub(super) fn cx() -> OpContext {
    OpContext::new("conformance")
}

pub(super) fn order(n: u32) -> OrderUuid {
    OrderUuid::new(Uuid::from_u128(0x0de7_0000 + u128::from(n)))
}

pub(super) fn id_of(backend: &dyn ResourceBackend, resource: &MarketplaceResource) -> Result<BackendId, String> {
    must("candidate_id", backend.candidate_id(resource, Candidate::FIRST))
}

pub(super) fn request(subject: &dyn Subject, backend: &dyn ResourceBackend, n: u32) -> Result<CreateRequest, String> {
    let resource = subject.resource(n);
    let id = id_of(backend, &resource)?;
    Ok(CreateRequest::new(order(n), resource, id).with_limits(subject.limits()))
}

fn done(what: &str, result: Result<Progress<Verified<Created>>>) -> Result<Created, String> {
    match must(what, result)? {
        Progress::Done(created) => Ok(created.into_inner()),
        Progress::Pending { .. } => Err(format!("{what} left work pending; the suite needs a back end that finishes")),
    }
}

/// Makes the `n`th resource.
pub(super) async fn make(subject: &dyn Subject, n: u32) -> Result<CreateRequest, String> {
    let backend = subject.backend();
    let request = request(subject, &*backend, n)?;
    done("create", backend.create(&cx(), &request).await)?;
    Ok(request)
}

pub(super) async fn read(backend: &dyn ResourceBackend, id: &BackendId) -> Result<Option<ResourceState>, String> {
    must("get", backend.get(&cx(), id).await)
}

pub(super) async fn present(backend: &dyn ResourceBackend, id: &BackendId) -> Result<ResourceState, String> {
    read(backend, id).await?.ok_or_else(|| format!("{id} should exist, get says that it does not"))
}

/// Whether an object has the wanted limits: all that the subject says are reported, and no other value of the rest.
pub(super) fn same_limits(subject: &dyn Subject, wanted: &Limits, found: &Limits) -> bool {
    let reported = subject.reported();
    wanted.iter().all(|(component, limit)| match found.get(component) {
        Some(found) => found == limit,
        None => !reported.contains(component),
    })
}

pub(super) async fn candidate_ids_are_pure(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let resource = subject.resource(1);
    let first = id_of(&*backend, &resource)?;
    ensure(first == id_of(&*backend, &resource)?, || "one resource is named differently each time".into())?;
    ensure(first == id_of(&*subject.backend(), &resource)?, || "two instances name one resource differently".into())?;
    ensure(first != id_of(&*backend, &subject.resource(2))?, || "two resources get one name".into())?;
    for collision in [Collision::NotUnique, Collision::Duplicate] {
        match backend.candidate_id(&resource, Candidate::FIRST.next(collision)) {
            Ok(next) => ensure(next != first, || "the next candidate is the same as the first".into())?,
            Err(error) => ensure(error.class() == ErrorClass::Duplicate, || {
                format!("having no more candidates has to be of class Duplicate, is {:?}", error.class())
            })?,
        }
    }
    Ok(None)
}

pub(super) async fn candidate_ids_of_hostile_slugs_are_valid_or_refused(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let long = "x".repeat(300);
    for slug in ["", " ", "..", "../etc", "a/b", "a\0b", "a\nb", "%2e%2e", "$x", "a?b#c", "ünïcode", long.as_str()] {
        let mut resource = subject.resource(3);
        slug.clone_into(&mut resource.slug);
        slug.clone_into(&mut resource.project.slug);
        slug.clone_into(&mut resource.customer.slug);
        // A refusal is right; a name has to be one that can be asked for without breaking out of its place.
        if let Ok(id) = backend.candidate_id(&resource, Candidate::FIRST)
            && let Err(error) = backend.get(&cx(), &id).await
        {
            ensure(error.class() == ErrorClass::Broken, || {
                format!("slug {slug:?} gave an id that the system cannot be asked about: {error}")
            })?;
            ensure(error.attempts() == 0, || format!("slug {slug:?} gave an invalid id that was sent: {error}"))?;
        }
    }
    Ok(None)
}

pub(super) async fn absent_is_proven(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let id = id_of(&*backend, &subject.resource(4))?;
    let found = read(&*backend, &id).await?;
    ensure(found.is_none(), || format!("{id} was never made, yet get finds it"))?;
    Ok(None)
}

pub(super) async fn create_is_stamped_and_verified(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 5).await?;
    let state = present(&*subject.backend(), &request.backend_id).await?;
    ensure(state.ownership(request.resource.stamp()) == Ownership::Ours, || "the object carries no stamp".into())?;
    ensure(same_limits(subject, &request.limits, &state.limits), || {
        format!("ordered {:?}, found {:?}", request.limits, state.limits)
    })?;
    Ok(None)
}

pub(super) async fn create_again_converges(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 6).await?;
    let before = subject.objects().await;
    let backend = subject.backend();
    done("the second create", backend.create(&cx(), &request).await)?;
    ensure(before == subject.objects().await, || "the second create made another object".into())?;
    let mut changed = request.clone();
    changed.limits = subject.other_limits();
    done("create with other limits", backend.create(&cx(), &changed).await)?;
    let state = present(&*backend, &request.backend_id).await?;
    ensure(same_limits(subject, &changed.limits, &state.limits), || {
        format!("a repeated create has to bring the ordered limits, found {:?}", state.limits)
    })?;
    Ok(None)
}

pub(super) async fn two_creates_at_once_make_one_object(subject: &dyn Subject) -> Outcome {
    let (one, other) = (subject.backend(), subject.backend());
    let request = request(subject, &*one, 7)?;
    let before = subject.objects().await;
    let (context, other_context) = (cx(), cx());
    let (first, second) = join(one.create(&context, &request), other.create(&other_context, &request)).await;
    // One of them may lose the race for a passing reason; a repeat then has to succeed.
    for result in [first, second] {
        if let Err(error) = result {
            ensure(error.is_passing(), || format!("one of two creates failed for good: {error}"))?;
            done("the repeat", one.create(&cx(), &request).await)?;
        }
    }
    present(&*one, &request.backend_id).await?;
    if let (Some(before), Some(after)) = (before, subject.objects().await) {
        ensure(after == before + 1, || format!("{} objects were made", after.saturating_sub(before)))?;
    }
    Ok(None)
}

/// Plants a stranger's object where the `n`th resource would go.
async fn planted(subject: &dyn Subject, n: u32, stamped: bool) -> Result<Option<CreateRequest>, String> {
    let request = request(subject, &*subject.backend(), n)?;
    Ok(subject.plant(&request.backend_id, stamped).await.then_some(request))
}

pub(super) const NO_PLANT: &str = "the subject cannot plant objects";

pub(super) async fn a_foreign_object_is_not_adopted(subject: &dyn Subject) -> Outcome {
    let Some(request) = planted(subject, 8, true).await? else { return Ok(Some(NO_PLANT)) };
    let backend = subject.backend();
    for origin in [Origin::Reserved, Origin::Recorded] {
        let request = request.clone().with_origin(origin);
        match backend.create(&cx(), &request).await {
            Ok(_) => return Err(format!("create took over a stranger's object ({origin:?})")),
            Err(error) => ensure(matches!(error.class(), ErrorClass::Foreign | ErrorClass::Duplicate), || {
                format!("the error has to be of class Foreign or Duplicate, is {:?}: {error}", error.class())
            })?,
        }
    }
    let state = present(&*backend, &request.backend_id).await?;
    ensure(state.ownership(request.resource.stamp()) == Ownership::Foreign, || "the stranger's stamp is gone".into())?;
    Ok(None)
}

pub(super) async fn a_foreign_object_is_not_changed(subject: &dyn Subject) -> Outcome {
    let Some(request) = planted(subject, 9, true).await? else { return Ok(Some(NO_PLANT)) };
    let (backend, cx) = (subject.backend(), cx());
    let (resource, id) = (&request.resource, &request.backend_id);
    let before = present(&*backend, id).await?;
    let (old, new) = (PlanUuid::new(Uuid::from_u128(0x91a0)), PlanUuid::new(Uuid::from_u128(0x91a1)));
    let limits = LimitChange::new(resource.clone(), id.clone(), subject.other_limits());
    let options = subject.options();
    let has_options = !options.is_empty();
    let options = OptionChange::new(request.order, resource.clone(), id.clone(), JsonObject::new(), options);
    let plan = PlanChange::new(request.order, resource.clone(), id.clone(), Some(old), new, Amounts::new());
    // Limits and the options of the subject are carried out, so they have to be refused; a plan may be nothing to do.
    for (what, may_pass, outcome) in [
        ("set_limits", subject.reported().is_empty(), backend.set_limits(&cx, &limits).await.map(drop)),
        ("update_options", !has_options, backend.update_options(&cx, &options).await.map(drop)),
        ("update_plan", true, backend.update_plan(&cx, &plan).await.map(drop)),
    ] {
        match outcome {
            Ok(()) => ensure(may_pass, || format!("{what} reported success on a stranger's object"))?,
            Err(error) => ensure(matches!(error.class(), ErrorClass::Foreign | ErrorClass::Unsupported), || {
                format!("{what}: the error has to be of class Foreign, is {:?}: {error}", error.class())
            })?,
        }
        let after = present(&*backend, id).await?;
        ensure(before.limits == after.limits, || format!("{what} changed the stranger's limits"))?;
        ensure(before.stamp == after.stamp && before.status == after.status, || {
            format!("{what} changed the stranger's object")
        })?;
    }
    Ok(None)
}

pub(super) async fn a_foreign_object_is_not_deleted(subject: &dyn Subject) -> Outcome {
    let Some(request) = planted(subject, 10, true).await? else { return Ok(Some(NO_PLANT)) };
    let backend = subject.backend();
    let delete = DeleteRequest::new(request.order, request.resource.clone(), request.backend_id.clone());
    let outcome = backend.delete(&cx(), &delete).await;
    present(&*backend, &request.backend_id).await?;
    ensure(outcome.is_err_and(|error| error.class() == ErrorClass::Foreign), || {
        "deleting a stranger's object has to be an error of class Foreign".into()
    })?;
    Ok(None)
}

pub(super) async fn an_unmarked_object_is_adopted_only_if_recorded(subject: &dyn Subject) -> Outcome {
    let Some(request) = planted(subject, 11, false).await? else { return Ok(Some(NO_PLANT)) };
    let backend = subject.backend();
    let fresh = backend.create(&cx(), &request).await;
    ensure(fresh.is_err_and(|error| matches!(error.class(), ErrorClass::Foreign | ErrorClass::Duplicate)), || {
        "an object without a stamp was adopted for a fresh reservation".into()
    })?;
    // Waldur has held the id since before: it is older than stamps, and Restore has to bring it back.
    let recorded = request.with_origin(Origin::Recorded);
    done("create over an object without a stamp that is on record", backend.create(&cx(), &recorded).await)?;
    let state = present(&*backend, &recorded.backend_id).await?;
    ensure(state.ownership(recorded.resource.stamp()) != Ownership::Foreign, || "what was adopted is foreign".into())?;
    ensure(same_limits(subject, &recorded.limits, &state.limits), || {
        format!("adopted with {:?}, ordered {:?}", state.limits, recorded.limits)
    })?;
    Ok(None)
}

const NO_OUTAGE: &str = "the subject cannot arrange an outage";

pub(super) async fn an_outage_is_not_absence(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 12).await?;
    let missing = id_of(&*subject.backend(), &subject.resource(13))?;
    if !subject.set_outage(true) {
        return Ok(Some(NO_OUTAGE));
    }
    let backend = subject.backend();
    let ids = [request.backend_id.clone(), missing];
    let one = backend.get(&cx(), &request.backend_id).await;
    let many = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::EXISTENCE)).await;
    let delete = DeleteRequest::new(request.order, request.resource.clone(), request.backend_id.clone());
    let deleted = backend.delete(&cx(), &delete).await;
    let ping = backend.ping(&cx()).await;
    subject.set_outage(false);
    ensure(one.is_err(), || "get answered during an outage".into())?;
    ensure(many.values().all(Result::is_err), || "inspect answered during an outage".into())?;
    ensure(deleted.is_err(), || "delete succeeded during an outage".into())?;
    ensure(ping.is_err(), || "ping succeeded during an outage".into())?;
    present(&*backend, &request.backend_id).await?;
    Ok(None)
}

pub(super) async fn an_outage_while_creating_is_not_success(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let request = request(subject, &*backend, 14)?;
    if !subject.set_outage(true) {
        return Ok(Some(NO_OUTAGE));
    }
    let outcome = backend.create(&cx(), &request).await;
    subject.set_outage(false);
    match outcome {
        Ok(_) => Err("create succeeded during an outage".into()),
        Err(error) => {
            ensure(error.is_passing(), || {
                format!("an outage has to be of class Transient or NotReady, is {:?}", error.class())
            })?;
            done("create after the outage", backend.create(&cx(), &request).await)?;
            Ok(None)
        }
    }
}

pub(super) async fn a_passed_deadline_has_no_effect(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let request = request(subject, &*backend, 15)?;
    // Far enough for a back end whose clock stands still while the suite runs.
    let past = std::time::Instant::now().checked_sub(std::time::Duration::from_secs(3600));
    if past.is_none() {
        return Ok(Some("the clock does not reach back"));
    }
    let outcome = backend.create(&cx().with_deadline(past), &request).await;
    ensure(outcome.is_err(), || "create succeeded after its deadline".into())?;
    let found = read(&*backend, &request.backend_id).await?;
    ensure(found.is_none(), || "create made an object after its deadline".into())?;
    Ok(None)
}

async fn change(backend: &dyn ResourceBackend, request: &CreateRequest, limits: Limits) -> Result<Option<()>, String> {
    let change = LimitChange::new(request.resource.clone(), request.backend_id.clone(), limits);
    match backend.set_limits(&cx(), &change).await {
        Ok(Progress::Done(_)) => Ok(Some(())),
        Ok(Progress::Pending { .. }) => Err("set_limits left work pending".into()),
        Err(error) if error.class() == ErrorClass::Unsupported => Ok(None),
        Err(error) => Err(format!("set_limits failed: {error}")),
    }
}

pub(super) async fn limits_change_and_the_others_stay(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 16).await?;
    let backend = subject.backend();
    let wanted = subject.other_limits();
    let reported = subject.reported();
    let Some((component, limit)) = wanted.iter().find(|(name, _)| reported.contains(name)) else {
        return Ok(Some("no limits are reported"));
    };
    let before = present(&*backend, &request.backend_id).await?;
    let one: Limits = [(component.clone(), *limit)].into();
    for _twice in 0..2 {
        if change(&*backend, &request, one.clone()).await?.is_none() {
            return Ok(Some("limits are not supported"));
        }
    }
    let after = present(&*backend, &request.backend_id).await?;
    ensure(after.limits.get(component) == Some(limit), || {
        format!("{component} was set to {limit}, reads {:?}", after.limits.get(component))
    })?;
    let others = |limits: &Limits| -> Vec<(String, Limit)> {
        limits.iter().filter(|(name, _)| *name != component).map(|(name, limit)| (name.clone(), *limit)).collect()
    };
    ensure(others(&before.limits) == others(&after.limits), || "limits that were not named changed".into())?;
    Ok(None)
}

pub(super) async fn limits_of_an_absent_object_are_an_error(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let request = request(subject, &*backend, 17)?;
    let change = LimitChange::new(request.resource.clone(), request.backend_id.clone(), subject.limits());
    ensure(backend.set_limits(&cx(), &change).await.is_err(), || "set_limits succeeded on nothing".into())?;
    let found = read(&*backend, &request.backend_id).await?;
    ensure(found.is_none(), || "set_limits made an object".into())?;
    Ok(None)
}

pub(super) async fn delete_proves_absence(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 18).await?;
    delete(&*subject.backend(), &request).await?;
    let found = read(&*subject.backend(), &request.backend_id).await?;
    ensure(found.is_none(), || "the object is still there after delete".into())?;
    Ok(None)
}

async fn delete(backend: &dyn ResourceBackend, request: &CreateRequest) -> Result<(), String> {
    let delete = DeleteRequest::new(request.order, request.resource.clone(), request.backend_id.clone());
    match must("delete", backend.delete(&cx(), &delete).await)? {
        Progress::Done(_) => Ok(()),
        Progress::Pending { .. } => Err("delete left work pending".into()),
    }
}

pub(super) async fn delete_again_succeeds(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 19).await?;
    let backend = subject.backend();
    delete(&*backend, &request).await?;
    delete(&*backend, &request).await?;
    Ok(None)
}

pub(super) async fn inspect_agrees_with_get(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 20).await?;
    let backend = subject.backend();
    let missing = id_of(&*backend, &subject.resource(21))?;
    let ids = [request.backend_id.clone(), missing.clone()];
    let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    let alone = present(&*backend, &request.backend_id).await?;
    match states.get(&request.backend_id) {
        Some(Ok(Some(state))) => ensure(state.limits == alone.limits && state.stamp == alone.stamp, || {
            "inspect and get differ about one object".into()
        })?,
        other => return Err(format!("inspect says {other:?} of an object that exists")),
    }
    match states.get(&missing) {
        Some(Ok(None)) => Ok(None),
        other => Err(format!("inspect says {other:?} of an object that does not exist")),
    }
}

pub(super) async fn restored_object_has_its_limits_again(subject: &dyn Subject) -> Outcome {
    let request = make(subject, 22).await?;
    let backend = subject.backend();
    let zeros: Limits = request.limits.keys().map(|name| (name.clone(), Limit::At(0_u32.into()))).collect();
    let change = LimitChange::new(request.resource.clone(), request.backend_id.clone(), zeros);
    match backend.set_limits(&cx(), &change).await.map_err(|error| (error.class(), error)) {
        Ok(Progress::Done(_)) => {}
        Ok(Progress::Pending { .. }) => return Err("set_limits left work pending".into()),
        Err((ErrorClass::Unsupported, _)) => return Ok(Some("limits are not supported")),
        Err((ErrorClass::Rejected, _)) => return Ok(Some("nothing is closed by limits of zero here")),
        Err((_, error)) => return Err(format!("set_limits failed: {error}")),
    }
    let restore = request.clone().with_origin(Origin::Recorded);
    done("create of a soft-deleted object", backend.create(&cx(), &restore).await)?;
    let state = present(&*backend, &request.backend_id).await?;
    ensure(same_limits(subject, &request.limits, &state.limits), || {
        format!("limits are {:?} after the restore", state.limits)
    })?;
    Ok(None)
}
