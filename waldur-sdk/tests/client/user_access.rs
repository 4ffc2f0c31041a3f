//! `create_remote_offering_user` and `set_offerings_username` (usernames.md §1, §7), against both servers.

use crate::{
    client_support::{Script, answer},
    exchanges::fake_waldur,
};
use serde_json::{Value, json};
use waldur_sdk::{
    ErrorKind, Result,
    client::{OfferingUserQuery, OfferingUserState, UuidOrUrl, WaldurClient},
    rest::{Environment, Http, HttpTransport, RetryPolicy},
    testing::{
        Action, Faults, hang, op, status,
        waldur::{Billing, FakeWaldur, Generation},
    },
    types::{OfferingUuid, Personal, ServiceProviderUuid, UserUuid, Uuid},
};

const BOTH: [Generation; 2] = [Generation::V2024, Generation::V8];

struct World {
    waldur: FakeWaldur,
    offering: OfferingUuid,
    user: UserUuid,
}

impl World {
    fn new(generation: Generation) -> Self {
        let waldur = fake_waldur(generation);
        let offering = waldur.offering().name("HPC").component("cpu", Billing::Limit).create();
        let user = waldur.user("ann").project_role(waldur.default_project(), "PROJECT.MEMBER").create();
        Self { waldur, offering, user }
    }

    fn client(&self, transport: impl HttpTransport) -> WaldurClient {
        let environment = Environment::default()
            .with_timer(tokio::time::sleep)
            .with_monotonic(|| tokio::time::Instant::now().into_std())
            .with_random(|| 0);
        let http = Http::new(transport).with_environment(environment).with_retry(RetryPolicy::default());
        WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token()).build().unwrap()
    }

    async fn give(&self, transport: impl HttpTransport, name: &str) -> Result<Option<String>> {
        let client = self.client(transport);
        let row = client.offering_users().create_remote_offering_user(self.offering, self.user, name).await?;
        assert_eq!((row.offering_uuid, row.user_uuid), (Some(self.offering), Some(self.user)));
        Ok(row.username.map(|name| name.as_str().to_owned()))
    }

    fn methods(&self) -> Vec<String> {
        self.waldur.writes().iter().map(|write| write.method.to_string()).collect()
    }

    async fn provider(&self) -> ServiceProviderUuid {
        let client = self.client(self.waldur.clone());
        client.service_providers().for_customer(self.waldur.provider()).await.unwrap().unwrap().uuid
    }
}

#[tokio::test(start_paused = true)]
async fn u04_who_is_there_is_renamed_and_not_made_twice() {
    for generation in BOTH {
        let world = World::new(generation);
        assert_eq!(world.give(world.waldur.clone(), "abc").await.unwrap().as_deref(), Some("abc"));
        assert_eq!(world.methods(), ["POST"]);
        // The same again writes nothing.
        assert_eq!(world.give(world.waldur.clone(), " abc ").await.unwrap().as_deref(), Some("abc"));
        assert_eq!(world.methods(), ["POST"]);
        assert_eq!(world.give(world.waldur.clone(), "xyz").await.unwrap().as_deref(), Some("xyz"));
        assert_eq!(world.methods(), ["POST", "PATCH"]);
        let client = world.client(world.waldur.clone());
        let rows = client.offering_users().list(&OfferingUserQuery::offering(world.offering)).collect().await.unwrap();
        assert_eq!(rows.items().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn u05_who_is_added_by_somebody_else_meanwhile_is_found() {
    for generation in BOTH {
        let world = World::new(generation);
        let (waldur, offering, user) = (world.waldur.clone(), world.offering, world.user);
        // After the list was read, and before anything is written.
        let race = Race::new(world.waldur.clone(), move || {
            waldur.offering_user(offering, user).username("theirs").create();
        });
        assert_eq!(world.give(race, "ours").await.unwrap().as_deref(), Some("ours"));
        assert_eq!(world.methods(), ["POST", "PATCH"]);
    }
}

#[tokio::test(start_paused = true)]
async fn u05_an_addition_whose_answer_was_lost_is_found() {
    for generation in BOTH {
        let world = World::new(generation);
        let faults =
            Faults::new(world.waldur.clone()).on(op("offering_users.create").nth(1), Action::commit_then(hang()));
        assert_eq!(world.give(faults, "abc").await.unwrap().as_deref(), Some("abc"));
        assert_eq!(world.methods(), ["POST", "POST"]);
    }
}

#[tokio::test(start_paused = true)]
async fn u05_somebody_else_who_was_faster_is_found_however_the_server_says_so() {
    for code in [400, 409] {
        let world = World::new(Generation::V8);
        let faults =
            Faults::new(world.waldur.clone()).on(op("offering_users.create").nth(1), Action::commit_then(status(code)));
        assert_eq!(world.give(faults, "abc").await.unwrap().as_deref(), Some("abc"), "{code}");
        assert_eq!(world.methods(), ["POST"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_nobody_rename_has_states_all_the_same() {
    let world = World::new(Generation::V8);
    world.give(world.waldur.clone(), "abc").await.unwrap();
    for operation in ["offering_users.rename", "offering_users.list"] {
        let client = world.client(Faults::new(world.waldur.clone()).on(op(operation), status(405)));
        let (offering, user) = (world.offering, world.user);
        let error = client.offering_users().create_remote_offering_user(offering, user, "xyz").await.unwrap_err();
        assert_eq!((error.operation(), error.kind()), (operation, ErrorKind::Unsupported));
        assert_eq!(client.features().note(&error), None);
        assert!(client.features().missing().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn u06_a_name_for_all_offerings_is_seen_in_the_list() {
    for generation in BOTH {
        let world = World::new(generation);
        let other = world.waldur.offering().name("Unused").component("cpu", Billing::Limit).create();
        world.waldur.offering_user(other, world.user).username("old").create();
        world.waldur.resource(world.offering).create();
        let provider = world.provider().await;
        let client = world.client(world.waldur.clone());
        let spread = client.service_providers().set_offerings_username(provider, world.user, "abc").await.unwrap();
        assert_eq!(spread.set.iter().map(|row| row.offering_uuid).collect::<Vec<_>>(), [Some(world.offering)]);
        // No resource of that one in a project of hers.
        assert_eq!(spread.others.iter().map(|row| row.offering_uuid).collect::<Vec<_>>(), [Some(other)]);
        // May be repeated, with another name, and for somebody without projects.
        let spread = client.service_providers().set_offerings_username(provider, world.user, "xyz").await.unwrap();
        assert_eq!(spread.set.len(), 1);
        let nobody = world.waldur.user("bob").create();
        let spread = client.service_providers().set_offerings_username(provider, nobody, "bob").await.unwrap();
        assert!(spread.set.is_empty() && spread.others.is_empty(), "201 all the same");
    }
}

#[tokio::test(start_paused = true)]
async fn f151_a_name_that_reached_half_of_the_offerings_reaches_the_rest() {
    for generation in BOTH {
        let world = World::new(generation);
        let other = world.waldur.offering().name("Other").component("cpu", Billing::Limit).create();
        for offering in [world.offering, other] {
            world.waldur.resource(offering).create();
        }
        let provider = world.provider().await;
        let bulk = "service_providers.set_offerings_username";
        let (waldur, offering, user) = (world.waldur.clone(), world.offering, world.user);
        // The first half is written, then the server breaks.
        let broken = Faults::new(world.waldur.clone()).on(op(bulk).nth(1), status(500));
        let half = Race::new(broken.clone(), move || {
            waldur.offering_user(offering, user).username("abc").create();
        });
        let client = world.client(half);
        let spread = client.service_providers().set_offerings_username(provider, world.user, "abc").await.unwrap();
        let set: std::collections::BTreeSet<_> = spread.set.iter().filter_map(|row| row.offering_uuid).collect();
        assert_eq!((set, spread.others.len()), ([world.offering, other].into(), 0));
        assert!(broken.idle_rules().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn u07_a_user_whom_nobody_knows_is_not_found() {
    for generation in BOTH {
        let world = World::new(generation);
        let provider = world.provider().await;
        let client = world.client(world.waldur.clone());
        let nobody = UserUuid::new(Uuid::from_u128(0xffff));
        let error = client.service_providers().set_offerings_username(provider, nobody, "abc").await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::NotFound, 400), "{error}");
        // Anything else that is wrong with the request stays what it is.
        let long = "x".repeat(101);
        let error = client.service_providers().set_offerings_username(provider, world.user, &long).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blank_name_is_not_sent() {
    let world = World::new(Generation::V8);
    let provider = world.provider().await;
    world.waldur.forget_requests();
    let error = world.give(world.waldur.clone(), "  ").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let client = world.client(world.waldur.clone());
    let error = client.service_providers().set_offerings_username(provider, world.user, "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(world.waldur.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn u17_a_state_that_is_none_is_refused_out_loud() {
    let world = World::new(Generation::V8);
    let client = world.client(world.waldur.clone());
    let query = OfferingUserQuery::offering(world.offering).states([OfferingUserState::from("Bogus")]);
    let error = client.offering_users().list(&query).collect().await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::InvalidRequest, 400));
    assert!(error.message().contains("state"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn addresses_count_as_the_uuids_in_them_and_those_of_others_do_not() {
    let offering: OfferingUuid = "d47ca5bce71144579df29da3c290027e".parse().unwrap();
    let user: UserUuid = "db157a5cf7f247eba161cd90eba9ac63".parse().unwrap();
    let row = json!({"uuid": Uuid::nil(), "offering_uuid": offering, "user_uuid": user, "username": "abc"});
    let good = [
        ("d47ca5bce71144579df29da3c290027e", "db157a5c-f7f2-47eb-a161-cd90eba9ac63"),
        (
            "https://waldur.example.org/api/marketplace-provider-offerings/d47ca5bce71144579df29da3c290027e/",
            "https://waldur.example.org/api/users/db157a5cf7f247eba161cd90eba9ac63/",
        ),
        (
            // As a server behind a proxy spells itself, and without the slash.
            "http://waldur.example.org/api/marketplace-public-offerings/d47ca5bc-e711-4457-9df2-9da3c290027e",
            " https://WALDUR.example.org/api/users/db157a5cf7f247eba161cd90eba9ac63/ ",
        ),
    ];
    for (offering, user) in good {
        let row = row.clone();
        let script = Script::new(move |request, _| match request.method.as_str() {
            "GET" => answer(200, &[], "[]"),
            _ => answer(201, &[], row.to_string()),
        });
        script.client().offering_users().create_remote_offering_user(offering, user, "abc").await.unwrap();
        let sent = script.sent();
        assert_eq!(sent[0].one("user_uuid"), Some("db157a5cf7f247eba161cd90eba9ac63"));
        let body = json!({
            "offering": "https://waldur.example.org/api/marketplace-provider-offerings/d47ca5bce71144579df29da3c290027e/",
            "user": "https://waldur.example.org/api/users/db157a5cf7f247eba161cd90eba9ac63/",
            "username": "abc",
        });
        assert_eq!(sent[1].body, Some(body));
    }
    let bad = [
        "https://evil.example.org/api/users/db157a5cf7f247eba161cd90eba9ac63/",
        "https://waldur.example.org:8443/api/users/db157a5cf7f247eba161cd90eba9ac63/",
        "https://waldur.example.org@evil.example.org/api/users/db157a5cf7f247eba161cd90eba9ac63/",
        "https://waldur.example.org/users/db157a5cf7f247eba161cd90eba9ac63/",
        "https://waldur.example.org/api/projects/db157a5cf7f247eba161cd90eba9ac63/",
        "https://waldur.example.org/api/users/db157a5cf7f247eba161cd90eba9ac63/keys/",
        "https://waldur.example.org/api/users/me/",
        "https://waldur.example.org/",
    ];
    for address in bad {
        let script = Script::always(200, "[]");
        let user: UuidOrUrl<UserUuid> = address.parse().unwrap();
        let client = script.client();
        let error = client.offering_users().create_remote_offering_user(offering, &user, "abc").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{address}");
        assert!(error.message().starts_with("user: the address is not one of"), "{error}");
        assert!(script.sent().is_empty(), "{address}");
    }
    for text in ["", "abc", "ftp://waldur.example.org/api/users/x/", "users/db157a5cf7f247eba161cd90eba9ac63"] {
        assert!(text.parse::<UuidOrUrl<UserUuid>>().is_err(), "{text}");
        let script = Script::always(200, "[]");
        let client = script.client();
        let error = client.offering_users().create_remote_offering_user(offering, text, "abc").await.unwrap_err();
        assert_eq!(error.message(), "user: must be a UUID or an address in Waldur's API", "{text}");
        assert!(script.sent().is_empty(), "{text}");
    }
    let secret: UuidOrUrl<UserUuid> = "https://canary:canary@waldur.example.org/".parse().unwrap();
    assert!(!format!("{secret:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn f154_a_user_who_might_be_two_is_nobody() {
    let row = |number: u128, name: &str| json!({"uuid": Uuid::from_u128(number), "username": name});
    let cases = [
        (vec![], Ok(None)),
        (vec![row(1, "ann")], Ok(Some(1))),
        (vec![row(1, "ann.b"), row(2, "ann")], Ok(Some(2))),
        (vec![row(1, "ann"), row(2, "ann")], Err(ErrorKind::Inconsistent)),
        (vec![row(1, "ann"), json!({"username": "ann"})], Err(ErrorKind::Decode)),
    ];
    for (rows, wanted) in cases {
        let client = Script::always(200, Value::from(rows).to_string()).client();
        let found = client.users().find_by_username("ann").await;
        let found = found.map(|user| user.map(|user| user.uuid.uuid().as_u128())).map_err(|error| error.kind());
        assert_eq!(found, wanted);
    }
}

/// The answers of a real server to each way of giving a name.
#[tokio::test(start_paused = true)]
async fn u04_recorded_answers_to_names_are_understood() {
    let cases = [
        ("340_offering_user_create_ok", None, Ok(())),
        ("341_offering_user_create_ok_no_name", None, Ok(())),
        ("224_offering_user_create_2", None, Err(ErrorKind::InvalidRequest)),
        ("226_offering_user_create_bad_user", None, Err(ErrorKind::InvalidRequest)),
        ("232_offering_user_patch", Some("old"), Ok(())),
        ("235_offering_user_patch_long", Some("old"), Err(ErrorKind::InvalidRequest)),
        ("236_offering_user_patch_consumer", Some("old"), Err(ErrorKind::PermissionDenied)),
    ];
    for (file, before, wanted) in cases {
        let path = format!("{}/tests/recorded/waldur-2024.10/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let status = u16::try_from(recording["response"]["status"].as_u64().unwrap()).unwrap();
        let json = recording["response"]["json"].clone();
        let (offering, user) = (OfferingUuid::new(Uuid::from_u128(1)), UserUuid::new(Uuid::from_u128(2)));
        let listed: Vec<_> = before
            .iter()
            .map(|name| json!({"uuid": Uuid::nil(), "offering_uuid": offering, "user_uuid": user, "username": name}))
            .collect();
        let (list, said) = (Value::from(listed).to_string(), json.to_string());
        let script = Script::new(move |request, _| match request.method.as_str() {
            "GET" => answer(200, &[], list.clone()),
            _ => answer(status, &[], said.clone()),
        });
        let client = script.client();
        let given = client.offering_users().create_remote_offering_user(offering, user, "abc").await;
        assert_eq!(given.as_ref().map(drop).map_err(waldur_sdk::Error::kind), wanted, "{file}");
        if let Ok(row) = given {
            assert_eq!(row.username.as_ref().map(Personal::as_str), json["username"].as_str(), "{file}");
            assert_eq!(row.offering_uuid.map(OfferingUuid::hex).as_deref(), json["offering_uuid"].as_str(), "{file}");
        }
        let method = if before.is_some() { "PATCH" } else { "POST" };
        assert_eq!(script.sent()[1].method, method, "{file}");
    }
}

/// Lets something happen just before the first write.
struct Race<T, F> {
    inner: T,
    event: std::sync::Mutex<Option<F>>,
}

impl<T, F> Race<T, F> {
    fn new(inner: T, event: F) -> Self {
        Self { inner, event: std::sync::Mutex::new(Some(event)) }
    }
}

#[async_trait::async_trait]
impl<T: HttpTransport, F: FnOnce() + Send + 'static> HttpTransport for Race<T, F> {
    async fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> std::result::Result<http::Response<bytes::Bytes>, waldur_sdk::rest::TransportError> {
        if request.method() != http::Method::GET {
            let event = self.event.lock().unwrap().take();
            if let Some(event) = event {
                event();
            }
        }
        self.inner.send(request).await
    }
}
