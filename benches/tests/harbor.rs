//! The Harbor in memory says what the recorded one said. Harbor 2.9.0, each folder a server of its own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, header};
use serde_json::{Value, json};
use waldur_benches::harbor::{FakeHarbor, PASSWORD, Seed, USER};
use waldur_sdk::rest::HttpTransport;

/// What was answered: status, the headers that mean something, body.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u64,
    headers: Vec<(String, String)>,
    body: Value,
}

struct Replay {
    harbor: FakeHarbor,
    folder: &'static str,
}

impl Replay {
    fn new(folder: &'static str) -> Self {
        Self { harbor: FakeHarbor::new(), folder }
    }

    /// Asks what was asked then, and compares. `more` are headers that the recording does not show.
    async fn plays(&self, files: &[&str], more: &[(&str, &str)]) {
        for file in files {
            let recorded = self.recorded(file);
            let (method, path) = (text(&recorded, "/request/method"), text(&recorded, "/request/path"));
            let body = recorded["request"]["body"].clone();
            let expected = Answer {
                status: recorded["status"].as_u64().unwrap(),
                headers: meaningful(
                    recorded["headers"]
                        .as_object()
                        .unwrap()
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str().unwrap())),
                ),
                body: without_time(recorded["response"].clone()),
            };
            assert_eq!(self.ask(&method, &path, &body, more).await, expected, "{file}");
        }
        assert_eq!(self.harbor.unmodelled(), Vec::<String>::new());
    }

    fn recorded(&self, file: &str) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/harbor").join(self.folder);
        let wanted = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(file);
        let path = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(wanted).unwrap();
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: &Value, more: &[(&str, &str)]) -> Answer {
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let mut request = Request::builder().method(method).uri(format!("https://harbor.example.org/api/v2.0{path}"));
        if !more.contains(&("authorization", "")) {
            request = request.header(header::AUTHORIZATION, login);
        }
        for (name, value) in more.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let answer = self.harbor.send(request.body(bytes).unwrap()).await.unwrap();
        Answer {
            status: answer.status().as_u16().into(),
            headers: meaningful(answer.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()))),
            body: without_time(serde_json::from_slice(answer.body()).unwrap_or_default()),
        }
    }

    /// What the recorded server was asked too, by requests that were not kept.
    async fn also(&self, method: &str, path: &str, body: Value) {
        let status = self.ask(method, path, &body, &[]).await.status;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

fn meaningful<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    const KEPT: [&str; 4] = ["content-type", "link", "location", "x-total-count"];
    let mut kept: Vec<_> = headers
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .filter(|(name, _)| KEPT.contains(&name.as_str()))
        .collect();
    kept.sort();
    kept
}

/// Every time but "never" is some time.
fn without_time(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_time(item.take())),
        Value::Object(members) => members.values_mut().for_each(|member| *member = without_time(member.take())),
        Value::String(text) if text.starts_with("20") && text.ends_with('Z') && text.contains('T') => {
            "some time".clone_into(text);
        }
        _ => {}
    }
    value
}

#[tokio::test]
async fn projects_are_made_found_listed_and_removed_as_recorded() {
    let replay = Replay::new("2.9.0");
    replay.plays(&["009", "010", "011", "012"], &[]).await;
    replay.plays(&["016"], &[("x-resource-name-in-location", "true")]).await;
    replay.plays(&["017"], &[("authorization", "")]).await;
    replay.plays(&["018", "021", "023", "024"], &[]).await;
    replay.plays(&["020"], &[("x-is-resource-name", "true")]).await;
    for number in 0..12 {
        if [2, 8, 10, 11].contains(&number) {
            replay.also("POST", "/projects", json!({ "project_name": format!("many-{number:02}") })).await;
        } else {
            replay.plays(&[&format!("{:03}", 25 + number)], &[]).await;
        }
    }
    replay.plays(&["038", "039", "040", "041", "042", "043", "044", "045", "047"], &[]).await;
    replay.plays(&["134", "138"], &[]).await;
}

#[tokio::test]
async fn quotas_are_read_and_set_as_recorded() {
    let replay = Replay::new("2.9.0");
    replay.plays(&["009", "058", "059", "060", "061", "062", "063", "064", "067"], &[]).await;
    assert_eq!(replay.harbor.project("p-one").unwrap().hard, -1, "the refused ones changed nothing");
}

#[tokio::test]
async fn groups_are_made_and_become_members_as_recorded() {
    let replay = Replay::new("2.9.0-oidc");
    replay.plays(&["003", "004"], &[]).await;
    replay.also("POST", "/usergroups", json!({ "group_name": "c_abc_admin", "group_type": 3 })).await;
    replay.plays(&["007", "010"], &[]).await;
    replay.also("POST", "/usergroups", json!({ "group_name": "h", "group_type": 2 })).await;
    let ldap = json!({ "group_name": "l", "group_type": 1, "ldap_group_dn": "cn=l,dc=x" });
    replay.also("POST", "/usergroups", ldap.clone()).await;
    replay.plays(&["011"], &[]).await;

    // The recorded server has renamed its first group by now; this one is made so.
    let replay = Replay::new("2.9.0-oidc");
    replay.plays(&["003"], &[]).await;
    replay.also("POST", "/usergroups", json!({ "group_name": "renamed", "group_type": 3 })).await;
    replay.also("POST", "/usergroups", json!({ "group_name": "h", "group_type": 2 })).await;
    replay.also("POST", "/usergroups", ldap).await;
    replay.plays(&["015", "016", "017", "019", "020", "021", "024", "025", "026"], &[]).await;
}

#[tokio::test]
async fn what_is_stored_shows_as_recorded() {
    let replay = Replay::new("2.9.0-push");
    // Fourteen projects before it, and a name that was taken: the seventeenth project has the sixteenth quota.
    for number in 0..14 {
        replay.also("POST", "/projects", json!({ "project_name": format!("before-{number}") })).await;
    }
    assert_eq!(replay.ask("POST", "/projects", &json!({ "project_name": "before-0" }), &[]).await.status, 409);
    let seed = Seed { name: "pushed".to_owned(), group: None, hard: 100_000, used: 22_229, repositories: 2 };
    replay.harbor.seed(&seed);
    replay.plays(&["003", "015", "018", "019"], &[]).await;
    let summary = replay.ask("GET", "/projects/17/summary", &Value::Null, &[]).await;
    let mut recorded = replay.recorded("017")["response"].clone();
    // More was pushed between the two exchanges.
    recorded["quota"]["used"]["storage"] = 22_229.into();
    assert_eq!(summary.body, recorded);
}

#[tokio::test]
async fn a_wrong_password_sees_public_projects_only() {
    let replay = Replay::new("2.9.0");
    replay.plays(&["009"], &[]).await;
    let anonymous = replay.ask("GET", "/projects?name=p-one", &Value::Null, &[("authorization", "")]).await;
    assert_eq!((anonymous.status, anonymous.body), (200, json!([])));
    let public = replay.ask("GET", "/projects", &Value::Null, &[("authorization", "")]).await;
    assert_eq!(public.body[0]["name"], "library");
    assert_eq!(replay.ask("GET", "/quotas", &Value::Null, &[("authorization", "")]).await.status, 401);
}

#[tokio::test]
async fn what_it_does_not_know_it_says() {
    let replay = Replay::new("2.9.0");
    assert_eq!(replay.ask("GET", "/robots", &Value::Null, &[]).await.status, 501);
    assert_eq!(replay.ask("GET", "/quotas?sort=-used.storage", &Value::Null, &[]).await.status, 501);
    assert_eq!(replay.harbor.unmodelled().len(), 2);
}
