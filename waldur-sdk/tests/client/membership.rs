//! The calls that keep members true, as they are sent, and what becomes of their answers (core.md §1.6 #9, #40, #44, #51
//! to #57, §3.2).

use crate::client_support::{Script, Sent, answer, page};
use serde_json::{Value, json};
use waldur_sdk::{
    ErrorKind, Result,
    client::{
        AccountState, AttributeExposure, MemberState, MemberStatus, OfferingUserQuery, OfferingUserState,
        UserUsageLimitQuery, WaldurClient,
    },
    naming::UsernameGenerationPolicy,
    rest::{BoxFuture, RetryPolicy, TransportError, TransportErrorKind},
    types::{OfferingUserUuid, OfferingUuid, Personal, ResourceUuid, UserUuid, Uuid},
};

const OFFERING: OfferingUuid = OfferingUuid::new(Uuid::from_u128(0xe1));
const RESOURCE: ResourceUuid = ResourceUuid::new(Uuid::from_u128(0x0b));
const ACCOUNT: OfferingUserUuid = OfferingUserUuid::new(Uuid::from_u128(0x0a));
const USER: UserUuid = UserUuid::new(Uuid::from_u128(0xa5));

/// What a server of 2024 says about a path that it does not have (recorded: 237_offering_user_begin_creating).
const NO_SUCH_PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  \
     <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";

type Transition = fn(WaldurClient) -> BoxFuture<'static, Result<()>>;

macro_rules! transitions {
    ($($name:ident),+ $(,)?) => {
        vec![$((
            stringify!($name),
            (|waldur| Box::pin(async move { waldur.offering_users().$name(ACCOUNT).await })) as Transition,
        )),+]
    };
}

fn transitions() -> Vec<(&'static str, Transition)> {
    transitions![
        begin_creating,
        set_error_creating,
        set_validation_complete,
        set_ok,
        request_deletion,
        set_deleting,
        set_deleted,
        set_error_deleting,
    ]
}

fn old_server() -> Script {
    Script::new(|_, _| {
        let mut answer = answer(404, &[], NO_SUCH_PAGE);
        let html = http::HeaderValue::from_static("text/html");
        answer.as_mut().unwrap().headers_mut().insert("content-type", html);
        answer
    })
}

#[tokio::test(start_paused = true)]
async fn transitions_are_sent_as_they_are_and_repeated_if_their_answer_gets_lost() {
    for (name, call) in transitions() {
        let script = Script::new(|_, number| match number {
            0 => Err(TransportError::new(TransportErrorKind::Interrupted)),
            _ => answer(200, &[], ""),
        });
        call(script.client_with(RetryPolicy::default())).await.unwrap();
        let sent = script.sent();
        assert_eq!(sent.len(), 2, "{name}");
        assert_eq!((sent[1].method.as_str(), sent[1].body.clone()), ("POST", Some(json!({}))));
        assert_eq!(sent[1].path, format!("/api/marketplace-offering-users/{}/{name}/", ACCOUNT.hex()));
        // Wrong state, in either word; a server without states.
        for (status, kind) in [(409, ErrorKind::Conflict), (400, ErrorKind::InvalidRequest)] {
            let refused = Script::always(status, r#"{"detail": "Not in a valid state."}"#);
            let error = call(refused.client()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{name}");
            assert!(error.message().ends_with("Not in a valid state."), "{error}");
        }
        assert_eq!(call(old_server().client()).await.unwrap_err().kind(), ErrorKind::Unsupported, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_without_a_place_has_no_member_for_it() {
    let script = Script::always(200, "");
    let waldur = script.client();
    let accounts = waldur.offering_users();
    accounts.set_pending_account_linking(ACCOUNT, "link", Some("https://l.example/")).await.unwrap();
    accounts.set_pending_additional_validation(ACCOUNT, "prove", None).await.unwrap();
    let bodies: Vec<_> = script.sent().into_iter().map(|sent| sent.body.unwrap()).collect();
    let wanted = [json!({ "comment": "link", "comment_url": "https://l.example/" }), json!({ "comment": "prove" })];
    assert_eq!(bodies, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_patched_and_the_answer_is_the_account() {
    let row = json!({ "uuid": ACCOUNT.hex(), "username": "ann", "state": "OK", "user_uuid": USER.hex() });
    let script = Script::always(200, row.to_string());
    let account = script.client().offering_users().set_username(ACCOUNT, &Personal::from("ann")).await.unwrap();
    assert_eq!((account.state, account.user_uuid), (Some(OfferingUserState::Ok), Some(USER)));
    let sent = script.only();
    assert_eq!((sent.method.as_str(), sent.body.clone()), ("PATCH", Some(json!({ "username": "ann" }))));
    assert_eq!(sent.path, format!("/api/marketplace-offering-users/{}/", ACCOUNT.hex()));
    let read = script.client().offering_users().get(ACCOUNT).await.unwrap();
    assert_eq!(read.username.as_ref().map(Personal::as_str), Some("ann"));
}

fn rows(rows: Vec<Value>) -> Script {
    Script::new(move |sent: &Sent, _| page("https://waldur.example.org", sent, rows.len(), &rows))
}

#[tokio::test(start_paused = true)]
async fn exactly_the_exposed_attributes_are_asked_for_and_read() {
    let row = json!({
        "uuid": ACCOUNT.hex(), "user_uuid": USER.hex(), "username": "ann", "user_username": "ann@idp",
        "user_full_name": "Ann Example", "user_first_name": "Ann", "user_last_name": "", "user_gender": null,
        "user_affiliations": ["staff"], "user_birth_date": "1990-01-02", "user_email": "a@example.org", "state": "OK",
    });
    let script = rows(vec![row, json!({ "uuid": 7 })]);
    let exposure =
        AttributeExposure::new(["username", "full_name", "affiliations", "birth_date", "gender", "no such&x"]);
    let query = OfferingUserQuery::offering(OFFERING).attributes(exposure);
    let listing = script.client().offering_users().list(&query).collect().await.unwrap();
    assert_eq!((listing.items().len(), listing.bad().len()), (1, 1), "one bad row is one bad row");
    let account = &listing.items()[0];
    assert_eq!(account.user_username.as_ref().map(Personal::as_str), Some("ann@idp"));
    let told = json!({
        "full_name": "Ann Example", "first_name": "Ann", "affiliations": ["staff"], "birth_date": "1990-01-02",
        "email": "a@example.org",
    });
    assert_eq!(serde_json::to_value(&account.attributes).unwrap(), told, "what says nothing is left out");
    let sent = script.only();
    let mut fields = sent.all("field");
    fields.sort_unstable();
    let wanted = [
        "is_restricted",
        "offering_uuid",
        "state",
        "url",
        "user_affiliations",
        "user_birth_date",
        "user_first_name",
        "user_full_name",
        "user_gender",
        "user_last_name",
        "user_username",
        "user_uuid",
        "username",
        "uuid",
    ];
    assert_eq!(fields, wanted);
    let shown = format!("{account:?} {:?}", listing.bad());
    assert!(!shown.contains("Ann") && !shown.contains("1990"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn what_is_exposed_is_read_and_unsupported_on_an_old_server() {
    let script = Script::always(200, r#"{"exposed_fields": ["email", "organization"], "expose_email": true}"#);
    let exposed = script.client().provider_offerings().exposed_attributes(OFFERING).await.unwrap();
    assert_eq!(exposed.names().collect::<Vec<_>>(), ["email", "organization"]);
    assert_eq!(AttributeExposure::default().names().collect::<Vec<_>>(), ["email", "full_name", "username"]);
    let error = old_server().client().provider_offerings().exposed_attributes(OFFERING).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn u21_nothing_of_the_secret_options_is_kept_but_the_flag() {
    let options = json!({
        "plugin_options": { "username_generation_policy": "full_name", "x": 1 },
        "secret_options": { "service_provider_can_create_offering_user": true, "password": "canary-9d1" },
    });
    let script = Script::always(200, options.to_string());
    let rules = script.client().provider_offerings().username_options(OFFERING).await.unwrap();
    assert_eq!((rules.policy.clone(), rules.provider_may_name), (UsernameGenerationPolicy::FullName, true));
    assert!(!format!("{rules:?}").contains("canary"));
    assert_eq!(script.only().all("field"), ["plugin_options", "secret_options"]);
    // Options that are none, and an answer that is none: nothing of them is shown.
    let odd = Script::always(200, r#"{"plugin_options": [], "secret_options": "canary-9d1"}"#);
    let rules = odd.client().provider_offerings().username_options(OFFERING).await.unwrap();
    assert_eq!((rules.policy.clone(), rules.provider_may_name), (UsernameGenerationPolicy::ServiceProvider, false));
    let broken = Script::always(200, r#"{"secret_options": {"password": "canary-9d1""#);
    let error = broken.client().provider_offerings().username_options(OFFERING).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn tokens_of_accounts_that_no_person_has_are_not_read() {
    let row = |state: &str| json!({ "uuid": ACCOUNT.hex(), "username": "svc", "state": state, "project_uuid": USER.hex(), "token": "canary" });
    let script = rows(vec![row("Closed")]);
    let waldur = script.client();
    let offerings = waldur.provider_offerings();
    let account = offerings.service_accounts(OFFERING).collect().await.unwrap().into_items().remove(0);
    assert_eq!(account.state, Some(AccountState::Closed));
    assert!(!format!("{account:?}").contains("canary"));
    let broken = Script::always(200, r#"[{"token": "canary""#);
    let error = broken.client().provider_offerings().service_accounts(OFFERING).collect().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
    offerings.course_accounts(OFFERING).collect().await.unwrap();
    for (sent, path) in script.sent().iter().zip(["list_project_service_accounts", "list_course_accounts"]) {
        assert_eq!(sent.path, format!("/api/marketplace-provider-offerings/{}/{path}/", OFFERING.hex()));
        assert!(sent.all("field").is_empty(), "this list takes no choice of members");
    }
    let old = old_server().client();
    let error = old.provider_offerings().course_accounts(OFFERING).collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn limits_of_users_are_read_by_name_or_by_address() {
    let resource = format!("https://waldur.example.org/api/marketplace-resources/{}/", RESOURCE.hex());
    let user = format!("https://waldur.example.org/api/users/{}/", USER.hex());
    let script = rows(vec![
        json!({ "uuid": "a", "user": "x" }),
        json!({ "resource": resource, "component_type": "cpu", "user": user, "limit": "12.50" }),
        json!({ "resource": resource, "component_type": "cpu", "user": "ann", "limit": 3 }),
    ]);
    let query = UserUsageLimitQuery::offering(OFFERING);
    let listing = script.client().user_usage_limits().list(&query).collect().await.unwrap();
    assert_eq!((listing.items().len(), listing.bad().len()), (2, 1));
    let [first, second] = listing.items() else { panic!("two rows") };
    assert_eq!((first.resource, first.user_uuid()), (Some(RESOURCE), Some(USER)));
    assert_eq!(first.limit.unwrap().to_string(), "12.50");
    assert_eq!((second.user_uuid(), second.user.as_ref().map(Personal::as_str)), (None, Some("ann")));
    assert_eq!(script.only().one("offering_uuid"), Some(OFFERING.hex().as_str()));
    let query = UserUsageLimitQuery::resource(RESOURCE);
    let error = old_server().client().user_usage_limits().list(&query).collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn statuses_of_members_are_told_in_full_and_refused_where_nobody_wants_them() {
    let script = Script::always(200, r#"{"stored": 1, "skipped": ["unknown role"]}"#);
    let mut status = MemberStatus::new(USER, "PROJECT.ADMIN", MemberState::Error);
    status.message = Some("no room".to_owned());
    let waldur = script.client();
    let stored = waldur.provider_resources().set_membership_sync_statuses(RESOURCE, &[status.clone()]).await.unwrap();
    assert_eq!((stored.stored, stored.skipped.len()), (1, 1));
    let wanted = json!({ "statuses": [{
        "scope_type": "resource", "role_name": "PROJECT.ADMIN", "state": "error", "user_uuid": USER.hex(),
        "message": "no room",
    }] });
    assert_eq!(script.only().body, Some(wanted));
    let refused = Script::always(409, r#"{"detail": "Not enabled."}"#);
    let waldur = refused.client();
    let error = waldur.provider_resources().set_membership_sync_statuses(RESOURCE, &[status]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn c70_a_refusal_that_repeats_the_name_does_not_show_it() {
    // Names as short as people's are.
    for name in ["canary-ann", "ann", "jo"] {
        let text = format!("{name} is taken, so '{name}' will not do and cannot be used.");
        let told = |error: &waldur_sdk::Error| {
            let said = format!("{error} {error:?} {}", error.chain().join(" "));
            assert!(said.contains("is taken") && !said.contains(&format!("{name} ")), "{said}");
            assert!(!said.contains(&format!("'{name}'")) && said.contains("cannot be used"), "{said}");
        };
        let refusing = || Script::always(400, json!({ "username": [text] }).to_string());
        told(&refusing().client().offering_users().set_username(ACCOUNT, &Personal::from(name)).await.unwrap_err());
        let provider = waldur_sdk::types::ServiceProviderUuid::new(Uuid::from_u128(0x5b));
        let client = refusing().client();
        told(&client.service_providers().set_offerings_username(provider, USER, name).await.unwrap_err());
        let refused = refusing().client();
        told(&refused.users().find_by_username(name).await.unwrap_err());
        let mut status = MemberStatus::new(USER, "PROJECT.MEMBER", MemberState::Synced);
        status.username = Some(name.into());
        let statuses = [status];
        told(&refused.provider_resources().set_membership_sync_statuses(RESOURCE, &statuses).await.unwrap_err());
        // Added, and renamed.
        for known in [false, true] {
            let text = text.clone();
            let script = Script::new(move |request, _| {
                let rows = [json!({ "uuid": ACCOUNT.hex(), "username": "other" })];
                match request.method.as_str() {
                    "GET" => page("https://waldur.example.org", request, known.into(), &rows[..known.into()]),
                    _ => answer(400, &[], json!({ "username": [text] }).to_string()),
                }
            });
            let users = script.client();
            let users = users.offering_users();
            told(&users.create_remote_offering_user(OFFERING, USER, name).await.unwrap_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_are_locked_commented_on_and_removed() {
    let path = |rest: &str| format!("/api/marketplace-offering-users/{}/{rest}", ACCOUNT.hex());
    let script = Script::always(200, "");
    script.client().offering_users().set_restricted(ACCOUNT, true).await.unwrap();
    let sent = script.only();
    assert_eq!(
        (sent.method.as_str(), sent.path, sent.body),
        ("POST", path("update_restricted/"), Some(json!({ "is_restricted": true })))
    );

    for url in [None, Some("https://desk.example/1")] {
        let script = Script::always(200, "{}");
        script.client().offering_users().update_comments(ACCOUNT, "Link it.", url).await.unwrap();
        let mut body = json!({ "service_provider_comment": "Link it." });
        if let Some(url) = url {
            body["service_provider_comment_url"] = json!(url);
        }
        let sent = script.only();
        assert_eq!((sent.method.as_str(), sent.path, sent.body), ("PATCH", path("update_comments/"), Some(body)));
    }
    let old = old_server().client();
    let error = old.offering_users().update_comments(ACCOUNT, "Link it.", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    for status in [204, 404] {
        let script = Script::always(status, if status == 404 { r#"{"detail": "Not found."}"# } else { "" });
        script.client().offering_users().delete(ACCOUNT).await.unwrap();
        let sent = script.only();
        assert_eq!((sent.method.as_str(), sent.path, sent.body), ("DELETE", path(""), None));
    }
    let refused = Script::always(403, r#"{"detail": "No."}"#).client();
    assert_eq!(refused.offering_users().delete(ACCOUNT).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    // A page of a proxy is no word on the account.
    assert!(old_server().client().offering_users().delete(ACCOUNT).await.is_err());
}
