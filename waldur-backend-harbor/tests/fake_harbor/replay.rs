//! Every recorded request, in the recorded order, against the fake; every answer compared: status, content type, location,
//! links, total, and body, value by value.
//!
//! The recordings of pushes go on where those of the first server end. File numbers have gaps: what was sent there and
//! shows later is made up for in [`Replay::make_up`]. Nothing is left out. `900-v2-quota-exceeded` is what a container
//! client was told; it is played by the method that pushes.
//!
//! Masks: times, except the one that is never; secrets, which are redacted in the recordings.

use serde_json::{Value, json};
use waldur_backend_harbor::testing::Image;

use super::support::{Answer, Bench, Login, Recorded};

const SECRET: &str = "Str0ngSecret";

/// The digest of the recorded image.
const DIGEST: &str = "sha256:5808981a67e07fe73223045ff0cda849e1ee3f6719096b6d9bb6e9694dc35d1b";

struct Replay {
    bench: Bench,
    played: usize,
    differences: Vec<String>,
}

impl Replay {
    fn new(auth_mode: &str) -> Self {
        let bench = Bench::with(|builder| {
            builder.no_robot().version("-").configure(|settings| {
                auth_mode.clone_into(&mut settings.auth_mode);
                "http://127.0.0.1:9000".clone_into(&mut settings.external_url);
            })
        });
        Self { bench, played: 0, differences: Vec::new() }
    }

    async fn folder(&mut self, name: &str) {
        for recorded in Recorded::folder(name) {
            let place = format!("{name}/{}", recorded.file);
            self.make_up(&place, &recorded).await;
            let answer =
                if recorded.method.is_empty() { self.pushed_too_much() } else { self.asked(&place, &recorded).await };
            let (want, have) = (masked(recorded.answer()), masked(answer));
            self.played += 1;
            if want != have {
                self.differences.push(format!("{place}:\n  want {want:?}\n  have {have:?}"));
            }
        }
    }

    async fn asked(&self, place: &str, recorded: &Recorded) -> Answer {
        let login = match place {
            "2.9.0/003-systeminfo"
            | "2.9.0/005-noauth"
            | "2.9.0/017-proj-create-noauth"
            | "2.9.0-oidc/001-systeminfo" => Login::nobody(),
            "2.9.0/006-badauth" => Login::of("admin", "wrong"),
            "2.9.0/117-robot-auth-create" => Login::of("robot$sys", SECRET),
            place if place.contains("-alice-") || place.ends_with("-alice") => Login::of("alice", "REDACTED"),
            _ => self.bench.admin(),
        };
        let headers: &[(&str, &str)] = match place {
            "2.9.0/016-proj-create-returnid" => &[("x-resource-name-in-location", "true")],
            "2.9.0/020-proj-get-id-isname" => &[("x-is-resource-name", "true")],
            _ => &[],
        };
        let mut body = recorded.body.clone();
        match place {
            "2.9.0/114-robot-set-sec" => body["secret"] = SECRET.into(),
            "2.9.0/115-robot-set-weak" => body["secret"] = "weak".into(),
            _ => {}
        }
        let call = format!("{} {}", recorded.method, recorded.path);
        self.bench.send(&login, &call, &body, headers).await.into()
    }

    /// What happened before an exchange and was not recorded.
    async fn make_up(&self, place: &str, recorded: &Recorded) {
        let harbor = &self.bench.harbor;
        match place {
            "2.9.0/002-health" => {
                for component in recorded.answer["components"].as_array().unwrap() {
                    if let Some(error) = component["error"].as_str() {
                        assert!(harbor.break_component(component["name"].as_str().unwrap(), error));
                    }
                }
            }
            "2.9.0/028-proj-many3" => self.also("POST /projects", json!({ "project_name": "many-02" })).await,
            "2.9.0/034-proj-many9" => self.also("POST /projects", json!({ "project_name": "many-08" })).await,
            "2.9.0/038-proj-page2" => {
                for name in ["many-10", "many-11"] {
                    self.also("POST /projects", json!({ "project_name": name })).await;
                }
            }
            "2.9.0/096-usergroup-create-dup" | "2.9.0-oidc/007-usergroup-dup" => {
                self.also("POST /usergroups", recorded.body.clone()).await;
            }
            "2.9.0/103-robot-create-dup" => self.make_up_the_robot().await,
            "2.9.0/107-robot-create-dur0" => self.bench.set_clock("2026-11-22T04:53:05.426Z"),
            "2.9.0-oidc/011-usergroups" => {
                self.also("POST /usergroups", json!({ "group_name": "h", "group_type": 2 })).await;
                let ldap = json!({ "group_name": "l", "group_type": 1, "ldap_group_dn": "cn=l,dc=x" });
                self.also("POST /usergroups", ldap).await;
            }
            "2.9.0-push/003-quota-used" => {
                let app = Image::new("v1").digest(DIGEST).layer("app", 20_615);
                harbor.push("pushed", "app", app).unwrap();
                harbor.push("pushed", "team/nested", Image::new("v1").layer("nested", 1_614)).unwrap();
            }
            "2.9.0-push/014-tag-dup" => {
                self.also("POST /projects/pushed/repositories/app/artifacts/v1/tags", json!({ "name": "v2" })).await;
            }
            // A piece of a push that was refused.
            "2.9.0-push/017-summary" => assert!(harbor.upload("pushed", "left over", 173)),
            _ => {}
        }
    }

    async fn make_up_the_robot(&self) {
        self.bench.set_clock("2026-11-22T04:53:04.890Z");
        let permissions = json!([
            { "kind": "project", "namespace": "*", "access": [{ "resource": "repository", "action": "pull" }] },
            { "kind": "system", "namespace": "/", "access": [{ "resource": "project", "action": "create" }] },
        ]);
        let robot = json!({ "name": "sys", "duration": 30, "level": "system", "permissions": permissions });
        self.also("POST /robots", robot).await;
    }

    async fn also(&self, call: &str, body: Value) {
        let answer = self.bench.ask(&self.bench.admin(), call, body).await;
        assert_eq!(answer.status, 201, "{call}: {answer:?}");
    }

    fn pushed_too_much(&self) -> Answer {
        // Recorded before the limit was lowered, and after the quota was used a little more.
        assert!(
            self.bench
                .harbor
                .add_project(waldur_backend_harbor::testing::SeedProject::new("again").quota(100_000))
                .is_ok()
        );
        assert!(self.bench.harbor.upload("again", "stored", 22_402));
        let refused = self.bench.harbor.push("again", "big", Image::new("v1").layer("big", 120_422)).unwrap_err();
        let body = json!({ "errors": [{ "code": refused.code(), "message": refused.message() }] });
        Answer { status: refused.status(), headers: [].into(), body }
    }

    fn finish(self, exchanges: usize) {
        assert!(self.differences.is_empty(), "{}", self.differences.join("\n"));
        assert_eq!(self.bench.harbor.unmodelled(), Vec::<String>::new());
        assert_eq!(self.played, exchanges);
    }
}

fn masked(answer: Answer) -> Answer {
    Answer { body: without_times(answer.body), ..answer }
}

/// Every time but "never" is some time, and every secret is some secret.
fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_times(item.take())),
        Value::Object(members) => {
            for (name, member) in members {
                *member = if name == "secret" { "REDACTED".into() } else { without_times(member.take()) };
            }
        }
        Value::String(text) if text.starts_with("20") && text.ends_with('Z') && text.contains('T') => {
            "some time".clone_into(text);
        }
        _ => {}
    }
    value
}

#[tokio::test]
async fn recorded_exchanges_with_logins_of_its_own_and_pushes_are_answered_alike() {
    let mut replay = Replay::new("db_auth");
    replay.folder("2.9.0").await;
    replay.folder("2.9.0-push").await;
    replay.finish(120);
}

#[tokio::test]
async fn recorded_exchanges_under_oidc_are_answered_alike() {
    let mut replay = Replay::new("oidc_auth");
    replay.folder("2.9.0-oidc").await;
    replay.finish(25);
}
