//! Purging on croit: through S3, with the user's own key (s3.md §7).

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use waldur_backend_croit::{S3Backend, testing::SeedUser};
use waldur_sdk::{
    ErrorClass, ErrorKind, Result,
    backend::{
        Aspects, Cancellation, DeleteRequest, Inspection, Origin, ProgressObserver, Removed, ResourceBackend as _, Step,
    },
    rest::{HttpTransport, TransportError},
    types::BackendId,
};

use crate::common::{
    Failure, Gate, STAMP, UID, count, create, cx, delete, id, order, request, resource, usage_components,
};

/// A user of ours with data in two buckets: more than one list of it, old versions, an unfinished upload.
fn full() -> Gate {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    for bucket in ["photos", "videos"] {
        gate.fake.create_bucket(UID, bucket).unwrap();
        gate.fake.put_object(UID, bucket, "a/b & <c>+ü.jpg", 5).unwrap();
    }
    for number in 0..1500 {
        gate.fake.put_object(UID, "photos", &format!("{number:04}"), 5).unwrap();
    }
    gate.croit.leave_version("photos", "0001", "v1", Some(5));
    gate.croit.leave_version("photos", "gone", "v2", None);
    gate.croit.leave_upload("videos", "film", "2~x", 1 << 20);
    gate
}

fn purging(gate: &Gate) -> S3Backend {
    gate.backend(json!({ "delete_mode": "purge" }), &usage_components())
}

/// How much was done, of how much.
type Told = (u64, Option<u64>);

#[derive(Clone, Default)]
struct Watch {
    steps: Arc<Mutex<Vec<Told>>>,
    stop: Cancellation,
    stops_at: u64,
}

impl ProgressObserver for Watch {
    fn on_step(&self, step: &Step<'_>) {
        if let ("purge", Some(done)) = (step.step, step.done) {
            self.steps.lock().unwrap().push((done, step.total));
            if self.stops_at > 0 && done >= self.stops_at {
                self.stop.cancel();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s25_purging_on_croit_takes_all_data_with_the_users_own_key() {
    let gate = full();
    let watch = Watch::default();
    let cx = cx().with_progress(watch.clone());
    let order = DeleteRequest::new(order(), resource(json!({})), id());
    drop(purging(&gate).delete(&cx, &order).await.unwrap());
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
    assert_eq!(gate.croit.leftovers(), 0);
    let steps = watch.steps.lock().unwrap().clone();
    assert_eq!(steps.last().map(|step| step.0), Some(1504), "{steps:?}");
    assert!(steps.iter().all(|(done, total)| total.is_some_and(|total| total >= *done)), "{steps:?}");
    assert!(!gate.take_log().iter().any(|line| line.contains("our-secret")));
    assert!(gate.fake.unmodelled().is_empty());
    assert_eq!((gate.fake.unsigned_requests(), gate.fake.rejected_signatures()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_purge_on_croit_that_was_stopped_goes_on_where_it_was() {
    let gate = full();
    let watch = Watch { stops_at: 1, ..Watch::default() };
    let cx = cx().with_progress(watch.clone()).with_cancellation(watch.stop.clone());
    let order = DeleteRequest::new(order(), resource(json!({})), id());
    let error = purging(&gate).delete(&cx, &order).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Cancelled, ErrorClass::NotReady));
    let left: u64 = gate.fake.buckets(UID).iter().map(|bucket| bucket.objects).sum();
    assert!(left > 0 && left < 1502, "{left}");
    assert_eq!(gate.fake.users().len(), 1);
    assert_eq!(delete(&purging(&gate)).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_purged_on_croit_keeps_its_user() {
    // An object that is locked.
    let gate = full();
    gate.croit.lock("0700");
    let error = delete(&purging(&gate)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert!(error.customer_message().unwrap().contains("photos"), "{error}");
    assert_eq!(gate.fake.users().len(), 1);
    // A name that cannot be sent in a list.
    let gate = full();
    gate.fake.put_object(UID, "videos", "a\u{1}b", 5).unwrap();
    let error = delete(&purging(&gate)).await.unwrap_err();
    assert!(error.customer_message().unwrap().contains("in the bucket videos has a name"), "{error}");
    // Somebody who does not carry the resource's stamp.
    for email in ["", "waldur-000000000000000000000000deadbeef-waldur_org_proj_12345678@invalid"] {
        let gate = full();
        gate.fake.edit_user(UID, |user| email.clone_into(user.email)).unwrap();
        delete(&purging(&gate)).await.unwrap_err();
        assert_eq!(gate.fake.buckets(UID).len(), 2);
        assert_eq!(gate.fake.request_count("s3.delete"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_meets_something_else_than_s3_or_a_busy_customer_deletes_no_user() {
    // What answers at the address of S3 is croit itself, or a page.
    let elsewhere = [
        (404, r#"{"code":404,"message":"not found"}"#, ErrorKind::WrongContent),
        (200, "<html>log in</html>", ErrorKind::Decode),
        (403, "<Error><Code>InvalidAccessKeyId</Code></Error>", ErrorKind::Unauthenticated),
    ];
    for (status, answer, kind) in elsewhere {
        let gate = full();
        gate.fail("GET /photos", u32::MAX, Failure::Status(status, answer.to_owned()));
        let error = delete(&purging(&gate)).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (kind, ErrorClass::NotReady), "{error}");
        assert_eq!((gate.fake.users().len(), count(&gate.take_log(), "DELETE /api")), (1, 0));
    }
    // Somebody fills a bucket as fast as it is emptied: the order waits for another run.
    let gate = full();
    let full = "<Error><Code>BucketNotEmpty</Code></Error>".to_owned();
    gate.fail("DELETE /photos", u32::MAX, Failure::Status(409, full));
    let error = delete(&purging(&gate)).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Conflict, ErrorClass::Transient), "{error}");
    let refusal = r#"{"code":500,"message":"Unable to remove user with buckets."}"#.to_owned();
    gate.mend();
    gate.fail("DELETE /api", 1, Failure::Status(500, refusal));
    assert_eq!(delete(&purging(&gate)).await.unwrap_err().class(), ErrorClass::Transient);
    assert_eq!(delete(&purging(&gate)).await.unwrap(), Removed::Deleted);
    // A storage that says it deletes, and does not.
    let gate = self::full();
    let done = "<DeleteResult></DeleteResult>".to_owned();
    gate.fail("POST /videos", u32::MAX, Failure::Status(200, done));
    assert_eq!(delete(&purging(&gate)).await.unwrap_err().kind(), ErrorKind::Inconsistent);
    assert_eq!(gate.fake.users().len(), 1);
}

/// What croit lists may be what the user can reach, and its key may open: a bucket that is shared in a project.
#[tokio::test(start_paused = true)]
async fn a_bucket_of_another_user_is_neither_emptied_nor_published() {
    let row = |bucket: &str, owner: &str| json!({ "bucket": bucket, "owner": owner, "usageSum": { "size": 5, "numObjects": 1 } });
    let lists = [
        json!([row("photos", UID), row("theirs", "other")]),
        json!([row("theirs", "other")]),
        json!([row("photos", UID), row("theirs", "Somebody else, by name")]),
    ];
    for rows in lists {
        let gate = full();
        gate.fake.add_user(SeedUser::new("other")).unwrap();
        gate.fail("/buckets", 99, Failure::Status(200, rows.to_string()));
        let error = delete(&purging(&gate)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongContent, "{rows}");
        assert_eq!((gate.fake.request_count("s3.delete"), gate.fake.users().len()), (0, 2), "{rows}");
        // Whoever is asked for: both of them, ours beside another one, ours alone, and ours once more after several.
        let backend = purging(&gate);
        for asked in [&["other", UID][..], &["third", UID], &[UID]] {
            for backend in [&purging(&gate), &backend] {
                let ids: Vec<_> = asked.iter().map(|uid| BackendId::new(*uid).unwrap()).collect();
                let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
                let state = states[&id()].as_ref().unwrap().as_ref().unwrap();
                let metadata = format!("{:?}", state.metadata.as_ref().unwrap().get("storage_summary"));
                assert!(!metadata.contains("theirs") && !state.warnings.is_empty(), "{rows}: {asked:?} {metadata}");
            }
        }
        // And with an order that finds its user.
        let created = create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
        let metadata = format!("{:?}", created.metadata.get("storage_summary"));
        assert!(!metadata.contains("theirs") && !created.warnings.is_empty(), "{rows}: {metadata}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_on_radosgw_that_meets_a_busy_customer_goes_on_later() {
    for code in ["BucketNotEmpty", "UserHasBuckets"] {
        let gate = Gate::new();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
        gate.fake.create_bucket(UID, "photos").unwrap();
        gate.fail("DELETE /admin/user", 1, Failure::Status(409, format!(r#"{{"Code":"{code}"}}"#)));
        let error = delete(&purging(&gate)).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Conflict, ErrorClass::Transient), "{error}");
        assert_eq!(delete(&purging(&gate)).await.unwrap(), Removed::Deleted);
        assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn long_names_take_more_than_one_order() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    for number in 0..400 {
        gate.fake.put_object(UID, "photos", &format!("{}{number:04}", "&".repeat(1020)), 5).unwrap();
    }
    let way = Longest::of(&gate);
    let purging = gate.backend_over(way.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    assert_eq!(delete(&purging).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
    let longest = *way.longest.lock().unwrap();
    assert!((500_000..1 << 20).contains(&longest), "{longest}");
}

/// Notices how long the longest request is.
#[derive(Clone)]
struct Longest {
    way: Gate,
    longest: Arc<Mutex<usize>>,
}

impl Longest {
    fn of(gate: &Gate) -> Self {
        Self { way: gate.clone(), longest: Arc::default() }
    }
}

#[async_trait]
impl HttpTransport for Longest {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        {
            let mut longest = self.longest.lock().unwrap();
            *longest = request.body().len().max(*longest);
        }
        self.way.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_key_is_purged_with_one_that_goes_with_it() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    gate.fake.put_object(UID, "photos", "a", 5).unwrap();
    assert_eq!(delete(&purging(&gate)).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
    // The secret went through a URL, and is nowhere else.
    assert_eq!(gate.fake.request_count("key.create"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_open_the_data_is_followed_by_the_next() {
    let denied = [(403, "InvalidAccessKeyId"), (403, "AccessDenied")];
    for (status, code) in denied {
        let gate = Gate::croit();
        let user = SeedUser::new(UID).email(STAMP).subuser_key("app", "AAPP", "secret-of-app");
        gate.fake.add_user(user.key("BKEY", "secret-of-b").key("CKEY", "secret-of-c")).unwrap();
        gate.fake.create_bucket(UID, "photos").unwrap();
        gate.fake.put_object(UID, "photos", "a", 5).unwrap();
        gate.fail("GET /photos", 1, Failure::Status(status, format!("<Error><Code>{code}</Code></Error>")));
        assert_eq!(delete(&purging(&gate)).await.unwrap(), Removed::Deleted, "{code}");
        assert_eq!(count(&gate.take_log(), "GET /photos"), 3, "refused, a list, and an empty list");
        assert_eq!(gate.fake.request_count("key.create"), 0);
    }
}

/// A croit whose customer stores an object whenever some are deleted.
#[derive(Clone)]
struct Busy(Gate);

#[async_trait]
impl HttpTransport for Busy {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_deletion = request.method() == http::Method::POST;
        let answer = self.0.send(request).await;
        if is_deletion {
            let number = self.0.fake.request_count("s3.delete");
            self.0.fake.put_object(UID, "photos", &format!("again-{number}"), 5).unwrap();
        }
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_never_stops_storing_holds_no_order_up_for_ever() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    gate.fake.put_object(UID, "photos", "a", 5).unwrap();
    let busy = gate.backend_over(Busy(gate.clone()), json!({ "delete_mode": "purge" }), &usage_components());
    let error = delete(&busy).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Conflict, ErrorClass::Transient), "{error}");
    assert_eq!((gate.fake.request_count("s3.delete"), gate.fake.users().len()), (100, 1));
    assert_eq!(delete(&purging(&gate)).await.unwrap(), Removed::Deleted);
}
