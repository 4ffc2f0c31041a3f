//! Everything about a resource beside its members (core.md §3.6 to §3.8, §9 C43, C45, C47, C48; faults.md row 112).

use serde_json::json;
use waldur_sdk::{
    Error,
    backend::{Capabilities, EndDate, LimitsAuthority, OpContext, Status, layers},
    client::WaldurClient,
    process::{Change, OfferingContext, SyncOutcome},
    rest::Http,
    settings::{AccountingType, Component, Components},
    testing::{
        Action, Faults, MemoryBackend, op, status,
        waldur::{Billing, ComponentSeed, Generation},
    },
    types::Date,
};

use crate::{
    orders::BOTH,
    watching::{Seen, Watching, watched},
    world::{Agent, MINUTE, Site, assert_synced, line, only, pass_time, run},
};

/// An agent whose back end says whose limits win.
fn with_authority(site: &Site, authority: LimitsAuthority) -> Agent {
    let capabilities = Capabilities::default().with_limits_authority(authority);
    site.agent().memory(move |memory| memory.with_members().with_status().with_capabilities(capabilities))
}

#[tokio::test(start_paused = true)]
async fn c43_paused_counts_before_downscaled_and_a_healthy_resource_is_not_restored() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let seen = Seen::default();
    let agent = watched(&site, &seen).build();
    for (paused, downscaled, wanted) in [
        (false, false, "active"),
        (true, true, "paused"),
        (true, false, "paused"),
        (false, true, "downscaled"),
        (false, false, "active"),
        (false, false, "active"),
    ] {
        site.waldur().change_resource(resource, |row| row.paused(paused).downscaled(downscaled));
        assert_synced(&run(&agent).await);
        assert_eq!(site.object("one").status, wanted);
    }
    // Each change once; what is so already is not touched.
    assert_eq!(seen.statuses(), [Status::Paused, Status::Downscaled, Status::Active]);
    assert!(seen.limits().is_empty(), "no quota was touched");
}

#[tokio::test(start_paused = true)]
async fn c43_a_back_end_that_pauses_by_quota_is_not_undone_by_the_limits() {
    for authority in [LimitsAuthority::Waldur, LimitsAuthority::Backend] {
        let site = Site::new(Generation::V8);
        let resource = site.resource("one", &[]);
        site.waldur().change_resource(resource, |row| row.paused(true));
        site.edit("one", |object| {
            "paused".clone_into(&mut object.status);
            object.limits = [("cpu".to_owned(), Some(0)), ("mem".to_owned(), Some(0))].into();
        });
        let agent = with_authority(&site, authority).build();
        run(&agent).await;
        assert_eq!(site.object("one").limits["cpu"], Some(0));
        assert_eq!(site.waldur().resource_view(resource).limits, crate::orders::limits(4, 8));
        assert_eq!(site.service().writes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn c45_a_limit_of_a_user_is_set_and_taken_away_for_that_user_alone() {
    let site = Site::new(Generation::V8);
    let (a, _b) = (site.member("a"), site.member("b"));
    let outsider = site.waldur().user("outsider").create();
    let resource = site.resource("one", &["a", "b"]);
    let limit = site.waldur().user_limit(resource, a, "cpu", "2.00");
    site.waldur().user_limit(resource, a, "mem", "3");
    site.waldur().user_limit(resource, outsider, "cpu", "1");
    site.edit("one", |object| {
        object.user_limits.insert("b".to_owned(), [("cpu".to_owned(), Some(1))].into());
        object.user_limits.insert("stranger".to_owned(), [("cpu".to_owned(), Some(1))].into());
    });
    let agent = site.agent().memory(|memory| memory.with_members().with_user_limits()).build();
    let report = run(&agent).await;
    let limits = |name: &str| site.object("one").user_limits.get(name).cloned().unwrap_or_default();
    assert_eq!(limits("a"), [("cpu".to_owned(), Some(2)), ("mem".to_owned(), Some(3))].into());
    assert!(limits("b").is_empty(), "gone in Waldur, so taken away");
    assert_eq!(limits("stranger").len(), 1, "who has no access is not touched");
    assert_eq!(only(&report).changes.len(), 2, "{report:#?}");
    let writes = site.service().writes();
    run(&agent).await;
    assert_eq!(site.service().writes(), writes);
    site.waldur().remove_user_limit(limit);
    run(&agent).await;
    assert_eq!(limits("a"), [("mem".to_owned(), Some(3))].into());
    // One list for the offering, whatever the number of resources.
    assert_eq!(site.world.count("user_usage_limits.list"), 3);
    site.waldur().change_resource(resource, |row| row.restrict_member_access(true));
    run(&agent).await;
    assert_eq!(limits("a").len(), 1, "nobody's limits of a restricted resource");
}

#[tokio::test(start_paused = true)]
async fn c45_user_limits_that_are_not_proven_whole_are_left_alone() {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.resource("one", &["a"]);
    site.edit("one", |object| {
        object.user_limits.insert("a".to_owned(), [("cpu".to_owned(), Some(1))].into());
    });
    for action in [
        Action::refuse(status(500)),
        Action::replace_body(json!([{ "component_type": "cpu" }]).to_string()),
        Action::from(status(200).json(&json!([])).header("x-result-count", "4")),
    ] {
        let faults = Faults::new(site.waldur().clone()).on(op("user_usage_limits.list"), action);
        let agent = site.agent().memory(|memory| memory.with_members().with_user_limits());
        let report = agent.waldur(faults).sending_once().run().await;
        assert_synced(&report);
        assert_eq!((report.warnings.len(), site.object("one").user_limits.len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn c47_a_prepaid_budget_stays_what_was_paid_for() {
    for authority in [LimitsAuthority::Backend, LimitsAuthority::Waldur, LimitsAuthority::None] {
        let site = Site::new(Generation::V8);
        let resource = site.resource("one", &[]);
        site.waldur().change_resource(resource, |row| row.limits([("cpu", 100), ("mem", 8)]));
        site.edit("one", |object| {
            object.limits.insert("cpu".to_owned(), Some(1200));
        });
        let mut prepaid = Component::new("cpu", AccountingType::Limit);
        prepaid.is_prepaid = Some(true);
        let components = [prepaid, Component::new("mem", AccountingType::Limit)].into_iter().collect();
        run(&with_authority(&site, authority).components(components).build()).await;
        assert_eq!(site.object("one").limits["cpu"], Some(1200));
        assert_eq!(site.waldur().resource_view(resource).limits["cpu"], json!(100));
        assert_eq!(site.service().writes(), 0);
    }
}

/// The components of a provider who knows nothing of prepaid ones, merged with Waldur's.
async fn merged(site: &Site) -> Components {
    let own = [Component::new("credit", AccountingType::Limit)].into_iter().collect();
    let http = Http::new(site.waldur().clone());
    let client = WaldurClient::builder(site.waldur().base_url()).token(site.waldur().token()).http(http);
    OfferingContext::load(&client.build().unwrap(), site.offering(), &own).await.unwrap().components
}

#[tokio::test(start_paused = true)]
async fn c47_what_only_waldur_calls_prepaid_stays_what_was_paid_for() {
    for (prepaid, authority) in [
        (true, LimitsAuthority::Waldur),
        (true, LimitsAuthority::Backend),
        (true, LimitsAuthority::None),
        (false, LimitsAuthority::Waldur),
    ] {
        let site = Site::selling(Generation::V8, |offering| {
            let sold = |one: ComponentSeed| if prepaid { one.prepaid() } else { one };
            offering.component_with("credit", Billing::Limit, sold).component_with("extra", Billing::Limit, sold)
        });
        let resource = site.resource("one", &[]);
        let ordered = [("cpu", 4), ("mem", 8), ("credit", 100), ("extra", 100)];
        site.waldur().change_resource(resource, |row| row.limits(ordered));
        site.edit("one", |object| {
            for name in ["credit", "extra"] {
                object.limits.insert(name.to_owned(), Some(1200));
            }
        });
        let components = merged(&site).await;
        let report = run(&with_authority(&site, authority).components(components).build()).await;
        let found = ["credit", "extra"].map(|name| site.object("one").limits[name]);
        assert_eq!(found, [Some(if prepaid { 1200 } else { 100 }); 2], "{authority:?}");
        assert_eq!(site.waldur().resource_view(resource).limits["credit"], json!(100));
        assert_eq!(only(&report).changes.is_empty(), prepaid, "{report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c48_limits_of_the_back_end_reach_waldur_merged() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    site.waldur().change_resource(resource, |row| row.limits([("cpu", 4), ("mem", 8), ("odd", 3)]));
    site.edit("one", |object| object.limits = [("cpu".to_owned(), Some(6))].into());
    let agent = with_authority(&site, LimitsAuthority::Backend).build();
    run(&agent).await;
    let limits = site.waldur().resource_view(resource).limits;
    assert_eq!(serde_json::Value::Object(limits), json!({ "cpu": 6, "mem": 8, "odd": 3 }));
    assert_eq!(site.writes(), ["provider_resources.set_limits"]);
    run(&agent).await;
    assert_eq!(site.writes(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn f112_limits_that_somebody_changed_are_left_told_or_undone_by_authority() {
    for authority in [LimitsAuthority::None, LimitsAuthority::Backend, LimitsAuthority::Waldur] {
        let site = Site::new(Generation::V8);
        let resource = site.resource("one", &[]);
        site.edit("one", |object| {
            object.limits.insert("cpu".to_owned(), Some(9));
        });
        let report = run(&with_authority(&site, authority).build()).await;
        let (waldur, object) = (site.waldur().resource_view(resource).limits["cpu"].clone(), site.object("one"));
        let wanted = match authority {
            LimitsAuthority::Backend => (json!(9), Some(9)),
            LimitsAuthority::Waldur => (json!(4), Some(4)),
            _ => (json!(4), Some(9)),
        };
        assert_eq!((waldur, object.limits["cpu"]), wanted);
        let change = &only(&report).changes[0];
        assert_eq!(matches!(change, Change::LimitsDiffer { .. }), authority == LimitsAuthority::None, "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f112_an_order_that_came_between_is_not_undone() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    site.edit("one", |object| {
        object.limits.insert("cpu".to_owned(), Some(9));
    });
    // The list still shows the old limits; an order is done before the resource is looked at again.
    let ordered = site.clone();
    let between = crate::orders::OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        ordered.waldur().change_resource(resource, |row| row.limits([("cpu", 9), ("mem", 8)]));
    });
    run(&with_authority(&site, LimitsAuthority::Waldur).waldur(between).build()).await;
    assert_eq!((site.object("one").limits["cpu"], site.service().writes()), (Some(9), 0));
}

#[tokio::test(start_paused = true)]
async fn f158_metadata_are_published_on_change_and_others_keep_theirs() {
    for generation in BOTH {
        let site = Site::new(generation);
        let resource = site.resource("one", &[]);
        let theirs = json!({ "object_id": "one", "theirs": { "key": 1 } });
        site.waldur().change_resource(resource, |row| row.backend_metadata(theirs.clone()));
        let seen = Seen::default();
        let agent = watched(&site, &seen).build();
        run(&agent).await;
        assert_eq!(site.waldur().resource_view(resource).backend_metadata, theirs);
        let publish = |value: serde_json::Value| {
            let serde_json::Value::Object(members) = value else { panic!("an object") };
            seen.edit(|told| told.metadata = Some(members.into()));
        };
        publish(json!({ "object_id": "one", "node": "n1" }));
        run(&agent).await;
        let wanted = json!({ "object_id": "one", "node": "n1", "theirs": { "key": 1 } });
        assert_eq!(site.waldur().resource_view(resource).backend_metadata, wanted);
        // What is no longer published goes, what is others' stays.
        publish(json!({ "object_id": "one" }));
        run(&agent).await;
        assert_eq!(site.waldur().resource_view(resource).backend_metadata, theirs);
        run(&agent).await;
        assert_eq!(site.world.count("provider_resources.set_backend_metadata"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_back_end_withdraws_goes_though_another_process_has_published_it() {
    for generation in BOTH {
        let site = Site::new(generation);
        let resource = site.resource("one", &[]);
        let before = json!({ "object_id": "one", "secret_key": "s", "theirs": 1 });
        site.waldur().change_resource(resource, |row| row.backend_metadata(before.clone()));
        let seen = Seen::default();
        seen.edit(|told| told.withdrawn = ["secret_key".to_owned()].into());
        let told = seen.clone();
        let agent = site.agent().memory(|memory| memory.with_members().with_status().with_user_limits());
        let agent = agent.around(move |backend| layers::limit(Watching::over(backend, told), 4)).build();
        run(&agent).await;
        let after = json!({ "object_id": "one", "theirs": 1 });
        assert_eq!(site.waldur().resource_view(resource).backend_metadata, after);
        assert_eq!(serde_json::to_value(seen.edit(|told| told.published.clone())).unwrap(), json!([before]));
        run(&agent).await;
        assert_eq!(site.world.count("provider_resources.set_backend_metadata"), 1);
        assert_eq!(serde_json::to_value(seen.edit(|told| told.published.clone())).unwrap(), json!([after]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_published_key_goes_once_waldur_lists_those_that_take_its_place() {
    for generation in BOTH {
        let site = Site::new(generation);
        let resource = site.resource("one", &[]);
        let before = json!({ "object_id": "one", "secret_key": "s", "theirs": 1 });
        site.waldur().change_resource(resource, |row| row.backend_metadata(before.clone()));
        let seen = Seen::default();
        seen.edit(|told| told.replaced_by_keys = ["secret_key".to_owned()].into());
        let agent = watched(&site, &seen).build();
        let stands = || site.waldur().resource_view(resource).backend_metadata;
        for listed in 0..2 {
            let report = agent.run_once(&OpContext::new("pass")).await.unwrap();
            assert_eq!((report.resources[0].warnings.len(), stands()), (1, before.clone()), "{listed}: {report:#?}");
            if generation == Generation::V8 {
                site.waldur().api_key(resource, format!("key-{listed}")).create();
            }
        }
        agent.run_once(&OpContext::new("pass")).await.unwrap();
        let after = if generation == Generation::V8 { json!({ "object_id": "one", "theirs": 1 }) } else { before };
        assert_eq!(stands(), after, "where there are no API keys, nothing takes its place");
        // Nobody asks for what is settled.
        let asked = site.world.count("api_keys.list");
        agent.run_once(&OpContext::new("pass")).await.unwrap();
        assert_eq!(site.world.count("api_keys.list"), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_one_customers_is_not_published_to_all() {
    for (theirs, list, shown) in [
        (Some("other"), 200, true),
        (None, 200, true),
        (Some("mine"), 200, false),
        // Which key it is, the row does not say.
        (Some(""), 200, false),
        (None, 500, false),
    ] {
        let site = Site::new(Generation::V8);
        let resource = site.resource("one", &[]);
        match theirs {
            Some("") => drop(site.waldur().api_key(resource, "").without_client_id().create()),
            Some(theirs) => drop(site.waldur().api_key(resource, theirs).create()),
            None => {}
        }
        let seen = Seen::default();
        seen.edit(|told| {
            let serde_json::Value::Object(metadata) = json!({ "credentials": "of mine", "quota": 1 }) else { return };
            told.metadata = Some(metadata.into());
            told.first_published = [("credentials".to_owned(), "mine".to_owned())].into();
        });
        let mut agent = watched(&site, &seen);
        if list != 200 {
            agent = agent.waldur(Faults::new(site.waldur().clone()).on(op("api_keys.list"), status(list)));
        }
        let report = agent.build().run_once(&OpContext::new("pass")).await.unwrap();
        let metadata = site.waldur().resource_view(resource).backend_metadata;
        assert_eq!(metadata["quota"], 1, "{report:#?}");
        assert_eq!(metadata.get("credentials").is_some(), shown, "{theirs:?} {list}");
        assert_eq!(report.resources[0].warnings.is_empty(), shown, "{theirs:?} {list}: {report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_beside_an_object_is_told_and_holds_nothing_up() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let seen = Seen::default();
    seen.edit(|told| told.warnings = vec![Error::not_ready("no statistics")]);
    site.waldur().change_resource(resource, |row| row.paused(true));
    let agent = watched(&site, &seen).build();
    for _twice in 0..2 {
        let report = run(&agent).await;
        let sync = only(&report);
        assert!(matches!(sync.outcome, SyncOutcome::Synced), "{sync:#?}");
        assert_eq!(sync.warnings.iter().map(|warning| warning.step).collect::<Vec<_>>(), ["inspect"]);
    }
    assert_eq!(seen.statuses(), [Status::Paused]);
}

#[tokio::test(start_paused = true)]
async fn ordered_limits_are_told_to_upkeep_where_waldur_has_the_say() {
    for authority in [LimitsAuthority::Waldur, LimitsAuthority::Backend, LimitsAuthority::None] {
        let site = Site::new(Generation::V8);
        site.resource("one", &[]);
        let seen = Seen::default();
        run(&watched(&site, &seen).policy(|policy| policy.limits_authority = Some(authority)).build()).await;
        let told = seen.edit(|told| told.about.last().unwrap().limits.keys().cloned().collect::<Vec<_>>());
        let wanted = if authority == LimitsAuthority::Waldur { vec!["cpu", "mem"] } else { vec![] };
        assert_eq!(told, wanted, "{authority:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waldur_is_told_once_an_hour_that_a_resource_was_seen() {
    let site = Site::new(Generation::V8);
    site.resource("one", &[]);
    let agent = site.agent().build();
    let mut told = Vec::new();
    for _ in 0..30 {
        run(&agent).await;
        told.push(site.writes().len());
        pass_time(5 * MINUTE).await;
    }
    // The row is new, so the first hour needs no word.
    assert_eq!(told.iter().sum::<usize>(), 2, "{told:?}");
    // Neither does an agent that has just been started, or another one beside this.
    pass_time(MINUTE).await;
    site.pass().await;
    let soon = site.writes().len();
    pass_time(61 * MINUTE).await;
    site.pass().await;
    assert_eq!((soon, site.writes().as_slice()), (0, ["provider_resources.refresh_last_sync"].as_slice()));
}

#[tokio::test(start_paused = true)]
async fn surroundings_reach_the_back_end_and_its_dates_reach_waldur() {
    let site = Site::new(Generation::V8);
    let project = site.waldur().project("P").description("about").end_date(Date::constant(2027, 1, 1)).create();
    let resource = site.resource_in(project, "one", &[]);
    let date = Date::constant(2026, 12, 31);
    let seen = Seen::default();
    seen.edit(|told| {
        told.end_date = EndDate::Set(Some(date));
        told.effective_id = Some("behind-1".to_owned());
    });
    // Whatever the fake makes of the two calls, what is asked of it is what counts here.
    let taken = || Action::from(status(200).json(&json!({})));
    let faults = Faults::new(site.waldur().clone())
        .on(op("provider_resources.set_end_date"), taken())
        .on(op("provider_resources.set_effective_id"), taken());
    let recorded = waldur_sdk::testing::Recording::new(faults);
    let agent = watched(&site, &seen).waldur(recorded.clone()).build();
    let report = run(&agent).await;
    assert_eq!(only(&report).changes, [Change::EndDate, Change::EffectiveId]);
    let about = seen.edit(|told| told.about.remove(0));
    assert_eq!(about.project_description.as_deref(), Some("about"));
    assert_eq!((about.project_end_date, about.resource.project.name.as_str()), (Some(Date::constant(2027, 1, 1)), "P"));
    assert_eq!(recorded.of("provider_resources.set_end_date").len(), 1);
    // Once Waldur has them, nothing is said.
    site.waldur().change_resource(resource, |row| row.end_date(date).effective_id("behind-1"));
    run(&agent).await;
    assert_eq!(recorded.of("provider_resources.set_end_date").len(), 1);
    assert_eq!(recorded.of("provider_resources.set_effective_id").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_access_of_each_member_is_told_where_the_offering_wants_to_know() {
    let site = Site::selling(Generation::V8, |offering| offering.plugin_option("enable_membership_sync_status", true));
    let users = ["a", "refused"].map(|name| site.member(name));
    let nameless = site.waldur().user("n").project_role(site.project(), "PROJECT.ADMIN").create();
    site.service().refuse_member("refused");
    let resource = site.resource("one", &[]);
    let agent = site.agent().build();
    let report = run(&agent).await;
    assert_eq!(line(&only(&report).added), "a");
    let told = site.waldur().member_statuses(resource);
    let of = |user: waldur_sdk::types::UserUuid| {
        told.iter().find(|one| one["user_uuid"] == json!(user)).map(|one| one["state"].clone()).unwrap()
    };
    assert_eq!((of(users[0]), of(users[1]), of(nameless)), (json!("synced"), json!("error"), json!("pending")));
    run(&agent).await;
    assert_eq!(site.world.count("provider_resources.set_membership_sync_statuses"), 1, "told once");
    // An offering that does not want to know is not told.
    let quiet = Site::new(Generation::V8);
    quiet.member("a");
    quiet.resource("one", &[]);
    quiet.pass().await;
    assert_eq!(quiet.writes(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn f157_limits_that_do_not_take_effect_are_a_failure() {
    let site = Site::new(Generation::V8);
    site.resource("one", &[]);
    site.edit("one", |object| {
        object.limits.insert("cpu".to_owned(), Some(9));
    });
    let lying = Faults::new(site.service().clone()).on(op("objects.limits"), Action::swallow());
    let report = run(&with_authority(&site, LimitsAuthority::Waldur).service(lying).build()).await;
    let outcome = &only(&report).outcome;
    assert!(matches!(outcome, waldur_sdk::process::SyncOutcome::Failing(..)), "{outcome}");
    assert!(only(&report).changes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn sec50_every_write_is_in_the_report() {
    let site = Site::selling(Generation::V8, |offering| {
        offering.plugin_option("service_provider_can_create_offering_user", true)
    });
    let user = site.member("a");
    let new = site.waldur().user("new@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), new).without_username();
    account.state(waldur_sdk::testing::waldur::OfferingUserState::Creating).create();
    site.waldur().service_account(site.project(), "svc").create();
    let resource = site.resource("one", &["stale"]);
    let downscaled = site.resource("two", &["a", "new", "svc"]);
    site.waldur().change_resource(downscaled, |row| row.downscaled(true));
    site.waldur().change_resource(resource, |row| row.backend_metadata(json!({})));
    site.waldur().user_limit(resource, user, "cpu", "2");
    site.edit("one", |object| {
        object.limits.insert("cpu".to_owned(), Some(9));
    });
    pass_time(2 * 60 * MINUTE).await;
    let names = crate::world::Names::new();
    names.answer("new@idp", crate::world::Answer::Name("new"));
    let capabilities = Capabilities::default().with_limits_authority(LimitsAuthority::Waldur);
    let whole = move |memory: MemoryBackend| {
        memory.with_members().with_status().with_user_limits().with_capabilities(capabilities)
    };
    let report = run(&site.agent().memory(whole).usernames(&names).build()).await;
    assert_synced(&report);
    let told = |one: &waldur_sdk::process::ResourceSync| one.added.len() + one.removed.len() + one.changes.len();
    let in_report: usize = report.resources.iter().map(told).sum();
    let writes = site.writes().len() + usize::try_from(site.service().writes()).unwrap();
    assert_eq!(in_report + report.usernames.accounts.len(), writes, "{report:#?}");
}
