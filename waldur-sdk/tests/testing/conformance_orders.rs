//! Orders on a careless back end do not come to their end, and the suite says which and why. That they do on the whole
//! memory back end is shown in `tests/orders`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{
        CreateRequest, Created, DeleteRequest, OpContext, Override, Progress, Removed, ResourceBackend, ResourceState,
        Verified,
    },
    rest::Environment,
    testing::{
        Bounds, Failure, MemoryService,
        conformance::{self, MemorySubject, Scene, Subject, Verdict, Work},
        kill_points,
    },
    types::{BackendId, Limits},
};

fn environment() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}

fn memory() -> MemorySubject {
    MemorySubject::new(MemoryService::new()).unwrap().with_environment(environment()).unwrap()
}

/// No more than the contract demands.
struct Bare(MemorySubject);

#[async_trait]
impl Subject for Bare {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        self.0.backend()
    }
    fn limits(&self) -> Limits {
        self.0.limits()
    }
    fn other_limits(&self) -> Limits {
        self.0.other_limits()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_subject_cannot_arrange_is_told() {
    let verdicts = conformance::orders(|| Bare(memory())).await;
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Skipped(_))), "{verdicts}");
    // Nor does a sweep pass over it in silence.
    let scene = Scene::new(Work::UpdateOptions, || Bare(memory()));
    let Err(Failure::Restless { story, .. }) = kill_points(&scene, &Bounds::default()).await else { panic!() };
    assert_eq!(story[0], "at no options are carried out");
}

/// What a careless back end gets wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Takes over whatever has the name.
    SkipsStamps,
    /// Does not look for a stamp: what exists already is a duplicate, and its own work a stranger's.
    SeesNoStamp,
    /// Makes another one where there is one.
    WritesTwice,
    /// Is busy from the beginning of a creation to its end, and for ever if that never comes.
    KeepsLock,
    /// Takes whatever exists for finished.
    ForgetsLimits,
    /// Takes an acknowledged creation for a creation.
    TrustsCreations,
    /// Takes an acknowledged removal for a removal.
    TrustsRemovals,
}

struct Careless {
    inner: Arc<dyn ResourceBackend>,
    fault: Fault,
    busy: AtomicBool,
}

/// As if it had been read back.
fn believed(request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
    let mut claimed = ResourceState::new(request.backend_id.clone());
    (claimed.stamp, claimed.limits) = (Some(request.resource.stamp()), request.limits.clone());
    Verified::created(Created::default(), request, Some(&claimed)).map(Progress::Done)
}

#[async_trait]
impl Override for Careless {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let request = request.clone();
        let found = self.inner.get(cx, &request.backend_id).await?;
        match self.fault {
            Fault::SkipsStamps if found.is_some() => return believed(&request),
            Fault::SeesNoStamp if found.is_some() => return Err(Error::new(ErrorKind::AlreadyExists, "it exists")),
            Fault::WritesTwice if found.is_some() => {
                let mut another = request.clone();
                another.backend_id = BackendId::new(format!("{}-again", request.backend_id))?;
                drop(self.inner.create(cx, &another).await?);
            }
            Fault::KeepsLock if self.busy.swap(true, Ordering::Relaxed) => return Err(Error::not_ready("busy")),
            Fault::ForgetsLimits if found.is_some() => {
                let verified =
                    Verified::created(Created::default(), &request.with_limits(BTreeMap::new()), found.as_ref());
                return verified.map(Progress::Done);
            }
            _ => {}
        }
        let created = self.inner.create(cx, &request).await;
        self.busy.store(false, Ordering::Relaxed);
        match created {
            Err(error) if self.fault == Fault::TrustsCreations && error.kind() == ErrorKind::Inconsistent => {
                believed(&request)
            }
            created => created,
        }
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        match self.inner.delete(cx, request).await {
            Err(error) if self.fault == Fault::TrustsRemovals && error.kind() == ErrorKind::Inconsistent => {
                Verified::removed(&request.backend_id, Removed::Deleted, None).map(Progress::Done)
            }
            removed => removed,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_that_a_careless_back_end_spoils_is_named_with_what_spoiled_it() {
    for (fault, work, told) in [
        (Fault::SkipsStamps, Work::CreateTaken, "without faults: the resource has a stranger's name"),
        (Fault::SeesNoStamp, Work::Create, "killed at point "),
        (Fault::WritesTwice, Work::CreateOnAnOldServer, "killed at point "),
        (Fault::KeepsLock, Work::Create, "dropped at wait "),
        (Fault::ForgetsLimits, Work::Create, "killed at point "),
        (
            Fault::TrustsCreations,
            Work::Create,
            "a write of kind 1 was acknowledged and not kept, and the order is done",
        ),
        (
            Fault::TrustsRemovals,
            Work::Terminate,
            "a write of kind 2 was acknowledged and not kept, and the order is done",
        ),
    ] {
        let fresh = || memory().overriding(move |inner| Careless { inner, fault, busy: AtomicBool::new(false) });
        let scene = Scene::new(work, fresh);
        let verdict = match fault {
            Fault::TrustsCreations | Fault::TrustsRemovals => scene.check_losses().await,
            _ => scene.check().await,
        };
        let Verdict::Failed(why) = &verdict else { panic!("{told} was not noticed: {verdict:?}") };
        assert!(why.starts_with(told), "{told}\n{why}");
    }
}
