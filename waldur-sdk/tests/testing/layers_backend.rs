//! Layers around a back end.

use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    backend::{
        Evaluation, Grant, MarketplaceResource, MembershipPlan, OpContext, PendingOrder, ResourceBackend, Status,
        layers,
    },
    testing::{MemoryBackend, MemoryService},
    types::{BackendId, Limit, OfferingUuid, OrderUuid, ResourceUuid, Uuid},
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

#[tokio::test]
async fn a_dry_run_reads_members_and_limits_of_users_and_writes_neither() {
    let service = MemoryService::new();
    service.seed("one", None);
    let inner = MemoryBackend::new(&service).unwrap().with_roles().with_status().with_user_limits();
    let backend = layers::dry_run(inner);
    let (cx, id) = (OpContext::new("test"), BackendId::new("one").unwrap());
    let ids = std::slice::from_ref(&id);
    let resource =
        MarketplaceResource::new(ResourceUuid::new(Uuid::nil()), OfferingUuid::new(Uuid::nil()), "One", "one");
    let (members, limits) = (backend.members().unwrap(), backend.user_limits().unwrap());
    assert!(members.list(&cx, ids).await.remove(&id).unwrap().unwrap().items().is_empty());
    assert!(limits.list(&cx, ids).await.remove(&id).unwrap().unwrap().is_empty());
    let mut grant = Grant::new("ann");
    grant.roles.insert("PROJECT.ADMIN".to_owned());
    let limit = [("cpu".to_owned(), Limit::At(1_u32.into()))].into();
    let refused = [
        members.apply(&cx, &resource, &id, &MembershipPlan::additions(vec![grant.clone()])).await.err(),
        members.reconcile(&cx, &resource, &id, &[grant.clone()]).await.err(),
        members.update_attributes(&cx, &grant).await.err(),
        limits.set(&cx, &resource, &id, "ann", &limit).await.err(),
        backend.status().unwrap().set_status(&cx, &resource, &id, Status::Paused).await.err(),
    ];
    for (place, error) in refused.into_iter().enumerate() {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::DryRun), "{place}");
    }
    assert_eq!(service.writes(), 0);
    assert!(backend.upkeep().is_none(), "what the back end lacks, a layer does not claim");
}
