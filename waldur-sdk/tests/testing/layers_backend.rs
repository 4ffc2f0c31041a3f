//! Layers around a back end.

use serde_json::json;
use waldur_sdk::{
    backend::{Evaluation, OpContext, PendingOrder, ResourceBackend, layers},
    testing::{MemoryBackend, MemoryService},
    types::{OrderUuid, Uuid},
};

#[tokio::test]
async fn a_review_speaks_first_and_only_where_it_has_something_to_say() {
    let service = MemoryService::new();
    let backend = layers::reviewed(MemoryBackend::new(&service).unwrap(), |order: &PendingOrder| {
        order.attributes.contains_key("large").then(|| Evaluation::Reject { comment: Some("too large".to_owned()) })
    });
    let cx = OpContext::new("test");
    let mut order = PendingOrder::new(OrderUuid::new(Uuid::nil()), "Create", "res");
    assert_eq!(backend.evaluate(&cx, &order).await.unwrap(), Evaluation::Accept, "the back end's own word");
    order.attributes.insert("large".to_owned(), json!(true));
    let word = backend.evaluate(&cx, &order).await.unwrap();
    assert_eq!(word, Evaluation::Reject { comment: Some("too large".to_owned()) });
    assert_eq!(backend.backend_type(), "memory");
    backend.ping(&cx).await.unwrap();
}
