//! What the client sends, and what it makes of answers.

use crate::client_support::{Script, Sent, TOKEN, answer, page};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use waldur_sdk::{
    ErrorKind, Result,
    client::{AgentMode, OfferingUserQuery, OfferingUserState, OrderQuery, OrderState, ResourceQuery, WaldurClient},
    rest::{Listing, PlainHttp, RetryPolicy},
    types::{OfferingUuid, OrderUuid, ResourceUuid, ServiceProviderUuid, Uuid},
};

const HOME: &str = "https://waldur.example.org";
const OFFERING: OfferingUuid = OfferingUuid::new(Uuid::from_u128(0xe1));
const ORDER: OrderUuid = OrderUuid::new(Uuid::from_u128(0x0a));
const RESOURCE: ResourceUuid = ResourceUuid::new(Uuid::from_u128(0x0b));
const PROVIDER: ServiceProviderUuid = ServiceProviderUuid::new(Uuid::from_u128(0x0d));

fn hex(number: usize) -> String {
    Uuid::from_u128(number as u128).simple().to_string()
}

fn order(number: usize) -> Value {
    json!({"uuid": hex(number), "state": "executing", "type": "Create"})
}

// ---------------------------------------------------------------------------------------------------------------- URL

#[tokio::test(start_paused = true)]
async fn c01_every_call_goes_to_the_configured_host_and_prefix() {
    // (setting, origin, path of users/me as sent)
    let table = [
        ("https://my.host.pa/api/", "https://my.host.pa", "/api/users/me/"),
        ("https://marketplace.hpc-asia/api/", "https://marketplace.hpc-asia", "/api/users/me/"),
        ("https://waldur.csc.fi/api", "https://waldur.csc.fi", "/api/users/me/"),
        ("https://waldur.csc.fi/", "https://waldur.csc.fi", "/api/users/me/"),
        ("https://waldur.csc.fi", "https://waldur.csc.fi", "/api/users/me/"),
        ("https://h.example/waldur/api/", "https://h.example", "/waldur/api/users/me/"),
        ("https://h.example/waldur", "https://h.example", "/waldur/api/users/me/"),
        ("https://h.example/api/api/", "https://h.example", "/api/api/users/me/"),
        ("https://h.example/my-api/", "https://h.example", "/my-api/api/users/me/"),
        (" https://H.Example:8443/api/ ", "https://h.example:8443", "/api/users/me/"),
        ("http://localhost:8000/api/", "http://localhost:8000", "/api/users/me/"),
        ("http://127.0.0.1:8000/api/", "http://127.0.0.1:8000", "/api/users/me/"),
        ("https://[2001:db8::1]/api/", "https://[2001:db8::1]", "/api/users/me/"),
    ];
    for (setting, origin, path) in table {
        let script = Script::always(200, "{}");
        let builder = WaldurClient::builder(setting).token(TOKEN);
        let waldur = builder.http(script.http(RetryPolicy::none())).build().unwrap();
        waldur.users().me().await.unwrap();
        let sent = script.only();
        assert_eq!((sent.origin.as_str(), sent.path.as_str()), (origin, path), "{setting}");
        assert_eq!(sent.headers["authorization"], format!("Token {TOKEN}"));
        assert_eq!(sent.headers["accept"], "application/json");
    }
}

#[test]
fn a_url_that_is_no_root_of_an_api_is_refused_by_the_name_of_its_setting() {
    let refused = [
        "",
        "waldur.example.org",
        "ftp://waldur.example.org/",
        "https://user:canary@waldur.example.org/api/",
        "https://waldur.example.org/api/?token=canary",
        "https://waldur.example.org/api/#canary",
        "http://waldur.example.org/api/",
    ];
    for url in refused {
        let script = Script::always(200, "{}");
        let builder = WaldurClient::builder(url).token(TOKEN);
        let error = builder.http(script.http(RetryPolicy::none())).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("waldur_api_url: must"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    let plain = WaldurClient::builder("http://waldur.example.org/api/").plain_http(PlainHttp::Allowed);
    plain.token(TOKEN).http(Script::always(200, "").http(RetryPolicy::none())).build().unwrap();
}

#[test]
fn a_client_needs_credentials_that_fit_into_a_header() {
    let builder = || WaldurClient::builder("https://waldur.example.org/api/");
    let http = || Script::always(200, "").http(RetryPolicy::none());
    let refused = [
        (builder().http(http()), "waldur_api_token"),
        (builder().token("").http(http()), "token"),
        (builder().token("canary\n".repeat(2)).http(http()), "credential"),
        (builder().token(TOKEN).http(http()).agent_mode(AgentMode::Report).agent_version("1\n2"), "agent version"),
        // Without a mode, too: it may be given later.
        (builder().token(TOKEN).http(http()).agent_version("1\n2"), "agent version"),
    ];
    for (builder, field) in refused {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with(field), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let builder = builder().token(TOKEN).http(http());
    assert!(!format!("{builder:?}").contains(TOKEN));
    assert!(!format!("{:?}", builder.build().unwrap()).contains(TOKEN));
}

#[tokio::test(start_paused = true)]
async fn c06_an_order_listing_is_a_sign_of_life() {
    let script = Script::new(|request, _| page(HOME, request, 0, &[]));
    script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    let sent = script.only();
    let sdk = concat!("waldur-sdk/", env!("CARGO_PKG_VERSION"));
    assert_eq!(sent.headers["user-agent"], format!("waldur-site-agent-order_process/9.9 {sdk}"));
    assert_eq!(sent.one("offering_uuid"), Some(hex(0xe1).as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_mode_changes_nothing_but_the_user_agent() {
    let script = Script::always(200, "{}");
    let waldur = script.client();
    let reporter = waldur.with_agent_mode(AgentMode::Report);
    waldur.users().me().await.unwrap();
    reporter.users().me().await.unwrap();
    let sent = script.sent();
    let agent = |sent: &Sent| sent.headers["user-agent"].split('/').next().unwrap().to_owned();
    assert_eq!(
        [agent(&sent[0]), agent(&sent[1])],
        ["waldur-site-agent-order_process", "waldur-site-agent-report"].map(str::to_owned)
    );
    assert_eq!((&sent[0].path, &sent[0].query), (&sent[1].path, &sent[1].query));
    assert_eq!(sent[0].headers["authorization"], sent[1].headers["authorization"]);

    // Without a mode nothing is claimed.
    let script = Script::always(200, "{}");
    let builder = WaldurClient::builder(HOME).token(TOKEN).http(script.http(RetryPolicy::none()));
    builder.build().unwrap().users().me().await.unwrap();
    assert!(!script.only().headers["user-agent"].contains("waldur-site-agent"));
}

// -------------------------------------------------------------------------------------------------------------- lists

#[tokio::test(start_paused = true)]
async fn c04_a_list_of_250_orders_takes_three_requests() {
    let script = Script::new(|request, _| {
        let first = (request.one("page").map_or(1, |page| page.parse().unwrap()) - 1) * 100;
        let rows: Vec<_> = (first..250.min(first + 100)).map(|number| order(number + 1)).collect();
        page(HOME, request, 250, &rows)
    });
    let query = OrderQuery::offering(OFFERING).states([OrderState::PendingProvider, OrderState::Executing]);
    let listing = script.client().orders().list(&query).collect().await.unwrap();
    assert_eq!(listing.complete().unwrap().items().len(), 250);

    let sent = script.sent();
    assert_eq!(sent.iter().map(|sent| sent.one("page")).collect::<Vec<_>>(), [None, Some("2"), Some("3")]);
    for sent in &sent {
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", "/api/marketplace-orders/"));
        assert_eq!(sent.all("state"), ["pending-provider", "executing"]);
        assert_eq!(sent.one("page_size"), Some("100"));
        assert_eq!(sent.one("o"), Some("created"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_to_another_host_is_followed_at_home() {
    let script = Script::new(|request, number| page("http://evil.example:81", request, 101, &[order(number + 1)]));
    let mut pager = script.client().orders().list(&OrderQuery::offering(OFFERING));
    while pager.next_page().await.unwrap().is_some() {}
    let sent = script.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.origin == HOME));
    assert_eq!(sent[1].one("page"), Some("2"));
    assert_eq!(sent[1].one("offering_uuid"), Some(hex(0xe1).as_str()), "our own parameters are sent again");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_moves_is_read_once_more() {
    // While the pages are read, an order of the first page goes away: the last of the second is never seen.
    let moving = |request: &Sent, number: usize| match number {
        0 => page(HOME, request, 101, &(1..=100).map(order).collect::<Vec<_>>()),
        1 => page(HOME, request, 101, &[]),
        _ => page(HOME, request, 1, &[order(7)]),
    };
    let script = Script::new(moving);
    let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    assert_eq!(script.sent().len(), 3);
    assert_eq!(listing.complete().unwrap().items().iter().map(|order| order.uuid.hex()).collect::<Vec<_>>(), [hex(7)]);

    // It never comes to rest: two rounds, then a gap.
    let script = Script::new(|request, number| page(HOME, request, 2, &[order(number)]));
    let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    assert_eq!(script.sent().len(), 2);
    assert_eq!(listing.gap().unwrap().kind(), ErrorKind::Inconsistent);
    assert_eq!(listing.items().len(), 1);
}

const NEXT: (&str, &str) = ("link", "<https://waldur.example.org/api/marketplace-orders/?page=2>; rel=\"next\"");

#[tokio::test(start_paused = true)]
async fn a_404_after_the_first_page_ends_the_list_if_the_count_agrees() {
    let invalid = || answer(404, &[], r#"{"detail": "Invalid page."}"#);
    let read = |headers: &'static [(&'static str, &'static str)]| async move {
        let rows = Value::from((1..=100).map(order).collect::<Vec<_>>()).to_string();
        let script = Script::new(move |request, _| match request.one("page") {
            None => answer(200, headers, rows.clone()),
            Some(page) => {
                assert_eq!(page, "2");
                invalid()
            }
        });
        let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
        (listing, script.sent().len())
    };
    let (listing, sent) = read(&[NEXT, ("x-result-count", "100")]).await;
    assert_eq!((listing.complete().unwrap().items().len(), sent), (100, 2));
    // One more was counted, or nobody counted at all: what was on the second page is unknown, also after a second look.
    for headers in [&[NEXT, ("x-result-count", "101")][..], &[NEXT]] {
        let (listing, sent) = read(headers).await;
        assert_eq!((listing.items().len(), sent), (100, 4), "{headers:?}");
        assert_eq!(listing.gap().unwrap().kind(), ErrorKind::NotFound, "{headers:?}");
    }

    // On the first page there is no such list at this address, and a page of a proxy never ends anything.
    let script = Script::new(move |_, _| invalid());
    let error = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let script = Script::new(|request, number| match number {
        0 => page(HOME, request, 101, &(1..=100).map(order).collect::<Vec<_>>()),
        _ => answer(404, &[], "<html><body>nothing here</body></html>"),
    });
    let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    assert_eq!(listing.gap().unwrap().kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn a_full_last_page_without_a_count_proves_no_end() {
    // A proxy that drops what it does not know: neither a count nor a link comes through.
    let orders = |rows: usize, headers: &'static [(&'static str, &'static str)]| async move {
        let rows = Value::from((1..=rows).map(order).collect::<Vec<_>>()).to_string();
        let script = Script::new(move |_, _| answer(200, headers, rows.clone()));
        let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
        // A second look is for a list that moved; without a count it would show the same.
        assert_eq!(script.sent().len(), if headers == [("x-result-count", "101")] { 2 } else { 1 });
        listing.complete().map(|orders| orders.items().len())
    };
    assert_eq!(orders(99, &[]).await.unwrap(), 99, "there was room for one more");
    assert_eq!(orders(100, &[]).await.unwrap_err().kind(), ErrorKind::Inconsistent);
    assert_eq!(orders(100, &[("x-result-count", "100")]).await.unwrap(), 100);
    assert_eq!(orders(100, &[("x-result-count", "101")]).await.unwrap_err().kind(), ErrorKind::Inconsistent);

    // A list that asks for pages of 300 may be cut to 100 without a word, so 200 of them prove nothing either.
    let users = |rows: usize| async move {
        let row = |number| json!({"uuid": hex(number), "user_uuid": hex(number), "state": "OK"});
        let rows = Value::from((1..=rows).map(row).collect::<Vec<_>>()).to_string();
        let script = Script::new(move |_, _| answer(200, &[], rows.clone()));
        let listing = script.client().offering_users().list(&OfferingUserQuery::offering(OFFERING)).collect().await;
        listing.unwrap().complete().map(|users| users.items().len())
    };
    assert_eq!(users(99).await.unwrap(), 99);
    for cut in [100, 200, 300] {
        assert_eq!(users(cut).await.unwrap_err().kind(), ErrorKind::Inconsistent, "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_is_found_among_others() {
    let table = [
        (r#"<https://h/?page=2>; rel="next""#, Some("2")),
        (
            r#"<https://h/?page=1>; rel="prev", <https://h/?a=1,2&page=3&state=OK&state=Erred>; rel="next last""#,
            Some("3"),
        ),
        ("</api/x/?page_size=2&page=4>;title=\"n\";rel=next", Some("4")),
        (r#"<https://h/?page=9>; rel="last""#, None),
        ("garbage", None),
        ("", None),
    ];
    for (link, next) in table {
        let script = Script::new(move |_, _| answer(200, &[("link", link)], "[]"));
        let mut pager = script.client().provider_resources().list(&ResourceQuery::default());
        let page = pager.next_page().await.unwrap().unwrap();
        assert_eq!(page.next.as_ref().map(|token| token.0.as_str()), next, "{link}");
    }
    for link in ["<https://h/?cursor=abc>; rel=\"next\"", "<https://h/?page=last>; rel=\"next\""] {
        let script = Script::new(move |_, _| answer(200, &[("link", link)], "[]"));
        let listing = script.client().provider_resources().list(&ResourceQuery::default()).collect().await;
        assert_eq!(listing.and_then(Listing::complete).unwrap_err().kind(), ErrorKind::Inconsistent, "{link}");
    }
}

#[tokio::test(start_paused = true)]
async fn c05_a_row_with_gaps_and_new_words_loses_no_other() {
    let rows = [
        json!({"uuid": hex(1), "state": "executing", "type": "Create"}),
        json!({"uuid": hex(2), "state": "pending-lunch", "type": "Borrow", "limits": null, "attributes": null,
               "plan_uuid": null, "resource_name": null, "created": null, "backend_id": null, "brand_new": {"a": 1}}),
        json!({"uuid": hex(3), "type": "Create"}),
        json!(["no order at all"]),
        json!({"uuid": hex(5), "state": "executing", "type": "Terminate", "plan_uuid": "", "backend_id": " "}),
    ];
    let script = Script::new(move |request, _| page(HOME, request, 5, &rows));
    let page = script.client().orders().list(&OrderQuery::offering(OFFERING)).next_page().await.unwrap().unwrap();
    assert_eq!(page.items.iter().map(|order| order.uuid.hex()).collect::<Vec<_>>(), [hex(1), hex(2), hex(5)]);
    assert_eq!(page.items[1].state.as_str(), "pending-lunch");
    assert_eq!(page.items[1].kind.as_str(), "Borrow");
    assert_eq!((&page.items[2].plan_uuid, &page.items[2].backend_id), (&None, &None));
    assert_eq!(page.bad.iter().map(|bad| bad.id.clone()).collect::<Vec<_>>(), [Some(hex(3)), None]);
    assert!(page.bad[0].error.message().contains("missing field `state`"), "{}", page.bad[0].error);
    assert!(page.bad.iter().all(|bad| bad.error.kind() == ErrorKind::Decode));

    let team = json!([
        {"uuid": hex(1), "username": "a", "role": "PROJECT.ADMIN", "offering_user_username": null,
         "offering_user_state": null},
        {"uuid": hex(2), "offering_user_state": "Being baked", "expiration_time": null},
        {"uuid": hex(2), "role": "PROJECT.MEMBER", "offering_user_state": "OK"},
    ]);
    let script = Script::always(200, team.to_string());
    let listing = script.client().provider_resources().team(RESOURCE).collect().await.unwrap();
    let team = listing.complete().unwrap().into_items();
    let states: Vec<_> = team.iter().map(|member| member.offering_user_state.clone()).collect();
    assert_eq!(states, [None, Some("Being baked".into()), Some(OfferingUserState::Ok)]);
}

#[tokio::test(start_paused = true)]
async fn f091_a_new_word_is_kept_and_loses_no_row() {
    let mut rows: Vec<_> = (1..=20).map(order).collect();
    rows[13]["state"] = json!("on-holiday");
    let script = Script::new(move |request, _| page(HOME, request, 20, &rows));
    let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    let orders = listing.complete().unwrap().into_items();
    assert_eq!(orders.len(), 20);
    assert_eq!(orders.iter().filter(|order| order.state == OrderState::Executing).count(), 19);
    assert!(matches!(orders[13].state, OrderState::Unknown(_)));
    assert_eq!(orders[13].state.to_string(), "on-holiday");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_stores_unchecked_loses_no_resource() {
    for metadata in [json!("text"), json!([1]), json!(null), json!(7)] {
        let row = json!({"uuid": hex(1), "backend_metadata": metadata, "state": "", "backend_id": " \t"});
        let resource = Script::always(200, row.to_string()).client().provider_resources().get(RESOURCE).await.unwrap();
        assert!(resource.backend_metadata.is_empty());
        assert_eq!((resource.state, resource.backend_id), (None, None));
    }
    let options = json!({"a": " b ", "blank": " ", "on": true, "text": "true", "none": null});
    let row = json!({"uuid": hex(1), "offering_plugin_options": options, "backend_id": "hpc_1"});
    let resource = Script::always(200, row.to_string()).client().provider_resources().get(RESOURCE).await.unwrap();
    let options = resource.offering_plugin_options;
    assert_eq!(
        ["a", "blank", "on", "none", "missing"].map(|name| options.text(name)),
        [Some("b"), None, None, None, None]
    );
    assert_eq!(["on", "text", "none", "missing"].map(|name| options.flag(name)), [true, false, false, false]);
    assert_eq!(resource.backend_id.unwrap().as_str(), "hpc_1");
}

/// Reads one order with `member` set to `value`.
async fn order_with(member: &str, value: Value) -> Result<waldur_sdk::client::Order> {
    let mut row = order(1);
    row[member] = value;
    let script = Script::new(move |request, _| page(HOME, request, 1, std::slice::from_ref(&row)));
    let page = script.client().orders().list(&OrderQuery::offering(OFFERING)).next_page().await?.unwrap();
    match (page.items.into_iter().next(), page.bad.into_iter().next()) {
        (Some(order), None) => Ok(order),
        (None, Some(bad)) => {
            assert_eq!(bad.id, Some(hex(1)).filter(|_| member != "uuid"));
            Err(bad.error)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn f092_another_type_is_read_only_where_that_is_documented() {
    let amounts = [
        (json!(10), "10"),
        (json!("10"), "10"),
        (json!(10.0), "10"),
        (json!("12.50"), "12.50"),
        (json!(0.1), "0.1"),
        (json!("1e3"), "1000"),
        (json!(-1), "-1"),
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
    ];
    for (wire, amount) in amounts {
        let order = order_with("limits", json!({"cpu": wire})).await.unwrap();
        assert_eq!(order.limits["cpu"], amount.parse::<Decimal>().unwrap());
    }
    for absent in [json!(null), json!({}), json!({"cpu": null}), json!({"cpu": ""})] {
        assert!(order_with("limits", absent).await.unwrap().limits.is_empty());
    }
    let wrong = [
        ("limits", json!({"cpu": "many"})),
        ("limits", json!({"cpu": true})),
        ("limits", json!({"cpu": [1]})),
        ("limits", json!({"cpu": 1e300})),
        ("limits", json!([1])),
        ("state", json!(3)),
        ("type", json!(null)),
        ("attributes", json!("text")),
        ("attributes", json!([1])),
        ("resource_name", json!(7)),
        ("plan_uuid", json!("not-a-uuid")),
        ("plan_uuid", json!(7)),
    ];
    for (member, value) in wrong {
        let error = order_with(member, value.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Decode, "orders.list"));
        assert!(error.message().contains(&format!("`{member}")), "{member} {value}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn f093_an_instant_has_an_offset_and_a_day_has_none() {
    let instants = [
        ("2026-11-22T05:22:35.814204Z", "2026-11-22T05:22:35.814204Z"),
        ("2026-11-22T05:22:35+00:00", "2026-11-22T05:22:35Z"),
        ("2026-11-22T07:22:35+02:00", "2026-11-22T05:22:35Z"),
        ("2026-11-22 05:22:35Z", "2026-11-22T05:22:35Z"),
        ("2026-11-22T05:22:35.123456789Z", "2026-11-22T05:22:35.123456789Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ];
    for (wire, instant) in instants {
        let order = order_with("created", json!(wire)).await.unwrap();
        assert_eq!(order.created.unwrap().to_string(), instant);
    }
    for wire in [json!("2026-11-22T05:22:35"), json!("2026-11-22"), json!("yesterday"), json!(1_700_000_000)] {
        let error = order_with("created", wire).await.unwrap_err();
        assert!(error.message().contains("`created`"), "{error}");
    }
    assert_eq!(order_with("created", json!("")).await.unwrap().created, None);

    let read = async |day: &str| {
        let script = Script::always(200, json!({"uuid": hex(1), "end_date": day}).to_string());
        script.client().provider_resources().get(RESOURCE).await
    };
    assert_eq!(read("2027-02-28").await.unwrap().end_date.unwrap().to_string(), "2027-02-28");
    assert_eq!(read("2027-02-30").await.unwrap_err().kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn uuids_of_both_spellings_are_equal() {
    let text = ["000000e1-0000-4000-8000-0000000000E1", "000000e10000400080000000000000e1"];
    let read = async |uuid: &str| {
        let row = json!({"uuid": uuid, "state": "done", "type": "Create", "offering_uuid": uuid});
        Script::always(200, row.to_string()).client().orders().get(ORDER).await.unwrap()
    };
    let (dashed, plain) = (read(text[0]).await, read(text[1]).await);
    assert_eq!(dashed.uuid, plain.uuid);
    assert_eq!(dashed.offering_uuid, plain.offering_uuid);
    assert_eq!(dashed.uuid.to_string(), text[1]);

    // The same order in both spellings is one order.
    let rows = text.map(|uuid| json!({"uuid": uuid, "state": "done", "type": "Create"}));
    let script = Script::new(move |request, _| page(HOME, request, 1, &rows));
    let listing = script.client().orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    assert_eq!(listing.complete().unwrap().items().len(), 1);
}

// ------------------------------------------------------------------------------------------------- what is asked for

#[tokio::test(start_paused = true)]
async fn users_me_never_asks_for_the_token_nor_keeps_it() {
    let body = json!({"uuid": hex(1), "username": "agent", "token": "canary-token", "email": "a@example.org"});
    let script = Script::always(200, body.to_string());
    let me = script.client().users().me().await.unwrap();
    assert_eq!(me.username.as_ref().unwrap().as_str(), "agent");
    let sent = script.only();
    assert_eq!(sent.all("field"), ["uuid", "username", "full_name", "is_staff", "permissions"]);
    assert!(!format!("{me:?}").contains("canary"));

    // An answer that does not decode is quoted in the error, without the token.
    let script = Script::always(200, json!({"token": "canary-token", "permissions": 7}).to_string());
    let error = script.client().users().me().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_is_asked_for_and_nothing_else() {
    let script = Script::new(|request, _| match request.path.as_str() {
        path if path.ends_with("0b/") => answer(200, &[], json!({"uuid": hex(1)}).to_string()),
        path if path.ends_with("e1/") => answer(200, &[], json!({"uuid": hex(0xe1)}).to_string()),
        path if path.ends_with("0a/") => answer(200, &[], r#"{"state": "done"}"#),
        _ => page(HOME, request, 0, &[]),
    });
    let waldur = script.client();
    waldur.provider_resources().get(RESOURCE).await.unwrap();
    waldur.provider_resources().list(&ResourceQuery::default()).collect().await.unwrap();
    waldur.provider_offerings().get(OFFERING).await.unwrap();
    waldur.orders().list(&OrderQuery::offering(OFFERING)).collect().await.unwrap();
    waldur.service_providers().keys(PROVIDER).collect().await.unwrap();
    waldur.orders().state(ORDER).await.unwrap();
    let sent = script.sent();
    let fields: Vec<Vec<&str>> = sent.iter().map(|sent| sent.all("field")).collect();
    // core.md §1.7, with what it adds.
    let resource = [
        "uuid",
        "backend_id",
        "name",
        "slug",
        "state",
        "project_uuid",
        "project_slug",
        "customer_slug",
        "restrict_member_access",
        "backend_metadata",
        "limits",
        "paused",
        "downscaled",
        "attributes",
        "offering_plugin_options",
        "offering_backend_id",
        "project_name",
        "project_description",
        "customer_uuid",
        "customer_name",
        "end_date",
        "end_date_updated_at",
        "project_end_date",
        "created",
        "effective_id",
        "end_date_requested_by",
        "plan_uuid",
        "options",
    ];
    for member in resource {
        assert!(fields[0].contains(&member), "{member}");
    }
    assert_eq!(fields[0], fields[1]);
    for nested in ["order_in_progress", "creation_order", "error_traceback"] {
        assert!(!fields[0].contains(&nested));
    }
    for member in ["components", "customer_uuid", "partitions", "plugin_options"] {
        assert!(fields[2].contains(&member));
    }
    assert!(!fields[2].contains(&"secret_options"));
    let order = [
        "uuid",
        "state",
        "type",
        "backend_id",
        "resource_name",
        "marketplace_resource_uuid",
        "project_slug",
        "limits",
        "plan_uuid",
        "attributes",
        "error_message",
        "project_uuid",
        "customer_uuid",
        "created_by_username",
    ];
    for member in order {
        assert!(fields[3].contains(&member), "{member}");
    }
    assert_eq!(fields[4], ["uuid", "public_key", "user_uuid"]);
    assert_eq!(fields[5], ["uuid", "state"]);
}

#[tokio::test]
async fn one_component_or_role_that_cannot_be_read_says_nothing_about_the_others() {
    let offering = json!({ "uuid": hex(1), "components": [
        { "type": "cpu", "billing_type": "usage", "unit_factor": "60" },
        { "type": "gpu", "billing_type": "usage", "unit_factor": "n/a" },
        { "type": null, "billing_type": "usage" },
        7,
    ], "partitions": [{ "partition_name": 7 }, { "partition_name": "gpu" }] });
    let client = Script::always(200, offering.to_string()).client();
    let offering = client.provider_offerings().get(OFFERING).await.unwrap();
    let read: Vec<_> = offering.components.iter().map(|row| (row.kind.as_str(), row.unreadable.is_none())).collect();
    assert_eq!(read, [("cpu", true), ("gpu", false)]);
    assert_eq!(
        (offering.components[0].unit_factor, offering.components[1].billing_type.as_ref()),
        (Some(60.into()), None)
    );
    assert_eq!(offering.partitions.len(), 1);
    // What is no list is not an empty one.
    let client = Script::always(200, json!({ "components": "none" }).to_string()).client();
    assert!(client.provider_offerings().get(OFFERING).await.is_err());

    let me = json!({ "uuid": hex(1), "permissions": [
        { "role_name": "OFFERING.MANAGER", "expiration_time": "2026-01-01T00:00:00" },
        { "role_name": "CUSTOMER.OWNER", "expiration_time": "2026-01-01T00:00:00Z" },
    ] });
    let client = Script::always(200, me.to_string()).client();
    let roles = client.users().me().await.unwrap().permissions;
    assert_eq!(roles.iter().map(|role| role.role_name.as_deref()).collect::<Vec<_>>(), [Some("CUSTOMER.OWNER")]);
}
