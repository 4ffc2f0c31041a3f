//! The client as its users test with it: against a mock of their own choice, on a socket.

use secrecy::SecretString;
use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    client::{AgentMode, OrderQuery, WaldurClient},
    rest::{Http, HttpOptions},
    types::OfferingUuid,
};

use crate::support::{environment, options};

fn client(server: &mockito::ServerGuard, options: &HttpOptions) -> WaldurClient {
    let http = Http::connect(options).unwrap().with_environment(environment());
    let builder = WaldurClient::builder(format!("{}/api/", server.url())).http(http);
    builder.token(SecretString::from("c4n4ry-token")).agent_mode(AgentMode::OrderProcess).build().unwrap()
}

#[tokio::test]
async fn a_mock_of_the_users_choice_sees_what_waldur_would() {
    let offering: OfferingUuid = "0000000000000000000000000000000f".parse().unwrap();
    let mut server = mockito::Server::new_async().await;
    let orders = server
        .mock("GET", "/api/marketplace-orders/")
        .match_query(mockito::Matcher::UrlEncoded("offering_uuid".into(), offering.hex()))
        .match_header("authorization", "Token c4n4ry-token")
        .match_header("user-agent", mockito::Matcher::Regex("^waldur-site-agent-order_process/".into()))
        .with_header("content-type", "application/json")
        .with_header("x-result-count", "1")
        .with_body(json!([{ "uuid": offering.hex(), "state": "executing", "type": "Create" }]).to_string())
        .expect(1)
        .create_async()
        .await;
    let client = client(&server, &options());
    let listing = client.orders().list(&OrderQuery::offering(offering)).collect().await.unwrap();
    assert_eq!(listing.items().len(), 1);
    orders.assert_async().await;

    let error = client.orders().get(offering.uuid().into()).await.unwrap_err();
    // The mock answers what it does not know with a status of its own, which is no word of Waldur's.
    assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Unsupported, Some(501)));
}
