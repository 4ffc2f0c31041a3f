//! Ceilings: from limits, options and plans to quotas (s3.md §5).

use crate::common::{
    GIB, Gate, STAMP, UID, backend, backend_with, components, count, create, cx, id, limits, quotas, request,
    set_limits, update_options, usage_components,
};
use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{Aspects, Inspection, LimitChange, Origin, ResourceBackend as _, Surroundings},
    settings::{AccountingType, Component, Components, RawSettings, WaldurComponent},
    types::{Limit, Limits, UnitFactor},
};

#[tokio::test(start_paused = true)]
async fn s02_create_sets_both_quotas_from_the_customers_limits() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 107_374_182_400, 10_000); 2]);
    let made = gate.fake.user(UID).unwrap();
    assert_eq!((made.email.as_str(), made.display_name.as_str(), made.keys.len()), (STAMP, "My bucket", 1));
    // Three dependent calls: user with its key, both quotas, proof.
    let log = gate.take_log();
    assert_eq!(log.len(), 3, "{log:#?}");
    assert!(gate.fake.unmodelled().is_empty() && gate.fake.unsigned_requests() == 0);
    assert!(gate.fake.duplicate_stamps().is_empty() && gate.fake.orphans(&[UID]).is_empty());

    // The newer names of the options win, numbers may be text.
    let gate = Gate::new();
    let options = json!({ "storage_limit": 1, "max_storage_limit": "2", "max_object_limit": 3.0, "object_limit": 9 });
    create(&crate::common::backend(gate.clone()), &request(options)).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 2 * GIB, 3); 2]);
}

#[tokio::test(start_paused = true)]
async fn s03_without_enforcement_no_quota_is_touched() {
    let gate = Gate::new();
    let components = components(AccountingType::Usage, &json!({ "enforce_limits": false }));
    let backend = backend_with(gate.clone(), json!({}), &components);
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    assert_eq!(count(&gate.take_log(), "quota"), 0);
}

#[tokio::test(start_paused = true)]
async fn s04_one_limit_sets_one_ceiling() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "object_limit": 10_000, "storage_limit": 0 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, -1, 10_000); 2]);
}

#[tokio::test(start_paused = true)]
async fn s05_no_limits_set_no_quota_and_are_told_of() {
    let gate = Gate::new();
    let created = create(&backend(gate.clone()), &request(json!({ "colour": "blue", "size": 7 }))).await.unwrap();
    assert_eq!(count(&gate.take_log(), "quota"), 0);
    assert_eq!(created.warnings.len(), 1);
    let told = created.warnings[0].to_string();
    assert!(told.contains("no ceiling") && told.contains("colour, size"), "{told}");
    assert!(!told.contains("blue"), "the names say enough: {told}");
    // Nor does it go without saying where nothing was filled in.
    let created = create(&backend(Gate::new()), &request(json!({}))).await.unwrap();
    assert!(created.warnings[0].to_string().contains("names nothing"));

    // Who has a ceiling, or was told by the settings to have none, is no news.
    let created = create(&backend(Gate::new()), &request(json!({ "object_limit": 1 }))).await.unwrap();
    assert!(created.warnings.is_empty());
    let unenforced = components(AccountingType::Usage, &json!({ "enforce_limits": false }));
    let created = create(&backend_with(Gate::new(), json!({}), &unenforced), &request(json!({}))).await.unwrap();
    assert!(created.warnings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn unusable_limits_are_refused_before_anything_is_made() {
    for bad in [json!(-5), json!("ten"), json!(1.5), json!([1]), json!(true), json!("1e30"), json!(u64::MAX)] {
        let gate = Gate::new();
        let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": bad }))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Rejected, "{bad}: {error}");
        assert!(error.customer_message().is_some());
        assert!(gate.take_log().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn ordered_limits_are_ceilings_and_no_option_overrules_them() {
    let gate = Gate::new();
    let backend = backend_with(gate.clone(), json!({}), &components(AccountingType::Limit, &json!({})));
    let request = request(json!({ "storage_limit": 999 })).with_limits(limits(100, 10_000));
    create(&backend, &request).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 100 * GIB, 10_000); 2]);
    let state = backend.get(&cx(), &id()).await.unwrap().unwrap();
    assert_eq!(state.limits, limits(100, 10_000));

    // A change names what it changes; 0 is a ceiling, and -1 is none.
    let one: Limits = [("s3_storage".to_owned(), Limit::At(0_u32.into()))].into();
    set_limits(&backend, one).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 0, 10_000); 2]);
    let none: Limits = [("s3_storage".to_owned(), Limit::Unlimited)].into();
    set_limits(&backend, none.clone()).await.unwrap();
    assert_eq!(quotas(&gate), [(true, -1, 10_000); 2]);

    // What is so already is not written again.
    gate.take_log();
    assert_eq!(set_limits(&backend, none.clone()).await.unwrap()["s3_storage"], Limit::Unlimited);
    assert_eq!(gate.take_log(), [format!("GET /admin/user?uid={UID}")]);
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_that_is_sold_and_that_the_order_does_not_name_is_told_of() {
    let told = async |limits: &[(&str, u32)]| {
        let backend = backend_with(Gate::new(), json!({}), &components(AccountingType::Limit, &json!({})));
        let limits = limits.iter().map(|(name, amount)| ((*name).to_owned(), Limit::At((*amount).into()))).collect();
        let created = create(&backend, &request(json!({ "storage_limit": 5 })).with_limits(limits)).await.unwrap();
        created.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let storage = told(&[("s3_objects", 10_000)]).await;
    assert!(storage.len() == 1 && storage[0].contains("s3_storage is sold by its limit"), "{storage:?}");
    let objects = told(&[("s3_storage", 5)]).await;
    assert!(objects.len() == 1 && objects[0].contains("s3_objects is sold"), "{objects:?}");
    assert_eq!(told(&[]).await.len(), 1, "one word about no ceiling at all");
    assert!(told(&[("s3_storage", 5), ("s3_objects", 1)]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waldur_sells_by_its_limit_is_a_ceiling_though_the_file_has_it_measured() {
    let bare = usage_components();
    let fixed = |component: &Component| {
        let mut component = component.clone();
        component.limit = Some(Limit::At(9_u32.into()));
        component
    };
    let fixed: Components = bare.iter().map(fixed).collect();
    // (Waldur's word, what the customer chose, a `limit` in the file) and whether it is carried out.
    for (billing, chosen, file, is_good) in [
        ("limit", json!({}), &bare, false),
        ("one", json!({}), &bare, false),
        ("limit", json!({ "storage_limit": 0 }), &bare, false),
        ("limit", json!({ "storage_limit": 7 }), &bare, true),
        ("limit", json!({}), &fixed, true),
        ("usage", json!({}), &bare, true),
    ] {
        let theirs = [WaldurComponent::new("s3_storage", billing), WaldurComponent::new("s3_objects", "usage")];
        let gate = Gate::new();
        let backend = backend_with(gate.clone(), json!({}), &file.merge_waldur(&theirs).0);
        let limits: Limits = [("s3_storage".to_owned(), Limit::At(100_u32.into()))].into();
        let mut order = request(json!({ "object_limit": 5 })).with_limits(limits.clone());
        order.resource.options = chosen.as_object().unwrap().clone().into();
        let mut change = LimitChange::new(order.resource.clone(), id(), limits);
        let created = create(&backend, &order).await;
        if is_good {
            created.unwrap();
            assert!(backend.set_limits(&cx(), &change).await.is_ok());
        } else {
            gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
            for error in [created.unwrap_err(), backend.set_limits(&cx(), &change).await.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Config, "{billing} {chosen}: {error}");
                assert!(error.message().starts_with("s3_storage: is sold by its limit in Waldur"), "{error}");
            }
        }
        // What takes a ceiling away, or closes, is as it was.
        for limit in [Limit::Unlimited, Limit::At(0_u32.into())] {
            change.limits = [("s3_storage".to_owned(), limit)].into();
            assert!(backend.set_limits(&cx(), &change).await.is_ok());
        }
        assert_eq!(quotas(&gate)[0].1, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_name_what_only_waldur_has_stop_nothing_where_the_file_is_right() {
    let file = components(AccountingType::Limit, &json!({}));
    let theirs = ["s3_storage", "s3_objects", "traffic"].map(|name| WaldurComponent::new(name, "limit"));
    let gate = Gate::new();
    let backend = backend_with(gate.clone(), json!({}), &file.merge_waldur(&theirs).0);
    create(&backend, &request(json!({})).with_limits(limits(5, 7))).await.unwrap();
    let traffic: Limits = [("traffic".to_owned(), Limit::At(10_u32.into()))].into();
    // A change names what it changes, and a resource may be older than what is sold now.
    set_limits(&backend, traffic.clone()).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, 7); 2]);
    let restored = request(json!({})).with_limits(traffic).with_origin(Origin::Recorded);
    create(&backend, &restored).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_component_that_is_misspelt_in_the_file_makes_no_user_without_a_ceiling() {
    for kind in [AccountingType::Limit, AccountingType::One] {
        a_misspelt_component(kind, if kind == AccountingType::One { "one" } else { "limit" }).await;
    }
}

async fn a_misspelt_component(accounting: AccountingType, billing: &str) {
    let misspelt = |component: &Component| {
        let mut component = component.clone();
        if component.name == "s3_storage" {
            "s3_storge".clone_into(&mut component.name);
        }
        component
    };
    let file: Components = components(accounting, &json!({})).iter().map(misspelt).collect();
    let theirs = ["s3_storage", "s3_objects", "traffic"].map(|name| WaldurComponent::new(name, billing));
    let gate = Gate::new();
    let backend = backend_with(gate.clone(), json!({}), &file.merge_waldur(&theirs).0);
    let order = request(json!({})).with_limits(limits(100, 10_000));
    for error in
        [create(&backend, &order).await.unwrap_err(), set_limits(&backend, limits(100, 10_000)).await.unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("s3_storge") && error.message().contains("s3_storage"), "{error}");
    }
    assert!(gate.take_log().is_empty());
    // One that names nothing that only Waldur has is as before.
    let fewer = [("s3_objects".to_owned(), Limit::At(7_u32.into()))].into();
    let created = create(&backend, &request(json!({})).with_limits(fewer)).await.unwrap();
    assert_eq!((created.warnings.len(), quotas(&gate)), (1, [(true, -1, 7); 2]));

    // Nor does a stranger beside what is sold stop anything.
    let file = components(accounting, &json!({}));
    let backend = backend_with(Gate::new(), json!({}), &file.merge_waldur(&theirs).0);
    let mut all = limits(5, 7);
    all.insert("traffic".to_owned(), Limit::At(1_u32.into()));
    create(&backend, &request(json!({})).with_limits(all.clone())).await.unwrap();
    set_limits(&backend, all).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_chosen_last_counts_under_either_name_and_a_blank_hides_nothing() {
    // (the options of today, what was ordered once, GiB)
    for (options, attributes, gigabytes) in [
        (json!({ "storage_limit": 200 }), json!({ "max_storage_limit": 100 }), 200),
        (json!({ "max_storage_limit": 200 }), json!({ "storage_limit": 100 }), 200),
        (json!({ "max_storage_limit": 3, "storage_limit": 2 }), json!({}), 3),
        (json!({ "max_storage_limit": "", "storage_limit": 2 }), json!({}), 2),
        (json!({ "max_storage_limit": null, "storage_limit": "2" }), json!({}), 2),
        (json!({}), json!({ "max_storage_limit": " ", "storage_limit": 4 }), 4),
        (json!({ "object_limit": 1 }), json!({ "storage_limit": 4 }), 4),
        // An empty field of the form of options, and what was ordered under the other name.
        (json!({ "storage_limit": null }), json!({ "max_storage_limit": 100 }), 100),
        (json!({ "storage_limit": "" }), json!({ "max_storage_limit": 100, "storage_limit": 9 }), 100),
        (json!({ "max_storage_limit": "" }), json!({ "max_storage_limit": 100, "storage_limit": 9 }), 9),
    ] {
        let gate = Gate::new();
        let backend = backend(gate.clone());
        let mut request = request(attributes.clone());
        request.resource.options = options.as_object().unwrap().clone().into();
        create(&backend, &request).await.unwrap();
        assert_eq!(quotas(&gate)[0].1, gigabytes * GIB, "{options} {attributes}");
        // The upkeep sees no other ceiling than the order did.
        let about = Surroundings::new(request.resource.clone());
        let upkeep = backend.upkeep().unwrap();
        backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await;
        gate.take_log();
        upkeep.sync_project(&cx(), &id(), &about).await.unwrap();
        assert!(gate.take_log().is_empty(), "{options} {attributes}");
        update_options(&backend, json!({ "storage_limit": 7 })).await.unwrap();
        backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await;
        upkeep.sync_project(&cx(), &id(), &about).await.unwrap();
        assert_eq!(quotas(&gate)[0].1, gigabytes * GIB, "{options} {attributes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_that_was_emptied_hides_what_was_ordered_under_its_own_name() {
    for name in ["storage_limit", "max_storage_limit"] {
        let gate = Gate::new();
        let mut request = request(json!({ name: 100 }));
        request.resource.options = json!({ name: "" }).as_object().unwrap().clone().into();
        create(&backend(gate.clone()), &request).await.unwrap();
        assert_eq!(quotas(&gate), [(false, -1, -1); 2], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_that_was_closed_by_a_soft_deletion_opens_when_it_is_restored() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    set_limits(&backend, limits(0, 0)).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 0, 0); 2]);
    create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
}

#[tokio::test(start_paused = true)]
async fn s38_a_changed_option_changes_both_quotas_and_keeps_the_other_ceiling() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    update_options(&backend, json!({ "storage_limit": 200 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 200 * GIB, 10_000); 2]);
    // 0 takes a ceiling away.
    update_options(&backend, json!({ "object_limit": 0 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 200 * GIB, -1); 2]);
    // Nothing of ours changed: nothing is even read.
    gate.take_log();
    update_options(&backend, json!({ "colour": "red" })).await.unwrap();
    assert!(gate.take_log().is_empty());
    assert_eq!(
        update_options(&backend, json!({ "storage_limit": "lots" })).await.unwrap_err().class(),
        ErrorClass::Rejected
    );
}

#[tokio::test(start_paused = true)]
async fn limits_of_waldur_do_not_undo_the_customers_own_unless_they_close() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "storage_limit": 100 }))).await.unwrap();
    gate.take_log();
    // What a plan grants.
    set_limits(&backend, limits(50, 5)).await.unwrap();
    let unlimited = limits(1, 1).into_keys().map(|component| (component, Limit::Unlimited)).collect();
    set_limits(&backend, unlimited).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 100 * GIB, -1); 2]);
    assert_eq!(count(&gate.take_log(), "PUT"), 0);
    set_limits(&backend, limits(0, 0)).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 0, 0); 2]);
}

#[tokio::test(start_paused = true)]
async fn s37_a_diagnosis_names_the_components_that_are_nobodys() {
    let named = |storage: &str| {
        let rename = |component: &Component| {
            let mut component = component.clone();
            if component.name == "s3_storage" {
                component.raw = RawSettings::from_value("s3_storage", &json!({ "backend_name": storage })).unwrap();
            }
            component
        };
        usage_components().iter().map(rename).collect::<Components>()
    };
    for (storage, warned) in [("storage", 0), ("storag", 1)] {
        let findings = backend_with(Gate::new(), json!({}), &named(storage)).diagnose(&cx()).await;
        let about =
            findings.iter().filter(|finding| finding.check == "backend_name" && finding.detail.contains("s3_storage"));
        assert_eq!(about.count(), warned, "{storage}: {findings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_ceiling_is_not_the_customers_to_lift() {
    let fixed = |component: &Component| {
        let mut component = component.clone();
        component.limit = (component.name == "s3_storage").then(|| Limit::At(5_u32.into()));
        component
    };
    let components: Components = usage_components().iter().map(fixed).collect();
    // Left blank, 0, and a choice of one's own.
    for (options, size) in [(json!({}), 5), (json!({ "storage_limit": 0 }), 5), (json!({ "storage_limit": 9 }), 9)] {
        let gate = Gate::new();
        create(&backend_with(gate.clone(), json!({}), &components), &request(options.clone())).await.unwrap();
        assert_eq!(quotas(&gate), [(true, size * GIB, -1); 2], "{options}");
    }
    let gate = Gate::new();
    let backend = backend_with(gate.clone(), json!({}), &components);
    create(&backend, &request(json!({ "storage_limit": 9, "object_limit": 9 }))).await.unwrap();
    update_options(&backend, json!({ "storage_limit": 0, "object_limit": 0 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    // What is not named stays.
    update_options(&backend, json!({ "object_limit": 3 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, 3); 2]);
}

#[tokio::test(start_paused = true)]
async fn small_ceilings_on_croit_are_what_was_ordered() {
    let small = |component: &Component| {
        let mut component = component.clone();
        if component.name == "s3_storage" {
            component.unit_factor = UnitFactor::new(1_000_000.into()).unwrap();
        }
        component
    };
    let components: Components = components(AccountingType::Limit, &json!({})).iter().map(small).collect();
    for megabytes in [0, 1, 7, 99, 1_000_003] {
        let gate = Gate::croit();
        let backend = gate.backend(json!({}), &components);
        create(&backend, &request(json!({})).with_limits(limits(megabytes, 10))).await.unwrap();
        assert_eq!(backend.get(&cx(), &id()).await.unwrap().unwrap().limits, limits(megabytes, 10));
        assert_eq!(set_limits(&backend, limits(megabytes + 1, 10)).await.unwrap(), limits(megabytes + 1, 10));
        // What somebody else has set is told as it is.
        gate.fake.edit_user(UID, |user| user.user_quota.max_size = 2_500_608).unwrap();
        let found = backend.get(&cx(), &id()).await.unwrap().unwrap().limits["s3_storage"];
        assert!(matches!(found, Limit::At(amount) if amount.to_string() == "2.500608"), "{found}");
    }
}
