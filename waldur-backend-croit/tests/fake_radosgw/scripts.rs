//! What the recordings leave open, measured on a running 16.2.15 and written down as scripts in `measured/`: one call
//! per line and what must come of it. Every script runs against the fake; with `--ignored` and the address of a
//! gateway in the environment, the same scripts run against that, so that nobody has to believe them.
//!
//! A line is `CALL => STATUS CODE`, or `CALL => 200 TEXT` when the body must contain TEXT. Calls are
//! `METHOD resource?query`, a body behind `BODY`; `user UID` creates a user with a key of its own; `s3 …` is the
//! tenant.

use super::support::{Bench, live::Live};

const SCRIPTS: [(&str, &str); 6] = [
    ("users", include_str!("measured/users.txt")),
    ("keys", include_str!("measured/keys.txt")),
    ("quotas", include_str!("measured/quotas.txt")),
    ("buckets", include_str!("measured/buckets.txt")),
    ("enforcement", include_str!("measured/enforcement.txt")),
    ("paths", include_str!("measured/paths.txt")),
];

/// One side of the comparison.
enum Gateway {
    Fake(Box<Bench>),
    Live(Live),
}

impl Gateway {
    /// `METHOD resource?query`, with a body or `""`: status, code or body.
    async fn call(&self, call: &str, body: &str) -> (String, String) {
        let answer = match self {
            Self::Fake(bench) => bench.call_with(call, body).await,
            Self::Live(live) => live.call(call, body),
        };
        (answer.verdict(), answer.text)
    }

    fn tenant(&self, step: &[&str]) -> String {
        let gateway = match self {
            Self::Fake(bench) => &bench.gateway,
            Self::Live(live) => return live.tenant(step),
        };
        let done = match step {
            ["create", uid, bucket] => gateway.create_bucket(uid, bucket).map(|()| "200"),
            ["put", uid, bucket, key, size] => {
                gateway.put_object(uid, bucket, key, size.parse().unwrap()).map(|()| "200")
            }
            ["get", uid, bucket, key] => gateway.get_object(uid, bucket, key).map(|_| "200"),
            ["remove", uid, bucket, key] => gateway.remove_object(uid, bucket, key).map(|()| "204"),
            step => panic!("{step:?}"),
        };
        done.map_or_else(|refused| refused.to_string(), str::to_owned)
    }

    /// Runs a script and returns the lines that came out otherwise.
    async fn run(&self, script: &str) -> Vec<String> {
        let mut differences = Vec::new();
        for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (step, expected) = line.split_once(" => ").unwrap();
            let (status, expected) = expected.split_once(' ').unwrap_or((expected, ""));
            let found = match step.split(' ').collect::<Vec<_>>().as_slice() {
                ["s3", step @ ..] => (self.tenant(step), String::new()),
                ["user", uid] => {
                    let (access_key, secret_key) = key_of(uid);
                    let uid = uid.replace('$', "%24");
                    let keys = format!("access-key={access_key}&secret-key={secret_key}");
                    self.call(&format!("PUT user?uid={uid}&display-name=x&{keys}"), "").await
                }
                _ => {
                    let (call, body) = step.split_once(" BODY ").unwrap_or((step, ""));
                    self.call(call, body).await
                }
            };
            let (verdict, text) = &found;
            let code = verdict == &format!("{status} {expected}");
            let body = verdict.split(' ').next() == Some(status) && text.contains(expected) && !expected.is_empty();
            let bare = verdict == status && expected.is_empty();
            if !(code || body || bare) {
                differences.push(format!("{line}\n    have {verdict} {text}"));
            }
        }
        differences
    }
}

/// The key pair that `user UID` makes.
pub(crate) fn key_of(uid: &str) -> (String, String) {
    let name: String = uid.chars().filter(char::is_ascii_alphanumeric).collect();
    (format!("{}KEY", name.to_uppercase()), format!("secret-of-{name}"))
}

#[tokio::test]
async fn measured_scripts_hold_on_the_fake() {
    for (name, script) in SCRIPTS {
        let bench = Bench::new();
        let fake = Gateway::Fake(Box::new(bench.clone()));
        let differences = fake.run(script).await;
        assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
        assert_eq!(bench.gateway.unmodelled(), Vec::<String>::new());
    }
}

/// `RGW_ENDPOINT`, `RGW_ADMIN_ACCESS_KEY` and `RGW_ADMIN_SECRET_KEY` name a gateway on loopback whose admin has the
/// caps of the fake's. Nothing but users `fq-…` and buckets `fqb…` is touched.
#[tokio::test]
#[ignore = "needs a running RadosGW 16.2"]
async fn measured_scripts_hold_on_a_real_gateway() {
    let live = Gateway::Live(Live::from_environment());
    let mut differences = Vec::new();
    for (_, script) in SCRIPTS {
        clean(&live).await;
        differences.extend(live.run(script).await);
        clean(&live).await;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

async fn clean(gateway: &Gateway) {
    for uid in [
        "fq-a",
        "fq-b",
        "fq-c",
        "fq-d",
        "fq-ghost",
        "fqt%24fq-a",
        "fqt%24fq-b",
        "fqt%24fq-ghost",
        "fqt%24fq-c",
        "fqt%24fq-d",
    ] {
        gateway.call(&format!("DELETE user?uid={uid}&purge-data=true"), "").await;
    }
    for bucket in ["fqb1", "fqb2", "fqb3", "fqt%2Ffqb1", "fqt%2Ffqb2"] {
        gateway.call(&format!("DELETE bucket?bucket={bucket}&purge-objects=true"), "").await;
    }
}
