//! A gateway that shows late what was written, or does not have what it acknowledged (faults.md rows 48, 50, 74, 157).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use waldur_backend_croit::{S3Backend, testing::SeedUser};
use waldur_sdk::{
    ErrorClass, ErrorKind, Result,
    backend::{CONSISTENCY, Cancellation, Origin, ProgressObserver, Removed, ResourceBackend as _, Step},
    rest::Http,
    settings::AccountingType,
};

use crate::common::{
    Failure, GIB, Gate, STAMP, UID, backend, backend_with, components, count, create, cx, delete, environment, limits,
    quotas, request, set_limits, settings, update_options, usage_components, user,
};

const READ: &str = "GET /admin/user?uid=";

fn answer(status: u16, code: &str) -> Failure {
    Failure::Status(status, json!({ "Code": code }).to_string())
}

/// What a replica that lags shows: the user without quotas.
fn before() -> Failure {
    let key = json!([{ "user": UID, "access_key": "OURKEY", "secret_key": "our-secret" }]);
    Failure::Status(200, user(UID, json!({ "email": STAMP, "keys": key })).to_string())
}

/// A gate in front of a gateway with a user of ours.
fn settled() -> Gate {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    gate
}

fn by_limits(gate: &Gate) -> S3Backend {
    backend_with(gate.clone(), json!({}), &components(AccountingType::Limit, &json!({})))
}

#[tokio::test(start_paused = true)]
async fn f048_rights_on_a_new_user_may_take_a_moment() {
    let gate = Gate::new();
    gate.fail(READ, 3, answer(403, "AccessDenied"));
    create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    assert_eq!((gate.fake.request_count("user.create"), gate.fake.request_count("quota.set")), (1, 1));

    let gate = Gate::new();
    gate.fail(READ, u32::MAX, answer(403, "AccessDenied"));
    let error = create(&backend(gate.clone()), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "it never came: {error}");
    assert!(count(&gate.take_log(), READ) > 3);
}

#[tokio::test(start_paused = true)]
async fn f050_a_new_user_may_take_a_moment_to_show() {
    let gate = Gate::new();
    gate.fail(READ, 3, answer(404, "NoSuchUser"));
    create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    assert_eq!((gate.fake.request_count("user.create"), gate.fake.users().len()), (1, 1));

    // The write of its quotas may be what comes too early, too.
    let gate = Gate::new();
    gate.fail("quota=", 1, answer(404, "NoSuchUser"));
    create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);

    // It is there for who creates and not for who reads: nobody knows, and the order waits.
    let gate = Gate::new();
    gate.fail(READ, u32::MAX, answer(404, "NoSuchUser"));
    let begin = Instant::now();
    let error = create(&backend(gate.clone()), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(begin.elapsed() >= CONSISTENCY / 3);

    // It never comes.
    let gate = Gate::new();
    gate.fake.lose_writes("user.create", u32::MAX);
    let error = create(&backend(gate.clone()), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent);
    assert!(error.message().contains("created but cannot be read"), "{error}");
    assert_eq!(gate.fake.request_count("user.create"), 3);
    assert!(gate.fake.users().is_empty());
}

#[tokio::test(start_paused = true)]
async fn f074_a_gateway_of_two_replicas_is_waited_for() {
    // A creation, a change of limits, one of options, a deletion: whoever looks first sees what was before.
    let gate = Gate::new();
    gate.fail(READ, 3, before());
    create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap();

    let gate = settled();
    gate.fail_after(1, READ, 3, before());
    assert_eq!(set_limits(&by_limits(&gate), limits(5, 7)).await.unwrap(), limits(5, 7));
    assert_eq!((quotas(&gate), gate.fake.request_count("quota.set")), ([(true, 5 * GIB, 7); 2], 1));

    let gate = settled();
    gate.fail_after(1, READ, 3, before());
    update_options(&backend(gate.clone()), json!({ "storage_limit": 5 })).await.unwrap();
    assert_eq!((quotas(&gate), gate.fake.request_count("quota.set")), ([(true, 5 * GIB, -1); 2], 1));

    let gate = settled();
    gate.fail_after(1, READ, 3, before());
    assert_eq!(delete(&backend(gate.clone())).await.unwrap(), Removed::Deleted);
    assert_eq!(gate.fake.request_count("user.delete"), 1);

    // One that shows for longer than an attempt lasts: the next one finds what was written.
    let gate = settled();
    gate.fail_after(1, READ, 9, before());
    set_limits(&by_limits(&gate), limits(5, 7)).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, 7); 2]);
    let gate = settled();
    gate.fail_after(1, READ, 9, before());
    assert_eq!(delete(&backend(gate.clone())).await.unwrap(), Removed::Deleted, "not found there already");
}

/// One of the things that write to a user.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Create,
    /// Of a user from before there were stamps, which has no key either.
    Adopt,
    Limits,
    Options,
    Delete,
}

async fn carry_out(work: Work, gate: &Gate) -> Result<()> {
    match work {
        Work::Create => create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.map(drop),
        Work::Adopt => {
            let request = request(json!({ "storage_limit": 5 })).with_origin(Origin::Recorded);
            create(&backend(gate.clone()), &request).await.map(drop)
        }
        Work::Limits => set_limits(&by_limits(gate), limits(5, 7)).await.map(drop),
        Work::Options => update_options(&backend(gate.clone()), json!({ "storage_limit": 5 })).await,
        Work::Delete => delete(&backend(gate.clone())).await.map(drop),
    }
}

fn world(work: Work) -> Gate {
    match work {
        Work::Create => Gate::new(),
        Work::Adopt => {
            let gate = Gate::new();
            gate.fake.add_user(SeedUser::new(UID)).unwrap();
            gate
        }
        Work::Limits | Work::Options | Work::Delete => settled(),
    }
}

const LOSSES: [(Work, &str); 8] = [
    (Work::Create, "user.create"),
    (Work::Create, "quota.set"),
    (Work::Adopt, "user.modify"),
    (Work::Adopt, "key.create"),
    (Work::Adopt, "quota.set"),
    (Work::Limits, "quota.set"),
    (Work::Options, "quota.set"),
    (Work::Delete, "user.delete"),
];

#[tokio::test(start_paused = true)]
async fn f157_a_write_that_is_acknowledged_and_lost_is_written_again() {
    for (work, lost) in LOSSES {
        let expected = world(work);
        carry_out(work, &expected).await.unwrap();
        for times in [1, 2] {
            let gate = world(work);
            gate.fake.lose_writes(lost, times);
            carry_out(work, &gate).await.unwrap();
            let asked = gate.fake.request_count(lost);
            assert!(asked > u64::from(times), "{work:?}: {lost} was sent {asked} times");
            assert_eq!(crate::common::shown(&gate.fake), crate::common::shown(&expected.fake), "{work:?} {lost}");
            assert!(gate.fake.unmodelled().is_empty() && gate.fake.duplicate_stamps().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_lost_three_times_is_an_error() {
    for (work, lost) in LOSSES {
        let gate = world(work);
        gate.fake.lose_writes(lost, u32::MAX);
        let begin = Instant::now();
        let error = carry_out(work, &gate).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Inconsistent, ErrorClass::Broken), "{work:?}: {error}");
        assert_eq!(gate.fake.request_count(lost), 3, "{work:?}");
        assert!(begin.elapsed() <= CONSISTENCY + Duration::from_secs(2), "{work:?}: {:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_before_a_write_is_repeated_has_jitter() {
    let mut lasted = Vec::new();
    for random in [0, u64::MAX] {
        let gate = settled();
        gate.fake.lose_writes("quota.set", 1);
        let http = Http::new(gate.clone()).with_environment(environment().with_random(move || random));
        let backend = S3Backend::new(http, settings(json!({})), &usage_components()).unwrap();
        let begin = Instant::now();
        update_options(&backend, json!({ "storage_limit": 5 })).await.unwrap();
        lasted.push(begin.elapsed());
    }
    let more = lasted[1].saturating_sub(lasted[0]);
    assert!((Duration::from_millis(190)..=Duration::from_millis(210)).contains(&more), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_waiting_and_nothing_more_is_written() {
    struct Stop(&'static str, Cancellation);
    impl ProgressObserver for Stop {
        fn on_step(&self, step: &Step<'_>) {
            if step.step == self.0 {
                self.1.cancel();
            }
        }
    }
    let stopped = async |gate: &Gate, step: &'static str| {
        let stop = Cancellation::default();
        let cx = cx().with_cancellation(stop.clone()).with_progress(Stop(step, stop));
        let error = backend(gate.clone()).create(&cx, &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Cancelled, ErrorClass::NotReady));
    };
    // Between two looks.
    let gate = Gate::new();
    gate.fail(READ, u32::MAX, answer(404, "NoSuchUser"));
    stopped(&gate, "verify").await;
    assert_eq!(count(&gate.take_log(), READ), 1);
    // Between two writes.
    let gate = Gate::new();
    gate.fake.lose_writes("quota.set", u32::MAX);
    stopped(&gate, "write again").await;
    assert_eq!(gate.fake.request_count("quota.set"), 1);
}
