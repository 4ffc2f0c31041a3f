//! Deletion, and ids that never reach the gateway (s3.md §7).

use crate::common::{
    Failure, Gate, UID, backend, backend_with, count, create, cx, delete, limits, order, request, resource,
    usage_components,
};
use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{Aspects, CreateRequest, DeleteRequest, Inspection, LimitChange, Removed, ResourceBackend as _},
    rest::TransportErrorKind,
    types::BackendId,
};

#[tokio::test(start_paused = true)]
async fn s24_deleting_what_is_gone_succeeds() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    create(&backend, &request(json!({}))).await.unwrap();
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    assert!(gate.fake.users().is_empty());
    // An answer that is lost changes nothing about that.
    create(&backend, &request(json!({}))).await.unwrap();
    gate.lose_answer("DELETE", 1, Failure::Transport(TransportErrorKind::Interrupted));
    delete(&backend).await.unwrap();
    assert!(gate.fake.users().is_empty());
    // A proxy's word is no proof.
    gate.fail("GET /admin/user", 1, Failure::Status(404, "<html>nothing here</html>".to_owned()));
    assert_eq!(delete(&backend).await.unwrap_err().kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn s25_a_user_with_buckets_is_kept_unless_purging_was_chosen() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    for bucket in ["photos", "videos"] {
        gate.fake.create_bucket(UID, bucket).unwrap();
    }
    gate.fake.put_object(UID, "photos", "a", 5).unwrap();
    let error = delete(&backend).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    assert!(error.customer_message().unwrap().contains("2 buckets"), "{error}");
    assert_eq!(gate.fake.get_object(UID, "photos", "a"), Ok(5));
    let purging = backend_with(gate.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    assert_eq!(delete(&purging).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_stamp_is_never_purged() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    gate.fake.put_object(UID, "photos", "a", 5).unwrap();
    let purging = backend_with(gate.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    let error = delete(&purging).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert!(error.customer_message().unwrap().contains("1 bucket."), "{error}");
    assert_eq!(gate.fake.get_object(UID, "photos", "a"), Ok(5));
    assert_eq!(count(&gate.take_log(), "purge-data=true"), 0);
    // An empty one goes.
    gate.fake.remove_object(UID, "photos", "a").unwrap();
    gate.fake.delete_bucket(UID, "photos").unwrap();
    assert_eq!(delete(&purging).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s26_an_id_that_leaves_its_place_is_refused_before_any_request() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    for text in ["../v2", "a/b", "..", "acme$bob", "a b", "a?b=c"] {
        let id = BackendId::new(text).unwrap();
        let change = LimitChange::new(resource(json!({})), id.clone(), limits(1, 1));
        let errors = [
            backend.get(&cx(), &id).await.unwrap_err(),
            backend.create(&cx(), &CreateRequest::new(order(), resource(json!({})), id.clone())).await.unwrap_err(),
            backend.delete(&cx(), &DeleteRequest::new(order(), resource(json!({})), id.clone())).await.unwrap_err(),
            backend.set_limits(&cx(), &change).await.unwrap_err(),
            backend
                .inspect(&cx(), &Inspection::of(std::slice::from_ref(&id), Aspects::ALL))
                .await
                .remove(&id)
                .unwrap()
                .unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::Config), "{text}: {errors:?}");
    }
    assert!(gate.take_log().is_empty());
}
