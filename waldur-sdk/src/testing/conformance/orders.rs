//! Orders to their end, whatever happens on the way.

use super::{
    Outcome, Scene, Seen, Subject, Verdict, Verdicts, Work, World,
    checks::{present, read, same_limits},
    ensure, into_verdict, must,
    scene::NO_WAY,
};
use crate::{
    backend::{Ownership, Stamp},
    testing::{
        Bounds, Failure, Interleaving, Life, drop_points, failure::Story, interleave, kill_points, life::Undisturbed,
        waldur::OrderState,
    },
    types::BackendId,
};

const NO_LOSS: &str = "the subject cannot lose a write";

/// Carries out an order of every kind by the real order processor, between a [`FakeWaldur`] and the systems that `fresh`
/// makes, each of its own:
///
/// - without faults, where the order has to come to what it is for;
/// - killed around every write, dropped wherever it waits, and beside a second agent in many orders of their requests,
///   where it has to come to the same;
/// - with every write lost that [`Subject::lose_write`] can lose, where it may fail, and is not done unless it is.
///
/// What the subject cannot arrange is [skipped](Verdict::Skipped), and says so.
///
/// [`FakeWaldur`]: crate::testing::waldur::FakeWaldur
pub async fn orders<S: Subject>(fresh: impl Fn() -> S) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let scenes: Vec<_> = Work::ALL.iter().map(|work| Scene::new(*work, &fresh)).collect();
    for scene in &scenes {
        verdicts.0.push((scene.work.check(), Box::pin(scene.check()).await));
    }
    let mut lost = Verdict::Skipped(NO_LOSS);
    for scene in &scenes {
        match Box::pin(scene.check_losses()).await {
            Verdict::Failed(why) => {
                lost = Verdict::Failed(format!("{}: {why}", scene.work.check()));
                break;
            }
            Verdict::Passed => lost = Verdict::Passed,
            Verdict::Skipped(_) => {}
        }
    }
    verdicts.0.push(("order_is_not_done_where_a_write_was_lost", lost));
    verdicts
}

impl Work {
    fn check(self) -> &'static str {
        match self {
            Self::Create => "order_to_create",
            Self::CreateOnAnOldServer => "order_to_create_on_an_old_server",
            Self::CreateTaken => "order_to_create_under_a_strangers_name",
            Self::UpdateLimits => "order_to_update_limits",
            Self::UpdateOptions => "order_to_update_options",
            Self::Terminate => "order_to_terminate",
            Self::TerminateUsed => "order_to_terminate_what_is_in_use",
            Self::Restore => "order_to_restore",
            Self::RestorePaused => "order_to_restore_what_is_paused",
            Self::RestoreUnmarked => "order_to_restore_what_has_no_stamp",
        }
    }
}

impl<S: Subject> Scene<'_, S> {
    /// The order without faults, and under kills, drops and company, as [`orders`] has it.
    pub async fn check(&self) -> Verdict {
        into_verdict(match self.ready().await {
            Ok(world) => Box::pin(self.hold(&world)).await,
            Err(Verdict::Skipped(why)) => Ok(Some(why)),
            Err(Verdict::Failed(why)) => Err(why),
            Err(Verdict::Passed) => Ok(None),
        })
    }

    /// The order with one write lost after another, as [`orders`] has it. A change of options is done when it is
    /// acknowledged, and what is a stranger's is not written to: there it does not apply.
    pub async fn check_losses(&self) -> Verdict {
        if matches!(self.work, Work::UpdateOptions | Work::CreateTaken) {
            return Verdict::Skipped("no write of it is read back");
        }
        into_verdict(Box::pin(self.lose()).await)
    }

    async fn hold(&self, world: &World<S>) -> Outcome {
        if world.subject.backend_over(&nobody()).is_none() || world.subject.shown().is_none() {
            return Ok(Some(NO_WAY));
        }
        ensure(must("a pass", world.to_rest().await)?, || "without faults: not idle after 20 passes".into())?;
        let seen = world.seen();
        let ends = Box::pin(self.is_as_ordered(world, &seen)).await;
        ends.map_err(|why| format!("without faults: {why}\n{seen:#?}"))?;
        Box::pin(self.survives(world)).await?;
        Ok(None)
    }

    /// Whether the order came to what it is for.
    async fn is_as_ordered(&self, world: &World<S>, seen: &Seen) -> Result<(), String> {
        let subject = &world.subject;
        ensure(seen.complaints.is_empty(), || "Waldur complains".into())?;
        let done = seen.order.0 == OrderState::Done;
        // A back end may refuse to delete what is full, and may know that what has no stamp is not its own.
        let may_fail = matches!(self.work, Work::CreateTaken | Work::TerminateUsed | Work::RestoreUnmarked);
        let erred = seen.order.0 == OrderState::Erred;
        ensure(done || may_fail && erred, || "the order is not done".into())?;
        match self.work {
            Work::CreateTaken => {
                let name = self.untouched(world, seen).await?;
                ensure(seen.backend_id != name.as_str(), || "the resource has a stranger's name".into())?;
                ensure(done || seen.backend_id.is_empty(), || "the name was not released".into())?;
            }
            Work::RestoreUnmarked if erred => drop(self.untouched(world, seen).await?),
            Work::UpdateOptions => {
                ensure(seen.system != world.before, || "nothing changed with the options".into())?;
            }
            _ => {}
        }
        if erred && self.work != Work::TerminateUsed {
            return Ok(());
        }
        let left = usize::from(!matches!(self.work, Work::Terminate | Work::TerminateUsed) || erred);
        let (left, found) = (left + usize::from(self.work == Work::CreateTaken), subject.objects().await);
        ensure(found.is_none_or(|found| found == left), || format!("{found:?} objects in place of {left}"))?;
        let id = must("the resource's id", BackendId::new(seen.backend_id.clone()))?;
        let backend = subject.backend();
        if done && matches!(self.work, Work::Terminate | Work::TerminateUsed) {
            return ensure(read(&*backend, &id).await?.is_none(), || format!("{id} is still there"));
        }
        let state = present(&*backend, &id).await?;
        ensure(state.ownership(Stamp(world.resource)) != Ownership::Foreign, || format!("{id} is a stranger's"))?;
        let limits = if self.work == Work::UpdateLimits { subject.other_limits() } else { subject.limits() };
        ensure(self.work == Work::UpdateOptions || same_limits(subject, &limits, &state.limits), || {
            format!("ordered {limits:?}, found {:?}", state.limits)
        })
    }

    /// Whether what had the name before is as it was; the name.
    async fn untouched(&self, world: &World<S>, seen: &Seen) -> Result<BackendId, String> {
        let name = self.asked().await.map_err(|verdict| format!("{verdict:?}"))?.backend_id;
        let mut theirs = world.before.iter().filter(|line| line.contains(name.as_str()));
        let kept = theirs.all(|line| seen.system.contains(line));
        ensure(kept, || format!("a stranger's object was changed; there was {:#?}", world.before))?;
        Ok(name)
    }

    /// Whether the order is done only when it is.
    async fn lose(&self) -> Outcome {
        let Ok(world) = self.ready().await else { return Ok(Some("the order cannot be arranged")) };
        must("a pass", world.to_rest().await)?;
        let whole = world.seen();
        for kind in 0.. {
            let Ok(world) = self.ready().await else { break };
            if whole.order.0 != OrderState::Done || !world.subject.lose_write(kind) {
                return Ok((kind == 0).then_some(NO_LOSS));
            }
            let rests = must("a pass", world.to_rest().await)?;
            let (seen, lost) = (world.seen(), format!("a write of kind {kind} was acknowledged and not kept"));
            ensure(rests, || format!("{lost}: not idle after 20 passes"))?;
            ensure(seen == whole || seen.order.0 == OrderState::Erred, || {
                format!("{lost}, and the order is done\nexpected: {whole:#?}\nfound: {seen:#?}")
            })?;
        }
        Ok(None)
    }

    /// Whether the order comes to the same under every harness.
    async fn survives(&self, world: &World<S>) -> Result<(), String> {
        let bounds = Bounds::default().with_environment(world.subject.environment()).around_writes();
        let told = |failure: Failure<Seen>| failure.to_string();
        Box::pin(kill_points(self, &bounds)).await.map_err(told)?;
        Box::pin(drop_points(self, &bounds)).await.map_err(told)?;
        // To a back end the others are the same, and begin elsewhere.
        let alone = matches!(self.work, Work::Create | Work::CreateTaken | Work::UpdateLimits | Work::Terminate);
        if alone {
            let anywhere = Interleaving::switches(1).alike().settling();
            Box::pin(interleave(self, &anywhere, &bounds)).await.map_err(told)?;
        }
        let at_random = Interleaving::random(7, if alone { 4 } else { 8 }).settling();
        Box::pin(interleave(self, &at_random, &bounds)).await.map_err(told)?;
        Ok(())
    }
}

/// A life that no harness looks at.
fn nobody() -> Life {
    Life::new(std::sync::Arc::new(Undisturbed(Story::default())), 0, 0)
}
