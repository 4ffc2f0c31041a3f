//! A user that croit's list does not show is not gone for that (faults.md rows 51, 70, 108).

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;
use waldur_backend_croit::{S3Backend, testing::SeedUser};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{ApiKeys as _, Aspects, Inspection, Removed, ResourceBackend as _},
    rest::{HttpTransport, TransportError},
};

use crate::common::{Failure, Gate, STAMP, UID, count, cx, delete, id, limits, resource, set_limits, usage_components};

/// A croit whose list of users is empty so many times.
#[derive(Clone)]
struct Empty {
    gate: Gate,
    left: Arc<AtomicU32>,
}

impl Empty {
    /// A user of ours, and a list that does not show it.
    fn new(times: u32) -> Self {
        let gate = Gate::croit();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
        Self { gate, left: Arc::new(AtomicU32::new(times)) }
    }

    fn backend(&self) -> S3Backend {
        self.gate.backend_over(self.clone(), json!({}), &usage_components())
    }

    fn has_user(&self) -> bool {
        self.gate.fake.user(UID).is_some()
    }
}

#[async_trait]
impl HttpTransport for Empty {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let lists = request.method() == Method::GET && request.uri().path() == "/api/s3/users";
        let answer = self.gate.send(request).await?;
        let is_empty =
            lists && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        Ok(if is_empty { answer.map(|_| Bytes::from_static(b"[]")) } else { answer })
    }
}

#[tokio::test(start_paused = true)]
async fn f108_a_user_that_an_empty_list_hides_is_never_called_absent() {
    let croit = Empty::new(u32::MAX);
    let error = delete(&croit.backend()).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Inconsistent, ErrorClass::Transient), "{error}");
    assert!(croit.has_user());
    assert_eq!(count(&croit.gate.take_log(), "DELETE"), 0, "nobody knows whose it is");
    // Nor by anybody else who asks: a soft end, a change, whoever revokes its keys, a synchronisation.
    let backend = croit.backend();
    assert_eq!(backend.get(&cx(), &id()).await.unwrap_err().class(), ErrorClass::Transient);
    assert_eq!(set_limits(&backend, limits(1, 1)).await.unwrap_err().class(), ErrorClass::Transient);
    let revoked = backend.revoke(&cx(), &resource(json!({})), &id(), "OURKEY").await;
    assert_eq!(revoked.unwrap_err().class(), ErrorClass::Transient);
    for aspects in [Aspects::EXISTENCE, Aspects::ALL] {
        let seen = backend.inspect(&cx(), &Inspection::of(&[id()], aspects)).await.remove(&id()).unwrap();
        assert_eq!(seen.unwrap_err().class(), ErrorClass::Transient);
    }
    assert!(croit.gate.fake.login("OURKEY", &"our-secret".into()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn f070_f074_a_list_that_lags_once_delays_a_deletion_and_no_more() {
    let croit = Empty::new(1);
    assert_eq!(delete(&croit.backend()).await.unwrap(), Removed::Deleted);
    assert!(!croit.has_user());
}

#[tokio::test(start_paused = true)]
async fn f051_absence_on_croit_is_proven_by_its_own_word_and_no_proxys() {
    let croit = Gate::croit();
    let backend = croit.backend(json!({}), &usage_components());
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    let keys = format!("GET /api/s3/users/{UID}/keys");
    assert_eq!(croit.take_log(), ["GET /api/s3/users".to_owned(), keys.clone()]);
    for (status, body, kind) in
        [(404, "<html>nothing here</html>", ErrorKind::WrongContent), (403, "{}", ErrorKind::PermissionDenied)]
    {
        croit.fail(&keys, 1, Failure::Status(status, body.to_owned()));
        assert_eq!(delete(&backend).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn f051_after_a_list_that_shows_others_any_form_of_croits_404_proves_absence() {
    let other = || SeedUser::new("other");
    let said = [
        (r#"{"error": "User x not found."}"#, true),
        (r#"{"detail": "Not Found"}"#, true),
        (r#"{"message": "not found"}"#, true),
        (r#"{"Code": "NoSuchUser"}"#, true),
        (r#"{"error": " "}"#, false),
        (r#"{"reason": "not found"}"#, false),
        (r#"["not found"]"#, false),
        (r#""not found""#, false),
        ("not found", false),
        ("", false),
    ];
    for (body, is_proof) in said {
        let croit = Gate::croit();
        let backend = croit.backend(json!({}), &usage_components());
        croit.fail("/keys", u32::MAX, Failure::Status(404, body.to_owned()));
        let error = delete(&backend).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongContent, "a list of nobody may be that of a start: {body}");
        croit.fake.add_user(other()).unwrap();
        let removed = delete(&backend).await;
        assert_eq!(removed.as_ref().is_ok_and(|removed| *removed == Removed::AlreadyAbsent), is_proof, "{body}");
        for aspects in [Aspects::EXISTENCE, Aspects::ALL] {
            let seen = backend.inspect(&cx(), &Inspection::of(&[id()], aspects)).await.remove(&id()).unwrap();
            assert_eq!(matches!(seen, Ok(None)), is_proof, "{body}: {seen:?}");
        }
        // Of one that is listed it says nothing.
        croit.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
        let seen = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await.remove(&id()).unwrap();
        assert!(seen.unwrap().is_some(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn f051_a_deletion_whose_answer_was_lost_ends_whatever_form_croits_404_has() {
    let croit = Gate::croit();
    croit.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
    croit.fake.add_user(SeedUser::new("other")).unwrap();
    let backend = croit.backend(json!({}), &usage_components());
    let gone = || Failure::Status(404, r#"{"error": "User not found."}"#.to_owned());
    croit.lose_answer("DELETE", 1, gone());
    croit.fail("/keys", u32::MAX, gone());
    assert_eq!(delete(&backend).await.unwrap_err().kind(), ErrorKind::WrongContent, "a 404 alone proves nothing");
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    assert!(croit.fake.user(UID).is_none());
}
