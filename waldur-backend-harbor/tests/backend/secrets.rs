//! The robot's secret is in the header where it belongs, and nowhere else.

use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, Permission, SeedRobot};
use waldur_sdk::{
    backend::{Inspection, ResourceBackend as _},
    testing::Canaries,
};

use crate::common::{
    ALWAYS, Failure, Gate, backend_with, create, cx, delete, id, now, read, request, set_limits, storage, tree,
};

#[tokio::test(start_paused = true)]
async fn the_robots_secret_shows_nowhere() {
    let canaries = Canaries::default();
    let secret = canaries.mint("robot");
    let robot = SeedRobot::system("waldur", Permission::needed()).secret(secret.clone());
    let gate = Gate::over(FakeHarbor::builder().clock(now).robot(robot).build());
    let backend = backend_with(canaries.watch(gate.clone()), &gate.fake, json!({}));
    create(&backend, &request(storage(20))).await.unwrap();
    set_limits(&backend, storage(50)).await.unwrap();
    backend.inspect(&cx(), &Inspection::of(&[id("waldur-test-registry")], waldur_sdk::backend::Aspects::ALL)).await;
    let findings = backend.diagnose(&cx()).await;
    delete(&backend).await.unwrap();
    assert!(canaries.leaks().is_empty(), "{:?}", canaries.leaks());
    let settings = read(&tree(&gate.fake, json!({}))).unwrap().0;
    for leak in [
        canaries.find_in_debug(&backend),
        canaries.find_in_debug(backend.client()),
        canaries.find_in_debug(&settings),
        canaries.find_in_debug(&findings),
    ] {
        assert!(leak.is_none(), "{leak:?}");
    }
    // A server that sends back what it was sent, in every status.
    for status in [400, 401, 403, 404, 409, 422, 500, 200] {
        let echo = format!(r#"{{"errors":[{{"code":"X","message":"{}"}}]}}"#, secret.expose_secret());
        gate.fail("", ALWAYS, Failure::Status(status, echo));
        for error in [
            create(&backend, &request(storage(20))).await.unwrap_err(),
            set_limits(&backend, storage(50)).await.unwrap_err(),
            backend.ping(&cx()).await.unwrap_err(),
        ] {
            assert!(canaries.find_in_error(&error).is_none(), "{status}: {error}");
        }
        let findings = backend.diagnose(&cx()).await;
        assert!(canaries.find_in_debug(&findings).is_none(), "{status}");
        gate.mend();
    }
}
