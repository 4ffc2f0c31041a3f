//! A server of 2024 (core.md §1.6, column 24): what it lacks is missed once, said once, and done without.

use waldur_sdk::{
    backend::{Capabilities, LimitsAuthority},
    client::Feature,
    process::SyncOutcome,
    testing::{Action, Faults, op, status, waldur::Generation},
};

use crate::world::{MINUTE, Site, assert_synced, only, pass_time, run};

#[tokio::test(start_paused = true)]
async fn what_a_server_of_2024_lacks_is_asked_for_once_and_told_once() {
    let site = Site::new(Generation::V2024);
    site.member("a");
    site.resource("one", &["stale"]);
    site.edit("one", |object| {
        object.limits.insert("cpu".to_owned(), Some(9));
    });
    let capabilities = Capabilities::default().with_limits_authority(LimitsAuthority::Backend);
    let whole = move |memory: waldur_sdk::testing::MemoryBackend| {
        memory.with_members().with_status().with_user_limits().with_capabilities(capabilities)
    };
    let agent = site.agent().memory(whole).build();
    let report = run(&agent).await;
    assert_synced(&report);
    assert_eq!(site.access("one"), "a");
    let mut missing = report.missing_features.clone();
    missing.sort_unstable();
    // Limits are told by an older call, which this resource is not known to.
    let wanted = [
        Feature::LastSync,
        Feature::UserAttributeConfig,
        Feature::ServiceAccounts,
        Feature::CourseAccounts,
        Feature::UserLimits,
    ];
    assert_eq!(missing, wanted);
    assert!(report.is_clean(), "none of it is a failure: {report:#?}");
    site.waldur().forget_requests();
    pass_time(2 * 60 * MINUTE).await;
    let report = run(&agent).await;
    assert!(report.missing_features.is_empty());
    let refused = site.waldur().requests().into_iter().filter(|request| !request.status.is_success());
    assert_eq!(refused.map(|request| request.path).collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_only_its_staff_fell_a_resource_is_asked_once() {
    let site = Site::new(Generation::V2024);
    site.resource("one", &[]);
    let faults = Faults::new(site.service().clone()).on(op("objects.get"), Action::refuse(status(400)));
    let agent = site.agent().service(faults).policy(|policy| policy.failures_before_erred = 1).build();
    for pass in 1..=3 {
        let report = run(&agent).await;
        assert!(matches!(only(&report).outcome, SyncOutcome::Failing(_, times) if times == pass), "{report:#?}");
    }
    assert_eq!(site.world.count("provider_resources.set_as_erred"), 1);
}

#[tokio::test(start_paused = true)]
async fn c34_a_server_without_course_accounts_has_service_accounts_all_the_same() {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.waldur().service_account(site.project(), "svc").create();
    site.resource("one", &["a", "svc"]);
    let absent =
        status(404).body("text/html", "<!doctype html><html><head><title>Not Found</title></head><body>The requested resource was not found on this server.</body></html>");
    let faults =
        Faults::new(site.waldur().clone()).on(op("provider_offerings.course_accounts"), Action::refuse(absent));
    let agent = site.agent().waldur(faults).build();
    let told = run(&agent).await.missing_features;
    assert_eq!(told, [Feature::CourseAccounts]);
    for _ in 0..3 {
        assert!(run(&agent).await.is_clean());
    }
    assert_eq!(site.access("one"), "a svc");
}
