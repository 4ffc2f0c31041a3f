//! Reports that services test their alarms with are judged as those of real passes are.

use waldur_sdk::{
    Error, ErrorKind,
    backend::Period,
    process::{
        HoldReason, ImportOutcome, LeftoverOutcome, MembershipReport, OrderRunReport, RotationOutcome, StuckKeys,
        SyncOutcome, UsageOutcome, UsageRunReport,
    },
    testing::reports,
    types::{BackendId, Date},
};

fn broken() -> Error {
    Error::new(ErrorKind::Server, "no answer").with_retryable(false).with_source("the disk is full")
}

#[test]
fn what_went_well_is_clean_and_what_did_not_is_told_with_its_cause() {
    let period = Period::containing(Date::constant(2026, 1, 1));

    let mut orders = OrderRunReport::default();
    orders.leftovers.push(reports::leftover(BackendId::new("one").unwrap(), LeftoverOutcome::Removed));
    assert!(orders.is_clean());
    let left = LeftoverOutcome::Left(broken());
    assert_eq!(format!("{left:#}"), "left over: no answer: the disk is full");
    orders.leftovers.push(reports::leftover(BackendId::new("two").unwrap(), left));
    assert!(!orders.is_clean());

    let mut members = MembershipReport::default();
    members.resources.push(reports::sync(SyncOutcome::Synced));
    assert!(members.is_clean());
    members.resources[0].held = Some(reports::held(None, HoldReason::EmptyTeam));
    assert!(!members.is_clean() && members.follow_ups().count() == 1);
    let failing = SyncOutcome::Failing(broken(), 2);
    assert_eq!(format!("{failing} / {failing:#}"), "failing (2): no answer / failing (2): no answer: the disk is full");

    let mut usage = UsageRunReport::default();
    usage.resources.push(reports::usage(period, UsageOutcome::Submitted));
    assert!(usage.is_clean() && usage.losses().is_empty());
    usage.resources.push(reports::usage(period, UsageOutcome::Anomaly));
    assert!(!usage.is_clean() && usage.losses().len() == 1);

    let mut keys = StuckKeys::default();
    keys.rotations.push(reports::rotation(RotationOutcome::Rotated));
    keys.rotations.push(reports::rotation(RotationOutcome::Deferred(Error::not_ready("locked"))));
    assert!(keys.is_clean(), "it waits");
    keys.rotations.push(reports::rotation(RotationOutcome::NotReported(broken(), broken())));
    assert!(!keys.is_clean());
    let shown = "failed: no answer: the disk is full; not reported: no answer: the disk is full";
    assert_eq!(format!("{:#}", keys.rotations[2].outcome), shown);

    assert!(reports::import(ImportOutcome::OtherOffering).is_clean());
    assert!(!reports::import(ImportOutcome::Refused(broken())).is_clean());
}
