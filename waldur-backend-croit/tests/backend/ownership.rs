//! Whose a user is: adopted, left alone, refused (s3.md §3).

use std::sync::Arc;

use crate::common::{
    Failure, GIB, Gate, On, STAMP, UID, backend, backend_with, components, create, cx, delete, environment, limits,
    now, order, published_key_works, quotas, request, resource, server_error, set_limits, update_options,
    usage_components, user,
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{DeleteRequest, Importable, LimitChange, Origin, Progress, ResourceBackend as _},
    client::{AgentMode, WaldurClient},
    process::ResourceImport,
    rest::{Http, TransportErrorKind},
    settings::AccountingType,
    testing::waldur::{Billing, FakeWaldur, Generation},
    types::{BackendId, Limit},
};

#[tokio::test(start_paused = true)]
async fn s06_a_user_of_ours_is_adopted_and_brought_to_what_was_ordered() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    let backend = backend(gate.clone());
    let created = create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    let keys = gate.fake.user(UID).unwrap().keys;
    assert_eq!((keys.len(), keys[0].secret_key.expose_secret()), (1, "our-secret"));
    assert_eq!(created.metadata["s3_credentials"]["access_key"], "OURKEY");

    // A stamp with dashes is the Python plugin's.
    let dashed = "waldur-12345678-9abc-def0-1234-56789abcdef0-waldur_org_proj_12345678@invalid";
    gate.fake.edit_user(UID, |user| dashed.clone_into(user.email)).unwrap();
    create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn s21_an_order_that_adopts_publishes_no_key_of_a_customers_own() {
    // What ceph_s3 1.0.7 left: keys that Waldur lists, and nothing published.
    for (on, mode) in [On::RadosGw, On::Croit].into_iter().flat_map(|on| ["metadata", "both"].map(|mode| (on, mode))) {
        for origin in [Origin::Recorded, Origin::Reserved] {
            let gate = Gate::on(on);
            let user = SeedUser::new(UID).email(STAMP).key("ONE", "secret-of-one").key("TWO", "secret-of-two");
            gate.fake.add_user(user).unwrap();
            for attempt in ["first", "again"] {
                let backend = gate.backend(json!({ "credentials_mode": mode }), &usage_components());
                let created = create(&backend, &request(json!({})).with_origin(origin)).await.unwrap();
                let published = json!(created.metadata);
                let what = format!("{on:?} {mode} {origin:?} {attempt}");
                assert!(!published.to_string().contains("secret-of-"), "{what}: {published}");
                assert_eq!(published_key_works(&gate.fake, &published), Some(true), "{what}");
                assert_eq!(gate.fake.user(UID).unwrap().keys.len(), 3, "{what}");
            }
            // What is published stays, whatever it is.
            let mut request = request(json!({})).with_origin(origin);
            request.resource.metadata.insert("s3_credentials".to_owned(), json!({ "access_key": "ONE" }));
            let backend = gate.backend(json!({ "credentials_mode": mode }), &usage_components());
            let created = create(&backend, &request).await.unwrap();
            assert_eq!(created.metadata["s3_credentials"]["access_key"], "ONE");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s21_a_key_that_was_made_to_be_published_and_does_not_show_lets_no_other_take_its_place() {
    let stale = |on: On| {
        let keys = json!([
            { "user": UID, "access_key": "ONE", "secret_key": "secret-of-one" },
            { "user": UID, "access_key": "TWO", "secret_key": "secret-of-two" },
        ]);
        let body = if on == On::Croit { keys } else { user(UID, json!({ "email": STAMP, "keys": keys })) };
        Failure::Status(200, body.to_string())
    };
    let modes = ["metadata", "both"];
    for (on, mode) in [On::RadosGw, On::Croit].into_iter().flat_map(|on| modes.map(|mode| (on, mode))) {
        for is_lost in [true, false] {
            let gate = Gate::on(on);
            let two = SeedUser::new(UID).email(STAMP).key("ONE", "secret-of-one").key("TWO", "secret-of-two");
            gate.fake.add_user(two).unwrap();
            if is_lost {
                gate.fake.lose_writes("key.create", 1);
            } else {
                // The first one is that before the key is made.
                let look = if on == On::Croit {
                    format!("GET /api/s3/users/{UID}/keys")
                } else {
                    "GET /admin/user?uid=".into()
                };
                gate.fail_after(1, &look, 1, stale(on));
            }
            let backend = gate.backend(json!({ "credentials_mode": mode }), &usage_components());
            let request = request(json!({})).with_origin(Origin::Recorded);
            let published = json!(create(&backend, &request).await.unwrap().metadata);
            assert!(!published.to_string().contains("secret-of-"), "{on:?} {mode} {is_lost}: {published}");
            assert_eq!(published_key_works(&gate.fake, &published), Some(true), "{on:?} {mode} {is_lost}");
            assert_eq!(gate.fake.user(UID).unwrap().keys.len(), 3, "{on:?} {mode} {is_lost}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s21_an_order_makes_no_key_for_a_user_without_the_resources_stamp() {
    // croit cannot stamp a user that is there.
    for mode in ["metadata", "both"] {
        for (keys, recorded, wanted) in [
            (vec!["ONE", "TWO"], None, None),
            (vec!["ONE", "TWO"], Some("TWO"), Some("TWO")),
            (vec!["ONE"], None, Some("ONE")),
            (vec![], None, None),
        ] {
            let gate = Gate::croit();
            let user = keys.iter().fold(SeedUser::new(UID), |user, key| user.key(key, "a-secret"));
            gate.fake.add_user(user).unwrap();
            let mut request = request(json!({ "storage_limit": 5 })).with_origin(Origin::Recorded);
            if let Some(key) = recorded {
                request.resource.metadata.insert("s3_credentials".to_owned(), json!({ "access_key": key }));
            }
            let backend = gate.backend(json!({ "credentials_mode": mode }), &usage_components());
            let created = create(&backend, &request).await.unwrap();
            let published = created.metadata.get("s3_credentials").map(|pair| pair["access_key"].clone());
            assert_eq!(published, wanted.map(Into::into), "{mode} {keys:?}");
            assert_eq!(gate.fake.user(UID).unwrap().keys.len(), keys.len(), "{mode} {keys:?}");
            let told: Vec<_> = created.warnings.iter().filter(|told| told.to_string().contains("no key")).collect();
            assert_eq!(told.len(), usize::from(wanted.is_none()), "{mode} {keys:?}: {:?}", created.warnings);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f054_a_taken_name_is_ours_if_the_stamp_says_so() {
    // Whatever the gateway calls taken: the name, or the address that holds the stamp.
    for code in ["UserAlreadyExists", "EmailExists"] {
        let gate = Gate::new();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
        gate.fail("PUT /admin/user?uid=", 1, Failure::Status(409, format!(r#"{{"Code":"{code}"}}"#)));
        let created = create(&backend(gate.clone()), &request(json!({ "object_limit": 5 }))).await.unwrap();
        assert_eq!(quotas(&gate), [(true, -1, 5); 2]);
        // It had no key, so it got one.
        let key = &gate.fake.user(UID).unwrap().keys[0];
        assert_eq!(created.metadata["s3_credentials"]["access_key"], key.access_key.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_is_finished_and_not_repeated() {
    let failures = [
        server_error(),
        Failure::Status(502, "<html>bad gateway</html>".to_owned()),
        Failure::Status(504, String::new()),
        Failure::Transport(TransportErrorKind::Timeout),
        Failure::Transport(TransportErrorKind::Interrupted),
        Failure::Status(200, "{\"tenant\":\"\",\"user_".to_owned()),
    ];
    for failure in failures {
        let gate = Gate::new();
        gate.lose_answer("PUT /admin/user?uid=", 1, failure);
        let created = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap();
        assert_eq!(gate.fake.request_count("user.create"), 1);
        assert_eq!(gate.fake.users().len(), 1);
        assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
        let key = &gate.fake.user(UID).unwrap().keys[0];
        assert_eq!(created.metadata["s3_credentials"]["access_key"], key.access_key.as_str());
    }
    // An attempt that came to nothing is left for the next cycle, and then made once.
    let gate = Gate::new();
    gate.fail("PUT /admin/user?uid=", 1, server_error());
    let backend = backend(gate.clone());
    let error = create(&backend, &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(gate.fake.users().is_empty());
    create(&backend, &request(json!({}))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn s07_a_foreign_user_is_not_adopted() {
    let foreign = [
        "alice@example.org",
        "",
        // Another resource's stamp, another user's stamp, and something that only looks like one.
        "waldur-00000000000000000000000000000bad-waldur_org_proj_12345678@invalid",
        "waldur-123456789abcdef0123456789abcdef0-somebody_else@invalid",
        "waldur-nonsense@invalid",
    ];
    for email in foreign {
        let gate = Gate::new();
        let canary = "canary-secret-of-a-stranger";
        gate.fake.add_user(SeedUser::new(UID).email(email).key("THEIRKEY", canary)).unwrap();
        let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
        assert!(matches!(error.class(), ErrorClass::Foreign | ErrorClass::Duplicate), "{email}: {error}");
        assert!(!format!("{error:?} {:?}", error.chain()).contains("THEIRKEY"));
        let log = gate.take_log();
        assert_eq!(log.len(), 2, "asked and looked, changed nothing: {log:?}");
        assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn f055_a_foreign_user_is_neither_changed_nor_deleted() {
    let gate = Gate::new();
    let stranger = "waldur-00000000000000000000000000000bad-waldur_org_proj_12345678@invalid";
    gate.fake.add_user(SeedUser::new(UID).email(stranger).key("THEIRKEY", "secret")).unwrap();
    let backend = backend_with(gate.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    let refused = [
        create(&backend, &request(json!({}))).await.unwrap_err(),
        set_limits(&backend, limits(1, 1)).await.unwrap_err(),
        update_options(&backend, json!({ "storage_limit": 1 })).await.unwrap_err(),
        delete(&backend).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.class(), ErrorClass::Foreign);
        // The customer learns which name, the operator whose it is and whose it should be.
        assert!(error.customer_message().unwrap().contains(UID), "{error}");
        for stamp in ["00000000000000000000000000000bad", "123456789abcdef0123456789abcdef0"] {
            assert!(!error.message().contains(stamp));
            assert!(error.chain().iter().any(|line| line.contains(stamp)), "{:?}", error.chain());
        }
    }
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.keys.len()), (stranger, 1));
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);

    // A name that is not ours, without a stamp: whatever Waldur recorded, it is not deleted.
    let other = BackendId::new("alice").unwrap();
    gate.fake.add_user(SeedUser::new("alice")).unwrap();
    let request = DeleteRequest::new(order(), resource(json!({})), other);
    assert_eq!(backend.delete(&cx(), &request).await.unwrap_err().class(), ErrorClass::Foreign);
    assert!(gate.fake.user("alice").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_user_from_before_stamps_is_adopted_only_when_recorded_and_stamped_then() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap();
    let backend = backend(gate.clone());
    let error = create(&backend, &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign);
    create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.keys.len()), (STAMP, 1));
    // An address of somebody's own is left alone.
    gate.fake.edit_user(UID, |user| "alice@example.org".clone_into(user.email)).unwrap();
    create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
    assert_eq!(gate.fake.user(UID).unwrap().email, "alice@example.org");
}

#[tokio::test(start_paused = true)]
async fn s08_a_user_that_cannot_be_read_is_not_adopted() {
    // The specification says `Duplicate`. That would make the processor go on to the next name and release this one:
    // if the user is our own, from an attempt that broke off, it would be orphaned. Waiting loses nothing.
    let denied = || Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned());
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
    gate.fail("GET /admin/user?uid=", 1, denied());
    let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::NotReady, ErrorClass::NotReady), "{error}");
    assert!(error.message().contains(&format!("{UID} exists, and cannot be read")), "{error}");
    assert!(error.chain().iter().any(|line| line.contains("capability")), "{:?}", error.chain());
    assert_eq!(gate.take_log().len(), 2, "asked and looked, touched nothing");
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.keys.len()), (STAMP, 0));
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    // Nor is it given up when the answer of its own creation was lost.
    let lost = Gate::new();
    lost.lose_answer("PUT /admin/user?uid=", 1, server_error());
    lost.fail("GET /admin/user?uid=", 1, denied());
    let error = create(&backend(lost.clone()), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotReady, "{error}");
    create(&backend(lost.clone()), &request(json!({}))).await.unwrap();
    assert_eq!(lost.fake.users().len(), 1);
    // An outage says nothing about the name: the order waits, and no second user is made under another name.
    gate.fail("GET /admin/user?uid=", 9, server_error());
    let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
}

#[tokio::test(start_paused = true)]
async fn users_of_ours_can_be_imported_and_strangers_cannot() {
    let gate = Gate::new();
    for uid in [UID, "waldur_other", "alice", "acme$waldur_tenant", "waldur_odd user"] {
        gate.fake.add_user(SeedUser::new(uid)).unwrap();
    }
    let backend = backend_with(gate.clone(), json!({}), &components(AccountingType::Limit, &json!({})));
    let mut found = backend.importer().unwrap().list(&cx()).await.unwrap().into_items();
    found.sort_by_key(|item| item.backend_id.to_string());
    let ids: Vec<_> = found.iter().map(|item| item.backend_id.as_str()).collect();
    assert_eq!(ids, [UID, "waldur_other"]);
    assert_eq!(found[0].limits["s3_storage"], Limit::Unlimited);
}

#[tokio::test(start_paused = true)]
async fn whose_a_user_is_the_list_for_an_import_says() {
    for on in [On::RadosGw, On::Croit] {
        let gate = Gate::on(on);
        let stamp = |uid: &str| format!("waldur-00000000000000000000000000000bad-{uid}@invalid");
        for (uid, email) in [
            (UID, STAMP.to_owned()),
            ("waldur_other", stamp("waldur_other")),
            ("waldur_old", String::new()),
            // Without a stamp, and stamped for another user: somebody else's.
            ("alice", String::new()),
            ("waldur_copy", stamp("waldur_other_user")),
            // Its name says nothing, its stamp does.
            ("odd", stamp("odd")),
            ("waldur_broken", String::new()),
        ] {
            gate.fake.add_user(SeedUser::new(uid).email(&email)).unwrap();
        }
        let all = components(AccountingType::Limit, &json!({}));
        let backend = gate.backend(json!({ "user_prefix": "" }), &all);
        let with_prefix = gate.backend(json!({}), &all);
        let broken = "uid=waldur_broken";
        if on == On::RadosGw {
            gate.fail(broken, 99, Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned()));
        }
        let list = async |backend: &waldur_backend_croit::S3Backend| {
            let mut found = backend.importer().unwrap().list(&cx()).await.unwrap().into_items();
            found.sort_by_key(|item| item.backend_id.to_string());
            let told = |item: &Importable| {
                let stamp = item.stamp.map(|stamp| stamp.0.hex()[29..].to_owned()).unwrap_or_default();
                format!("{} {stamp}{}", item.backend_id, if item.failure.is_some() { "?" } else { "" })
            };
            found.iter().map(told).collect::<Vec<_>>()
        };
        let unread = if on == On::RadosGw { "waldur_broken ?" } else { "waldur_broken " };
        let mine = "waldur_org_proj_12345678 ef0";
        let found = list(&with_prefix).await;
        assert_eq!(found, [unread, "waldur_old ", mine, "waldur_other bad"], "{on:?}");
        // Where no prefix says anything, stamps alone do.
        let found = list(&backend).await;
        let unread: &[&str] = if on == On::RadosGw { &["waldur_broken ?"] } else { &[] };
        let stamped: Vec<_> =
            ["odd bad"].into_iter().chain(unread.iter().copied()).chain([mine, "waldur_other bad"]).collect();
        assert_eq!(found, stamped, "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_tells_whose_users_are_and_offers_none() {
    for on in [On::RadosGw, On::Croit] {
        let waldur = FakeWaldur::new(Generation::V8).with_wall(now);
        let offering = waldur.offering().name("S3").component("s3_storage", Billing::Usage).create();
        let known = waldur.resource(offering).name("known").slug("known").backend_id("waldur_known").create();
        let gate = Gate::on(on);
        for (uid, email) in [
            ("waldur_known", format!("waldur-{}-waldur_known@invalid", known.hex())),
            ("waldur_other", "waldur-00000000000000000000000000000bad-waldur_other@invalid".to_owned()),
            ("waldur_old", String::new()),
        ] {
            gate.fake.add_user(SeedUser::new(uid).email(&email)).unwrap();
        }
        let http = Http::new(waldur.clone()).with_environment(environment());
        let client = WaldurClient::builder(waldur.base_url()).http(http).token(waldur.token());
        let client = client.agent_mode(AgentMode::OrderProcess).build().unwrap();
        let backend = Arc::new(gate.backend(json!({}), &usage_components()));
        let found = ResourceImport::new(client, backend, offering).discover(&cx()).await.unwrap();
        let mut fates: Vec<_> = found.iter().map(|item| format!("{}: {}", item.backend_id, item.fate)).collect();
        fates.sort();
        let other = "waldur_other: belongs to resource 00000000000000000000000000000bad";
        assert_eq!(fates, ["waldur_old: belongs to no project", other], "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_of_the_python_plugin_is_ours_whatever_the_naming() {
    // It named users by slug, whatever the settings said of organisations (s3.md §0).
    for (naming, old, prefixes) in [
        ("seed", "waldur-my-bucket", json!({})),
        ("processor", UID, json!({})),
        ("seed", "site-my-bucket", json!({ "allocation_prefix": "site-" })),
    ] {
        let gate = Gate::new();
        gate.fake.add_user(SeedUser::new(old)).unwrap();
        let mut settings = json!({ "naming": naming });
        settings.as_object_mut().unwrap().extend(prefixes.as_object().unwrap().clone());
        let backend = backend_with(gate.clone(), settings, &components(AccountingType::Limit, &json!({})));
        let old = BackendId::new(old).unwrap();
        let change = LimitChange::new(resource(json!({})), old.clone(), limits(5, 5));
        assert!(matches!(backend.set_limits(&cx(), &change).await.unwrap(), Progress::Done(_)));
        assert_eq!(gate.fake.quota(old.as_str()).unwrap().0.max_size, 5 * GIB);
        let found = backend.importer().unwrap().list(&cx()).await.unwrap().into_items();
        assert_eq!(found.len(), 1);
        let end = DeleteRequest::new(order(), resource(json!({})), old);
        assert!(matches!(backend.delete(&cx(), &end).await.unwrap(), Progress::Done(_)));
        assert!(gate.fake.users().is_empty());
    }
}
