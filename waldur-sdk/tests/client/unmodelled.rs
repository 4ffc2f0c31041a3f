//! Calls that have no method.

use serde::Deserialize;
use serde_json::json;
use waldur_sdk::ErrorKind;

use crate::client_support::{Script, answer, page};

const HOME: &str = "https://waldur.example.org";

#[derive(Debug, Deserialize)]
struct Invoice {
    uuid: String,
    state: String,
}

#[tokio::test(start_paused = true)]
async fn what_has_no_method_is_read_as_the_methods_read() {
    let script = Script::new(|_, _| answer(200, &[], json!({ "uuid": "a", "state": "paid" }).to_string()));
    let invoice: Invoice =
        script.client().get_json("/api/invoices/{uuid}/", &["a b"], &[("currency", "EUR")]).await.unwrap();
    assert_eq!((invoice.uuid.as_str(), invoice.state.as_str()), ("a", "paid"));
    let sent = script.only();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", "/api/invoices/a%20b/"));
    let query: Vec<_> = sent.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(query, [("currency", "EUR"), ("field", "uuid"), ("field", "state")]);

    let refused = Script::always(403, json!({ "detail": "You do not have permission." }).to_string());
    let error = refused.client().get_json::<Invoice>("/api/invoices/{uuid}/", &["a"], &[]).await.unwrap_err();
    assert!(error.message().ends_with("You do not have permission."), "{error}");

    let odd = Script::always(200, json!({ "uuid": "canary", "state": 7 }).to_string());
    let error = odd.client().get_json::<Invoice>("/api/invoices/{uuid}/", &["a"], &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_method_is_listed_to_its_proven_end() {
    let row = |number: usize| json!({ "uuid": number.to_string(), "state": "paid" });
    let script = Script::new(move |request, _| {
        let first: usize = request.one("page").map_or(0, |page| (page.parse::<usize>().unwrap() - 1) * 100);
        let rows: Vec<_> = (first..150.min(first + 100)).map(row).collect();
        page(HOME, request, 150, &rows)
    });
    let key = |row: &Invoice| row.uuid.clone();
    let invoices = script.client().list("/api/invoices/", &[], &[("year", "2026")], key).all().await.unwrap();
    assert_eq!(invoices.len(), 150);
    assert!(script.sent().iter().all(|sent| sent.one("year") == Some("2026")));

    // A row that is none is told beside the others, and nothing that is short is taken for whole.
    let script = Script::new(|request, _| {
        page(HOME, request, 2, &[json!({ "uuid": "a" }), json!({ "uuid": "b", "state": "x" })])
    });
    let listing = script.client().list("/api/invoices/", &[], &[], key).collect().await.unwrap();
    assert_eq!((listing.items().len(), listing.bad().len()), (1, 1));
    assert!(script.client().list("/api/invoices/", &[], &[], key).all().await.is_err());

    let none = Script::new(|_, _| {
        let mut answer = answer(404, &[], "<html><p>The requested resource was not found on this server.</p></html>")?;
        answer.headers_mut().insert("content-type", "text/html".parse().unwrap());
        Ok(answer)
    });
    let error = none.client().list("/api/no-such/", &[], &[], key).all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
