//! Which id a new object gets, and whose object it is (core.md §2.6, §2.7).

use crate::orders::{
    Asked, BOTH, Doctored, OnRequest, PROJECT, World, assert_deferred, assert_done, assert_erred, error, limits, warned,
};
use serde_json::json;
use uuid::Uuid;
use waldur_sdk::{
    Error, ErrorClass, ErrorKind,
    backend::{Origin, layers},
    process::{FollowUp, OrderOutcome},
    testing::{
        Action, Counting, Faults, hang, op, status,
        waldur::{Generation, OrderState, ResourceState},
    },
    types::ResourceUuid,
};

/// The stamp of a resource that nobody here knows.
const STRANGER: ResourceUuid = ResourceUuid::new(Uuid::from_u128(0x57a6));

#[tokio::test(start_paused = true)]
async fn c16_the_id_is_prefix_and_slug_in_lower_case_and_everything_is_published() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").resource(|resource| resource.slug("Res-1")).pending();
        let report = world.agent().memory(|memory| memory.with_prefix("hpc_")).run_one().await;
        assert_done(&report);
        assert_eq!(report.backend_id.as_ref().unwrap().as_str(), "hpc_res-1");
        assert_eq!(world.ids(), ["hpc_res-1"]);
        let (resource, object) = (world.resource(order), world.object("hpc_res-1"));
        assert_eq!(resource.backend_id, "hpc_res-1");
        assert_eq!(resource.backend_metadata, json!({ "object_id": "hpc_res-1" }));
        assert_eq!(object, world.object_of(world.waldur.resource_of(order), 4, 8));
        assert_eq!(resource.limits, limits(4, 8));
        // The id is Waldur's before the object exists.
        assert_eq!(world.body("provider_resources.set_backend_id"), json!({ "backend_id": "hpc_res-1" }));
    }
}

#[tokio::test(start_paused = true)]
async fn limits_and_endpoints_go_to_servers_that_take_them() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let report = world
            .agent()
            .memory(|memory| memory.with_endpoint("https://memory.example.org").with_ceiling("cpu", 3))
            .run_one()
            .await;
        assert_done(&report);
        let resource = world.resource(order);
        match generation {
            // A server of 2024 has an older call for limits and none for endpoints; that is no failure, and nothing to
            // come back for.
            Generation::V2024 => {
                assert_eq!(warned(&report), ["set_endpoints"]);
                assert!(report.warnings.iter().all(|warning| warning.error.class() == ErrorClass::Unsupported));
                assert_eq!(resource.limits, limits(3, 8));
            }
            Generation::V8 => {
                assert_eq!(warned(&report), Vec::<&str>::new());
                assert_eq!(resource.limits, limits(3, 8));
                assert_eq!(resource.endpoint("memory"), Some("https://memory.example.org/res"));
            }
        }
        assert!(report.follow_ups.is_empty());
        assert_eq!(world.object("res").limits["cpu"], Some(3));
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_of_others_is_kept() {
    let world = World::new(Generation::V8);
    let order = world
        .create("Res")
        .resource(|resource| resource.slug("res").backend_metadata(json!({ "note": "vip" })))
        .pending();
    assert_done(&world.agent().run_one().await);
    assert_eq!(world.resource(order).backend_metadata, json!({ "note": "vip", "object_id": "res" }));
}

#[tokio::test(start_paused = true)]
async fn c17_under_the_project_slug_policy_a_taken_name_is_counted_on() {
    for generation in BOTH {
        let world = World::selling(generation, |offering| {
            offering.plugin_option("account_name_generation_policy", "project_slug")
        });
        let taken = format!("hpc_{PROJECT}");
        world.service.seed(&*taken, Some(STRANGER));
        let order = world.create("Res").pending();
        let report = world.agent().memory(|memory| memory.with_prefix("hpc_")).run_one().await;
        assert_done(&report);
        assert_eq!(world.ids(), [taken.clone(), format!("{taken}-0")]);
        assert_eq!(world.resource(order).backend_id, format!("{taken}-0"));
        assert_eq!(world.object(&taken).stamp, Some(STRANGER));

        // The next two go on counting.
        world.service.seed(format!("{taken}-1"), None);
        let order = world.create("Other").pending();
        assert_done(&world.agent().memory(|memory| memory.with_prefix("hpc_")).run_one().await);
        assert_eq!(world.resource(order).backend_id, format!("{taken}-2"));
    }
}

#[tokio::test(start_paused = true)]
async fn c18_a_duplicate_without_uniqueness_check_is_tried_once_and_errs() {
    for generation in BOTH {
        for stamp in [Some(STRANGER), None] {
            let world = World::new(generation);
            world.service.seed("res", stamp);
            let before = world.service.objects();
            let asked = Asked::default();
            let order = world.create("Res").pending();
            let telling = asked.clone();
            let report = world.agent().overriding(move |inner| Doctored::new(inner).telling(&telling)).run_one().await;
            assert_erred(&report);
            assert_eq!(asked.creations.lock().unwrap().len(), 1);
            assert!(world.order(order).error_message.contains("all generated names already exist"));
            assert_eq!(world.service.objects(), before);
            // The reservation is given back: no later order may touch the stranger's object.
            assert_eq!(world.resource(order).backend_id, "");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f111_an_id_whose_order_fails_before_anything_is_made_leads_nobody_to_a_strangers_object() {
    let too_much = |_: &_| Err(Error::rejected("that much is not sold"));
    for generation in BOTH {
        for stamp in [None, Some(STRANGER)] {
            let world = World::new(generation);
            world.service.seed("res", stamp);
            let before = world.service.objects();
            let order = world.create("Res").pending();
            let report = world.agent().overriding(move |inner| Doctored::new(inner).creating(too_much)).run_one().await;
            assert_erred(&report);
            assert!(world.order(order).error_message.contains("not sold"));
            assert_eq!((world.resource(order).backend_id.as_str(), world.service.objects()), ("", before));
        }
        // Also where an earlier attempt has reserved it; and not where that has made the object.
        for (is_made, left) in [(false, ""), (true, "res")] {
            let world = World::new(generation);
            let order = world.create("Res").resource(|resource| resource.slug("res").backend_id("res")).executing();
            if is_made {
                world.service.seed("res", Some(world.waldur.resource_of(order)));
            }
            assert_erred(
                &world.agent().overriding(move |inner| Doctored::new(inner).creating(too_much)).run_one().await,
            );
            assert_eq!(world.resource(order).backend_id, left);
        }
        // What may have been made and does not show is not given away.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let odd = |_: &_| Err(Error::new(ErrorKind::Inconsistent, "it was made, and does not show"));
        assert_erred(&world.agent().overriding(move |inner| Doctored::new(inner).creating(odd)).run_one().await);
        assert_eq!(world.resource(order).backend_id, "res");
        // Nor is an order ended while it is not known what is there.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let down = Faults::new(world.service.clone()).on(op("objects.get"), status(503));
        let agent = world.agent().service(down).overriding(move |inner| Doctored::new(inner).creating(too_much));
        let report = agent.run_one().await;
        assert_deferred(&report);
        assert_eq!((warned(&report), world.state(order)), (vec!["create"], OrderState::Executing));
    }
}

#[tokio::test(start_paused = true)]
async fn c19_answers_of_not_unique_change_the_candidate_and_no_answer_is_no_obstacle() {
    // Two resources of the offering have the first two names in Waldur, whatever the back end holds.
    let world = World::new(Generation::V8);
    for name in ["res", "res-0"] {
        world.waldur.resource(world.offering).backend_id(name).create();
    }
    let order = world.create("Res").pending();
    let unique = |policy: &mut waldur_sdk::process::OrderPolicy| policy.check_backend_id_uniqueness = true;
    assert_done(&world.agent().policy(unique).run_one().await);
    assert_eq!(world.resource(order).backend_id, "res-1");
    let asked: Vec<_> = world.waldur.requests().into_iter().filter(|r| r.path.contains("check_unique")).collect();
    let names: Vec<_> = asked.iter().map(|request| request.body["backend_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["res", "res-0", "res-1"]);

    // The endpoint fails, or does not exist on a server of 2024.
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let faults =
            Faults::new(world.waldur.clone()).on(op("provider_offerings.check_unique_backend_id"), status(500));
        let report = world.agent().waldur(faults.clone()).policy(unique).run_one().await;
        assert_done(&report);
        assert!(faults.acted() > 0);
        assert_eq!(warned(&report), ["check_unique_backend_id"]);
        assert_eq!(world.resource(order).backend_id, "res");
    }
    let world = World::new(Generation::V2024);
    world.create("Res").pending();
    assert_done(&world.agent().policy(unique).run_one().await);
}

#[tokio::test(start_paused = true)]
async fn names_run_out_before_anything_is_written() {
    let world = World::new(Generation::V8);
    for name in ["res", "res-0", "res-1"] {
        world.waldur.resource(world.offering).backend_id(name).create();
    }
    let order = world.create("Res").pending();
    let report = world
        .agent()
        .policy(|policy| (policy.check_backend_id_uniqueness, policy.backend_id_max_retries) = (true, 3))
        .run_one()
        .await;
    assert_erred(&report);
    assert!(world.order(order).error_message.contains("all generated names already exist"));
    assert_eq!(world.count("provider_resources.set_backend_id"), 0);
    assert_eq!(world.service.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_agent_reserved_for_the_same_resource_is_used() {
    // Waldur calls it not unique, as it counts this very resource.
    let world = World::new(Generation::V8);
    let order = world.create("Res").executing();
    let (resource, waldur) = (world.waldur.resource_of(order), world.waldur.clone());
    let other_agent = move || waldur.change_resource(resource, |row| row.backend_id("res"));
    let transport = OnRequest::new(world.waldur.clone(), "provider_offerings.check_unique_backend_id", other_agent);
    let agent = world.agent().waldur(transport).policy(|policy| policy.check_backend_id_uniqueness = true);
    assert_done(&agent.run_one().await);
    assert_eq!(world.ids(), ["res"]);
    assert_eq!(world.resource(order).backend_id, "res");
    assert_eq!(world.count("provider_resources.set_backend_id"), 0);
}

#[tokio::test(start_paused = true)]
async fn c23_a_kill_between_creation_and_its_record_ends_in_one_object() {
    // Upstream's window does not exist here: the id is written first. What is left is a creation without an end.
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let faults = Faults::new(world.service.clone()).on(op("objects.create").nth(1), Action::commit_then(hang()));
        let killed = tokio::time::timeout(std::time::Duration::from_secs(5), world.agent().service(faults).run()).await;
        assert!(killed.is_err());
        assert_eq!(world.resource(order).backend_id, "res", "the id is known although nobody lived to see the object");
        assert_eq!(world.service.made(), 1);
        assert_done(&world.agent().run_one().await);
        assert_eq!((world.service.made(), world.ids().len()), (1, 1));
        assert_eq!(world.object("res"), world.object_of(world.waldur.resource_of(order), 4, 8));
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_reserved_by_a_dead_process_is_a_reservation_for_every_candidate() {
    // A stranger's object without a stamp at a reserved id may not be adopted, however far the dead process had come.
    for reserved in ["res", "res-0", "res-7", "example--1-0", "example--1-3"] {
        let world = World::new(Generation::V8);
        world.create("Res").resource(|resource| resource.slug("res").backend_id(reserved)).executing();
        let (asked, unique) = (Asked::default(), |policy: &mut waldur_sdk::process::OrderPolicy| {
            policy.check_backend_id_uniqueness = true;
        });
        let telling = asked.clone();
        let agent = world.agent().policy(unique).overriding(move |inner| Doctored::new(inner).telling(&telling));
        assert_done(&agent.run_one().await);
        let creation = asked.creations.lock().unwrap()[0].clone();
        assert_eq!((creation.backend_id.as_str(), creation.origin), (reserved, Origin::Reserved));
    }
}

#[tokio::test(start_paused = true)]
async fn f054_an_object_with_our_stamp_is_adopted() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let resource = world.waldur.resource_of(order);
        world.service.seed("res", Some(resource));
        assert_done(&world.agent().run_one().await);
        assert_eq!(world.service.made(), 0);
        assert_eq!(world.object("res").limits, world.object_of(resource, 4, 8).limits);
        assert_eq!(world.resource(order).state, ResourceState::Ok);
    }
}

#[tokio::test(start_paused = true)]
async fn f055_f111_a_foreign_object_is_named_and_not_touched() {
    for generation in BOTH {
        let world = World::new(generation);
        world.service.seed("res", Some(STRANGER));
        let before = world.service.objects();
        let order = world.create("Res").pending();
        let report = world.agent().run_one().await;
        assert_erred(&report);
        assert_eq!(world.service.objects(), before);
        let traceback = world.order(order).error_traceback;
        assert!(traceback.contains("res exists and belongs to somebody else"), "{traceback}");
        // Whose it is and whose it should be is for the operator; the customer's text does without.
        for stamp in [STRANGER, world.waldur.resource_of(order)] {
            assert!(traceback.contains(&stamp.hex()), "{traceback}");
            assert!(!world.order(order).error_message.contains(&stamp.hex()));
        }
        assert!(traceback.contains("all generated names already exist"), "{traceback}");
        // Nor is it removed or changed by orders on the resource.
        let other = world.waldur.resource(world.offering).backend_id("res").limits([("cpu", 1)]).create();
        let terminate = world.waldur.order_on(other).terminate().pending();
        assert_erred(&world.agent().run_one().await);
        assert!(world.order(terminate).error_message.contains("belongs to somebody else"));
        let update = world.waldur.order_on(other).update_limits([("cpu", 2)]).pending();
        assert_erred(&world.agent().run_one().await);
        assert_eq!(world.state(update), OrderState::Erred);
        assert_eq!(world.service.objects(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn f119_an_id_that_somebody_else_wrote_is_respected() {
    for generation in BOTH {
        let world = World::new(generation);
        world.service.seed("made-by-hand", None);
        let order = world.create("Res").pending();
        let (resource, waldur) = (world.waldur.resource_of(order), world.waldur.clone());
        // It is written between the listing and the approval.
        let by_hand = move || waldur.change_resource(resource, |row| row.backend_id("made-by-hand"));
        let transport = OnRequest::new(world.waldur.clone(), "orders.approve_by_provider", by_hand);
        let report = world.agent().waldur(transport).run_one().await;
        assert_done(&report);
        assert_eq!(report.backend_id.unwrap().as_str(), "made-by-hand");
        assert_eq!((world.service.made(), world.ids()), (0, vec!["made-by-hand".to_owned()]));
        assert_eq!(world.resource(order).backend_id, "made-by-hand");
        assert_eq!(world.count("provider_resources.set_backend_id"), 0);
        // The ordered limits are brought to it.
        assert_eq!(world.object("made-by-hand").limits["mem"], Some(8));
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_of_another_offering_is_not_adopted() {
    // Two offerings map to one name: each of their resources has a stamp of its own.
    let world = World::new(Generation::V8);
    world.create("Res").pending();
    assert_done(&world.agent().run_one().await);
    let other = World { offering: world.waldur.offering().name("Other").create(), ..world.clone() };
    let order = other.create("Res").pending();
    let report = other.agent().run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).class(), ErrorClass::Rejected);
    assert_eq!((other.service.made(), other.state(order)), (1, OrderState::Erred));
}

#[tokio::test(start_paused = true)]
async fn a_restore_without_an_id_does_not_take_over_a_strangers_object() {
    let world = World::new(Generation::V8);
    let resource = world.waldur.resource(world.offering).slug("res").state(ResourceState::Terminated).create();
    world.service.seed("res", None);
    let before = world.service.objects();
    world.waldur.order_on(resource).restore().pending();
    assert_erred(&world.agent().run_one().await);
    assert_eq!(world.service.objects(), before);
}

#[tokio::test(start_paused = true)]
async fn a_slug_that_makes_no_name_errs_before_anything_is_written() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").resource(|resource| resource.slug(" ")).pending();
    let report = world.agent().run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).kind(), ErrorKind::Config);
    assert!(world.order(order).error_message.contains("slug"));
    assert_eq!((world.service.writes(), world.count("provider_resources.set_backend_id")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_the_back_end_alone_reserves_and_waits() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let report = world.agent().around(layers::dry_run).run_one().await;
    assert_deferred(&report);
    assert!(matches!(&report.outcome, OrderOutcome::Deferred(error) if error.kind() == ErrorKind::DryRun));
    assert_eq!((world.state(order), world.service.writes()), (OrderState::Executing, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reservation_in_vain_is_taken_back_unless_somebody_made_the_object() {
    // The order fails, or is withdrawn, between its approval and the second look at it.
    for (ended, seen) in [(OrderState::Canceled, "canceled"), (OrderState::Erred, "erred")] {
        for made in [false, true] {
            let world = World::new(Generation::V8);
            let order = world.create("Res").pending();
            if made {
                world.service.seed("res", Some(world.waldur.resource_of(order)));
            }
            let waldur = world.waldur.clone();
            let end = move || waldur.set_order_state(order, ended);
            let transport = OnRequest::new(world.waldur.clone(), "orders.state", end);
            let report = world.agent().waldur(transport).run_one().await;
            assert!(matches!(&report.outcome, OrderOutcome::AlreadyFinished(state) if state.as_str() == seen));
            assert_eq!(world.resource(order).backend_id, if made { "res" } else { "" });
            assert_eq!((world.service.writes(), world.count("orders.set_state_done")), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waldur_refuses_to_publish_is_left_to_the_caller() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let refusal = status(400).json(&json!({ "backend_metadata": ["Too much."] }));
        let faults = Faults::new(world.waldur.clone()).on(op("provider_resources.set_backend_metadata"), refusal);
        let report = world.agent().waldur(faults).run_one().await;
        assert_done(&report);
        assert_eq!(warned(&report), ["set_backend_metadata"]);
        let resource = world.waldur.resource_of(order);
        assert!(matches!(
            &report.follow_ups[..],
            [FollowUp::PublishResource { resource: of, limits: None, endpoints, metadata: true, .. }]
                if *of == resource && endpoints.is_empty()
        ));
    }
}

/// Whatever a slug holds, it is refused before a back end is asked about it: none of these is a name of anything.
#[tokio::test(start_paused = true)]
async fn f159_a_slug_that_is_no_name_never_reaches_the_back_end() {
    let long = "x".repeat(300);
    for slug in ["../x", "a/b", "%2e%2e", "a?b", "a#b", "..", "a\\b", "a b", "a\0b", &long] {
        for generation in BOTH {
            let world = World::new(generation);
            let order = world.create("Res").resource(|resource| resource.slug(slug)).pending();
            let counting = Counting::new(world.service.clone());
            let report = world.agent().service(counting.clone()).run_one().await;
            assert_eq!(counting.counts().total, 0, "{slug}");
            assert_erred(&report);
            assert_eq!((world.resource(order).backend_id.as_str(), world.service.made()), ("", 0), "{slug}");
        }
    }
}
