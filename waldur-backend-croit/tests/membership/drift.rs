//! Quotas that were changed by hand (s3.md §5; faults.md row 112).

use serde_json::json;
use waldur_backend_croit::testing::{Quota, UserEdit};
use waldur_sdk::{
    backend::LimitsAuthority, process::MembershipPolicy, settings::AccountingType, testing::waldur::Generation,
};

use crate::{
    common::{GIB, On, Upon, server_error},
    world::{World, clean_pass, pass},
};

#[tokio::test(start_paused = true)]
async fn f112_a_quota_changed_by_hand_is_mended_in_the_next_pass() {
    let kinds = [AccountingType::Usage, AccountingType::Limit];
    for (on, accounting) in [On::RadosGw, On::Croit].into_iter().flat_map(|on| kinds.map(|kind| (on, kind))) {
        let world = World::on(on, Generation::V8, accounting);
        world.resource("u-1", 7);
        world.resource("u-2", 7);
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        for by_hand in [100, 1] {
            world.set_quota("u-1", by_hand);
            world.gateway_writes();
            clean_pass(&agent).await;
            assert_eq!(world.quota("u-1"), (7, 7), "{on:?} {accounting:?} {by_hand}");
            let writes = if on == On::Croit { 2 } else { 1 };
            assert_eq!(world.gateway_writes().len(), writes, "both quotas, and nobody else's");
        }
        // One that was switched off.
        world.gate.fake.edit_user("u-1", |edit| edit.user_quota.enabled = false).unwrap();
        clean_pass(&agent).await;
        assert!(world.gate.fake.quota("u-1").unwrap().0.enabled);
        assert_eq!(world.quota("u-1"), (7, 7));
        world.gateway_writes();
        clean_pass(&agent).await;
        assert!(world.gateway_writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn f112_a_bucket_quota_that_was_changed_alone_is_mended_too() {
    let kinds = [AccountingType::Usage, AccountingType::Limit];
    for (on, accounting) in [On::RadosGw, On::Croit].into_iter().flat_map(|on| kinds.map(|kind| (on, kind))) {
        let world = World::on(on, Generation::V8, accounting);
        world.resource("u-1", 7);
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        for (enabled, size) in [(true, 1024), (true, 100 * GIB), (false, -1)] {
            let by_hand =
                |edit: UserEdit<'_>| (edit.bucket_quota.enabled, edit.bucket_quota.max_size) = (enabled, size);
            world.gate.fake.edit_user("u-1", by_hand).unwrap();
            clean_pass(&agent).await;
            let bucket = world.gate.fake.quota("u-1").unwrap().1;
            assert_eq!(
                (world.quota("u-1"), bucket.enabled, bucket.max_objects),
                ((7, 7), true, 7),
                "{on:?} {accounting:?}"
            );
        }
        world.gateway_writes();
        clean_pass(&agent).await;
        assert!(world.gateway_writes().is_empty());
        // Waldur's limits are not set where somebody else has the say over them.
        let mut policy = MembershipPolicy::default();
        policy.limits_authority = Some(LimitsAuthority::None);
        world.set_quota("u-1", 5);
        let agent = world.agent(json!({})).with_policy(policy);
        clean_pass(&agent).await;
        let mended = if accounting == AccountingType::Limit { 5 } else { 7 };
        assert_eq!(world.quota("u-1"), (mended, mended));
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_users_each_has_its_turn() {
    for accounting in [AccountingType::Usage, AccountingType::Limit] {
        let world = World::of(Generation::V8, accounting);
        drop(world.resources(34));
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        for number in [3, 17, 33] {
            world.set_quota(&format!("u-{number}"), 100);
        }
        for _ in 0..30 {
            clean_pass(&agent).await;
        }
        assert!((0..34).all(|number| world.quota(&format!("u-{number}")) == (7, 7)), "{accounting:?}");
    }
}

/// croit's list has everybody's quotas.
#[tokio::test(start_paused = true)]
async fn of_many_users_on_croit_each_is_mended_in_the_next_pass() {
    for accounting in [AccountingType::Usage, AccountingType::Limit] {
        let world = World::on(On::Croit, Generation::V8, accounting);
        drop(world.resources(60));
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        for number in [3, 31, 59] {
            world.set_quota(&format!("u-{number}"), 100);
        }
        clean_pass(&agent).await;
        assert!((0..60).all(|number| world.quota(&format!("u-{number}")) == (7, 7)), "{accounting:?}");
    }
}

/// The row is as old as the list of resources, the look at the user is not.
#[tokio::test(start_paused = true)]
async fn an_order_that_ends_between_the_list_and_the_look_is_not_undone() {
    for (on, look) in [(On::Croit, "GET /api/s3/users"), (On::RadosGw, "GET /admin/user?uid=u-7")] {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resource = world.resources(40)[7];
        // By hand for the storage, and by the customer's order for Waldur.
        let (waldur, fake) = (world.waldur.clone(), world.gate.fake.clone());
        let way = Upon::new(&world.gate, look, 0, move || {
            let options = json!({ "storage_limit": 9, "object_limit": 9 });
            waldur.change_resource(resource, |resource| resource.options(options));
            let set = |quota: &mut Quota| (quota.max_size, quota.max_objects) = (9 * GIB, 9);
            let edit = |edit: UserEdit<'_>| {
                set(edit.user_quota);
                set(edit.bucket_quota);
            };
            fake.edit_user("u-7", edit).unwrap();
        });
        let agent = world.agent_over(world.waldur.clone(), way, json!({}));
        world.gateway_writes();
        clean_pass(&agent).await;
        assert_eq!((world.quota("u-7"), world.gateway_writes().len()), ((9, 9), 0), "{on:?}");
        clean_pass(&agent).await;
        assert_eq!((world.quota("u-7"), world.gateway_writes().len()), ((9, 9), 0), "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_customer_left_open_stays_as_the_operator_has_it() {
    for options in [json!({}), json!({ "storage_limit": 0, "object_limit": 0 }), json!({ "storage_limit": "soon" })] {
        let world = World::new(Generation::V8);
        let resource = world.waldur.resource(world.offering).name("u-1").slug("u-1").backend_id("u-1");
        let resource = resource.options(options.clone()).create();
        world.user("u-1", &format!("waldur-{}-u-1@invalid", resource.hex()), 5);
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        world.gateway_writes();
        clean_pass(&agent).await;
        assert_eq!((world.quota("u-1"), world.gateway_writes().len()), ((5, 5), 0), "{options}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_quota_is_not_mended() {
    let world = World::new(Generation::V8);
    let resource = world.waldur.resource(world.offering).name("u-1").slug("u-1").backend_id("u-1");
    resource.options(json!({ "storage_limit": 7, "object_limit": 7 })).create();
    world.user("u-1", "waldur-00000000000000000000000000000001-u-1@invalid", 5);
    let agent = world.agent(json!({}));
    pass(&agent).await;
    pass(&agent).await;
    assert_eq!((world.quota("u-1"), world.gateway_writes().len()), ((5, 5), 0));
}

#[tokio::test(start_paused = true)]
async fn one_user_that_cannot_be_mended_holds_no_other_up() {
    let world = World::new(Generation::V8);
    for uid in ["u-1", "u-2", "u-3"] {
        world.resource(uid, 7);
        world.set_quota(uid, 100);
    }
    world.gate.fail("PUT /admin/user?quota=&uid=u-2", 99, server_error());
    let agent = world.agent(json!({}));
    let report = pass(&agent).await;
    assert!(!report.is_clean());
    assert_eq!([world.quota("u-1"), world.quota("u-2"), world.quota("u-3")], [(7, 7), (100, 100), (7, 7)]);
    world.gate.mend();
    pass(&agent).await;
    assert_eq!(world.quota("u-2"), (7, 7));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_mended_does_not_wait_for_its_turn() {
    let world = World::new(Generation::V8);
    drop(world.resources(40));
    world.set_quota("u-2", 100);
    world.gate.fail("PUT /admin/user?quota=&uid=u-2", 99, server_error());
    let agent = world.agent(json!({}));
    for _twice in 0..2 {
        assert!(!pass(&agent).await.is_clean(), "it is told as long as it is so");
    }
    world.gate.mend();
    clean_pass(&agent).await;
    assert_eq!(world.quota("u-2"), (7, 7));
}
