//! The contract of [`ResourceBackend`] as a suite that any back end can run.
//!
//! A [`Subject`] says how to reach the back end and the system behind it; [`run`] runs every check that applies and
//! answers with a [`Verdicts`]: nothing here panics, so a test asserts on the answer.
//!
//! ```
//! # async fn example() -> waldur_sdk::Result<()> {
//! use waldur_sdk::testing::{MemoryService, conformance::{self, MemorySubject}};
//!
//! let verdicts = conformance::run(&MemorySubject::new(MemoryService::new())?).await;
//! assert!(verdicts.passed(), "{verdicts}");
//! # Ok(()) }
//! # futures_util::future::FutureExt::now_or_never(example()).unwrap().unwrap();
//! ```
//!
//! # Whatever dies
//! [`orders`] carries out orders of every kind on the back end, and kills the process around every write, drops its
//! future wherever it waits, lets two agents meet, and loses writes. It is one call. For it, a subject also says how a
//! back end is built over a [`Life`], and what its system holds:
//!
//! ```
//! use waldur_sdk::testing::{MemoryService, conformance::{self, MemorySubject, Scene, Verdict, Work}};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let fresh = || MemorySubject::new(MemoryService::new()).unwrap();
//! # if false {
//! let verdicts = conformance::orders(fresh).await;
//! assert!(verdicts.passed(), "{verdicts}");
//! # }
//! // One of them by itself.
//! assert_eq!(Scene::new(Work::Terminate, fresh).check().await, Verdict::Passed);
//! # });
//! ```
//!
//! Under virtual time (see [`testing`](crate::testing#virtual-time)) that takes seconds: [`Subject::environment`] names
//! its clocks. A [`Scene`] is also a [`Scenario`], so a back end can run further harnesses over it.
//!
//! # One call after another
//! | group | checks |
//! |---|---|
//! | names | pure, different at every attempt, refused or made valid for hostile slugs |
//! | lifecycle | create, adopt, converge, delete, delete again; two creates at once |
//! | ownership | a stranger's object is neither adopted, changed nor deleted |
//! | certainty | an outage is never absence, success or zero; a passed deadline has no effect |
//! | limits | set, read back, partial maps keep the rest, absent objects are errors |
//! | facets | members, status, import: only where the back end has them |
//! | keys | different, whole, pruned and replaced one at a time: only where the back end has them |
//! | usage | every id answered for, by its month, shares within the total; an outage is not zero; only where it is measured |
//! | membership | what a synchronisation relies on in every pass, only where the back end has it: see below |
//!
//! # What a membership synchronisation relies on
//! [`MembershipSync`](crate::process::MembershipSync) compares what a back end says with what Waldur says, and writes
//! where they differ, in every pass. So whatever was set has to read back as it was set; otherwise it is set again for
//! ever.
//!
//! | what | is read by |
//! |---|---|
//! | members | [`MemberDirectory::list`](crate::backend::MemberDirectory::list) |
//! | the status, and the limits in Waldur's units | [`ResourceBackend::inspect`] |
//! | metadata | the same, and equal at every reading |
//! | limits of users | [`UserLimits::list`](crate::backend::UserLimits::list) |
//!
//! A list that could not be read is an error and never an empty list: an empty list of members would mean that
//! everybody has to be added. [`MemberDirectory::reconcile`](crate::backend::MemberDirectory::reconcile) and
//! [`ResourceUpkeep`](crate::backend::ResourceUpkeep) are called in every pass and have to cost nothing when nothing
//! changed. The suite makes the same call twice and looks at the second.

mod checks;
mod facets;
mod keys;
mod membership;
mod orders;
mod scene;
mod subject;
mod usage;

use std::fmt;

pub use orders::orders;
pub use scene::{Agent, Scene, Seen, Work, World};
pub use subject::{MemorySubject, Subject};

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the contract says.
    Passed,
    /// Does not apply to this back end, or the subject cannot arrange it.
    Skipped(&'static str),
    /// Against the contract; says what was seen.
    Failed(String),
}

/// What came of all checks, in order.
#[derive(Clone, Debug, Default)]
pub struct Verdicts(Vec<(&'static str, Verdict)>);

impl Verdicts {
    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The checks that failed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|(check, verdict)| match verdict {
            Verdict::Failed(why) => Some((*check, why.as_str())),
            _ => None,
        })
    }

    /// All checks with their verdicts.
    pub fn iter(&self) -> impl Iterator<Item = &(&'static str, Verdict)> {
        self.0.iter()
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, verdict) in &self.0 {
            match verdict {
                Verdict::Passed => writeln!(f, "passed   {check}")?,
                Verdict::Skipped(why) => writeln!(f, "skipped  {check}: {why}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED   {check}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Runs every check against the subject, each on a resource of its own.
pub async fn run(subject: &dyn Subject) -> Verdicts {
    let mut verdicts = Verdicts::default();
    macro_rules! check {
        ($($group:ident::$name:ident),+ $(,)?) => {
            $(verdicts.0.push((stringify!($name), into_verdict(Box::pin($group::$name(subject)).await)));)+
        };
    }
    check!(
        checks::candidate_ids_are_pure,
        checks::candidate_ids_of_hostile_slugs_are_valid_or_refused,
        checks::absent_is_proven,
        checks::create_is_stamped_and_verified,
        checks::create_again_converges,
        checks::two_creates_at_once_make_one_object,
        checks::a_foreign_object_is_not_adopted,
        checks::a_foreign_object_is_not_changed,
        checks::a_foreign_object_is_not_deleted,
        checks::an_unmarked_object_is_adopted_only_if_recorded,
        checks::an_outage_is_not_absence,
        checks::an_outage_while_creating_is_not_success,
        checks::a_passed_deadline_has_no_effect,
        checks::limits_change_and_the_others_stay,
        checks::limits_of_an_absent_object_are_an_error,
        checks::delete_proves_absence,
        checks::delete_again_succeeds,
        checks::inspect_agrees_with_get,
        checks::restored_object_has_its_limits_again,
        facets::members_are_added_and_removed,
        facets::active_on_a_healthy_object_changes_nothing,
        facets::status_is_set_and_restored,
        facets::members_and_status_of_a_foreign_object_are_refused,
        facets::import_lists_what_was_created,
        membership::members_of_many_objects_are_told_apart,
        membership::an_outage_is_not_an_empty_list_of_members,
        membership::members_of_an_absent_object_are_an_error,
        membership::one_bad_member_stops_no_other,
        membership::roles_are_brought_in_line_and_then_left_alone,
        membership::what_is_known_of_a_person_may_be_told_again,
        membership::a_pause_is_read_back_and_leaves_members_alone,
        membership::downscaling_is_set_again_and_restored,
        membership::limits_read_as_they_were_set,
        membership::metadata_stay_as_they_are,
        membership::user_limits_are_replaced_and_taken_away,
        membership::upkeep_of_what_is_in_step_changes_nothing,
        usage::usage_answers_for_every_id,
        usage::measured_usage_is_what_was_used,
        usage::usage_belongs_to_its_month,
        usage::unreadable_usage_is_not_zero,
        keys::keys_are_different_and_can_be_taken_back,
        keys::what_nobody_knows_is_pruned,
        keys::a_replaced_key_leaves_its_sibling,
        keys::a_key_that_is_gone_is_replaced,
        keys::a_foreign_object_gets_no_key,
    );
    verdicts
}

/// The end of a check: `Ok(None)` passed, `Ok(Some(why))` does not apply, `Err(why)` against the contract.
type Outcome = Result<Option<&'static str>, String>;

fn into_verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Ok(None) => Verdict::Passed,
        Ok(Some(why)) => Verdict::Skipped(why),
        Err(why) => Verdict::Failed(why),
    }
}

/// Fails a check unless the condition holds.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// The value of a call that has to succeed.
fn must<T>(what: &str, result: crate::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{what} failed: {error}"))
}

#[cfg(doc)]
use crate::{
    backend::ResourceBackend,
    testing::{Life, Scenario},
};
