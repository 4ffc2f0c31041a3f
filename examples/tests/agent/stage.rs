//! Both systems on sockets, and the binary between them.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use waldur_backend_croit::testing::FakeRadosGw;
use waldur_examples::serve::{Server, serve};
use waldur_sdk::{
    testing::{
        Canaries,
        waldur::{Billing, FakeWaldur, Generation, OrderState},
    },
    types::{OfferingUuid, OrderUuid, Uuid},
};

use crate::exchanges::fake_waldur;

pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Both systems on sockets, and one order.
pub(crate) struct Stage {
    pub(crate) waldur: FakeWaldur,
    pub(crate) gateway: FakeRadosGw,
    pub(crate) waldur_server: Server,
    pub(crate) gateway_server: Server,
    pub(crate) offering: OfferingUuid,
    pub(crate) order: OrderUuid,
    pub(crate) canaries: Canaries,
    pub(crate) token: SecretString,
    pub(crate) admin: SecretString,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::of(Generation::V8).await
    }

    pub(crate) async fn of(generation: Generation) -> Self {
        let canaries = Canaries::default();
        let (token, admin) = (canaries.mint("Waldur token"), canaries.mint("admin key"));
        let waldur = fake_waldur(generation);
        waldur.change_user(waldur.agent(), |agent| agent.token(&token));
        let gateway = FakeRadosGw::builder().admin("ADMINKEY", admin.clone()).build();

        let offering = waldur
            .offering()
            .component_with("s3_storage", Billing::Usage, |component| component.unit("GB"))
            .component_with("s3_objects", Billing::Usage, |component| component.unit("objects"))
            .create();
        let attributes = json!({ "storage_limit": 100, "object_limit": 10_000 });
        let order = waldur.order(offering).create_resource("results").attributes(attributes).pending();
        let waldur_server = serve(waldur.clone(), LOOPBACK).await.unwrap();
        let gateway_server = serve(gateway.clone(), LOOPBACK).await.unwrap();
        Self { waldur, gateway, waldur_server, gateway_server, offering, order, canaries, token, admin }
    }

    /// The settings file of the stage, after a change.
    pub(crate) fn config(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut config = json!({ "offerings": [{
            "name": "Object storage",
            "waldur_api_url": format!("{}api/", self.waldur_server.url()),
            "waldur_api_token": self.token.expose_secret(),
            "waldur_offering_uuid": self.offering.hex(),
            "backend_type": "ceph_s3",
            "order_processing_backend": "ceph_s3",
            "backend_settings": {
                "flavour": "radosgw",
                "s3_endpoint": self.gateway_server.url(),
                "admin_access_key": "ADMINKEY",
                "admin_secret_key": self.admin.expose_secret(),
            },
            "backend_components": {
                "s3_storage": {
                    "label": "Storage", "measured_unit": "GB", "accounting_type": "usage",
                    "backend_name": "storage", "unit_factor": 1_073_741_824,
                },
                "s3_objects": {
                    "label": "Objects", "measured_unit": "objects", "accounting_type": "usage",
                    "backend_name": "objects",
                },
            },
        }]});
        change(&mut config);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.yaml"));
        // Every JSON text is YAML.
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// One more order, for a resource whose id begins like no other's: the back end names users by that.
    pub(crate) fn another(&self, number: u128) -> OrderUuid {
        let uuid = Uuid::from_u128(number << 96 | 0x4000_8000);
        let order = self.waldur.order(self.offering).create_resource(format!("results-{number}"));
        order.resource(|resource| resource.uuid(uuid)).attributes(json!({ "storage_limit": 1 })).pending()
    }

    pub(crate) fn state(&self) -> OrderState {
        self.waldur.order_view(self.order).state
    }

    /// Neither what was configured nor what the gateway minted is in what the program printed.
    pub(crate) fn assert_silent(&self, output: &Output) {
        let printed = text(output);
        assert_eq!(self.canaries.find_in(&printed), None, "{printed}");
        for user in self.gateway.users() {
            for key in user.keys {
                assert!(!printed.contains(key.secret_key.expose_secret()), "a customer's key is printed");
            }
        }
    }
}

pub(crate) fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waldur-agent"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs the agent to its end while the servers go on in this runtime.
pub(crate) async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) async fn once(config: &std::path::Path) -> Output {
    run(agent(&["order-process", "--once", "-c", config.to_str().unwrap()])).await
}

/// Sends a signal, by its option of `kill`.
pub(crate) fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Looks again and again, for twenty seconds.
pub(crate) async fn waits_for(what: &str, holds: &dyn Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what} within twenty seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The code with which a child ends. One that goes on is killed, and fails its test.
pub(crate) async fn ended(mut child: Child) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begin.elapsed() > Duration::from_secs(40) {
            child.kill().unwrap();
            panic!("it goes on");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
