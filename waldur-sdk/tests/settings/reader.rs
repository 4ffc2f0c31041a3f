//! The reader as back ends of other people use it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use waldur_sdk::{
    Error, ErrorKind,
    rest::{BaseUrl, PlainHttp},
    settings::{BackendSettings, Found, RawSettings, Read, Report, Section, Warning, problems},
    types::{Decimal, ProjectUuid},
};

#[derive(Debug)]
struct Registry {
    url: BaseUrl,
    password: SecretString,
    project: Option<ProjectUuid>,
    role: u8,
    share: Decimal,
    prefix: String,
    hosts: Vec<String>,
    labels: BTreeMap<String, String>,
}

impl Registry {
    fn read(mut section: Section<'_>) -> Read<Self> {
        let url = section.key("url").base_url(PlainHttp::LoopbackOnly).required();
        let password = section.key("password").secret().required();
        let project = section.key("project").uuid().optional();
        let role = section.key("role").one_of(&[("admin", 1), ("guest", 3)]).or(2);
        let share = section.key("share").decimal().check("must be at most 1", |share| *share <= 1.into()).or(1.into());
        let prefix = section.key("allocation_prefix").text().or("waldur-".into());
        let hosts = section.key("hosts").list(|item| item.text().required()).or(Vec::new());
        let labels = section.key("labels").map(|_, label| label.text().required()).optional().unwrap_or_default();
        section.finish()?;
        Ok(Self { url: url?, password: password?, project, role, share, prefix, hosts, labels })
    }
}

fn lines(error: &Error) -> Vec<String> {
    problems(error).iter().map(ToString::to_string).collect()
}

fn backend(tree: &Value) -> BackendSettings {
    BackendSettings::from_value("offerings[0].backend_settings", tree).unwrap().0
}

#[test]
fn a_back_end_reads_its_own_keys() {
    let tree = json!({
        "url": "https://registry.example.org", "password": "pw", "project": "713C2996-71A1-4F5D-B972-3A793291BC78",
        "role": "Admin", "share": "0.25", "hosts": ["a", "b"], "labels": {"team": "x"},
        // Core keys, one of which the back end reads with a default of its own: neither is unknown.
        "soft_delete": "yes", "default_account": "top",
    });
    let settings = backend(&tree);
    let (registry, warnings) = settings.read(Registry::read).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(registry.url.to_string(), "https://registry.example.org/");
    assert_eq!(registry.password.expose_secret(), "pw");
    assert_eq!(registry.project.unwrap().hex(), "713c299671a14f5db9723a793291bc78");
    assert_eq!((registry.role, registry.share.to_string()), (1, "0.25".to_owned()));
    assert_eq!(registry.hosts, ["a", "b"]);
    assert_eq!(registry.labels["team"], "x");
    assert!(settings.core.soft_delete);
    assert_eq!((settings.core.allocation_prefix.as_str(), registry.prefix.as_str()), ("", "waldur-"));
}

#[test]
fn all_its_problems_come_at_once_with_their_paths() {
    let tree = json!({
        "url": "http://registry.example.org", "pasword": "pw", "project": 7, "role": 1, "share": 2, "hosts": ["a", 1, null],
        "labels": {"team": [], "a b": true, "": {}},
    });
    let error = backend(&tree).read(Registry::read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let p = "offerings[0].backend_settings";
    assert_eq!(
        lines(&error),
        [
            format!("{p}.url: must be https, or plain http must be allowed explicitly (found text)"),
            format!("{p}.password: is required (found nothing; is the unknown key \"pasword\" meant to be it?)"),
            format!("{p}.project: must be text, in quotes (found a whole number)"),
            format!("{p}.role: must be one of admin, guest (found a whole number)"),
            format!("{p}.share: must be at most 1 (found a whole number)"),
            format!("{p}.hosts[1]: must be text, in quotes (found a whole number)"),
            format!("{p}.hosts[2]: must not be null (found null)"),
            format!("{p}.labels[\"\"]: must be text (found a map)"),
            format!("{p}.labels[\"a b\"]: must be text, in quotes (found a boolean)"),
            format!("{p}.labels.team: must be text (found a list)"),
        ]
    );
    let first = problems(&error)[0].clone();
    assert_eq!((first.path(), first.found()), ("offerings[0].backend_settings.url", Found::Text));
    assert_eq!(first.rule(), "must be https, or plain http must be allowed explicitly");
}

#[test]
fn several_maps_are_read_into_one_report() {
    let settings = RawSettings::from_value("backend_settings", &json!({"url": 1})).unwrap();
    let component = RawSettings::from_value("backend_components.storage", &json!({"backend_name": []})).unwrap();
    let mut report = Report::default();
    let url = report.read(&settings, |mut section| section.key("url").text().required());
    let name = report.read(&component, |mut section| section.key("backend_name").text().required());
    let error = report.finish(url.and_then(|url| Ok((url, name?)))).unwrap_err();
    assert_eq!(
        lines(&error),
        [
            "backend_settings.url: must be text, in quotes (found a whole number)",
            "backend_components.storage.backend_name: must be text (found a list)",
        ]
    );
}

#[test]
fn rules_across_keys_and_notes_have_their_paths() {
    let settings = RawSettings::from_value("s", &json!({"token": "t", "admin_key": "k", "old": 1})).unwrap();
    let outcome = settings.read(|mut section| {
        let token = section.key("token").secret().given()?;
        let admin = section.key("admin_key").secret().given()?;
        if token.is_some() && admin.is_some() {
            section.refuse("admin_key", "cannot stand beside token");
        }
        section.finish()
    });
    assert_eq!(lines(&outcome.unwrap_err()), ["s.admin_key: cannot stand beside token (found text)"]);
    let ((), warnings) = settings
        .read(|mut section| {
            let _read_elsewhere = (section.contains("token"), section.contains("admin_key"));
            section.key("token").secret().optional();
            section.key("admin_key").secret().optional();
            section.key("old").integer(0_i64..).optional();
            section.warn("old", "is not needed any more");
            section.finish()
        })
        .unwrap();
    assert_eq!(warnings.iter().map(Warning::to_string).collect::<Vec<_>>(), ["s.old: is not needed any more"]);
}

#[test]
fn ranges_say_what_they_are() {
    let rule = |value: Value, read: &dyn Fn(Section<'_>) -> Read<()>| {
        let error = RawSettings::from_value("", &json!({"n": value})).unwrap().read(read).unwrap_err();
        problems(&error)[0].rule().to_owned()
    };
    let whole = "must be a whole number";
    assert_eq!(
        rule(json!(9), &|mut s| s.key("n").integer(1_u8..=8).required().map(drop)),
        format!("{whole} from 1 to 8")
    );
    let below = rule(json!(8), &|mut s| s.key("n").integer(1_u8..8).required().map(drop));
    assert_eq!(below, format!("{whole}, at least 1 and less than 8"));
    assert_eq!(
        rule(json!(9), &|mut s| s.key("n").integer(..=8_i32).required().map(drop)),
        format!("{whole}, at most 8")
    );
    assert_eq!(
        rule(json!(-1), &|mut s| s.key("n").integer(0_u64..).required().map(drop)),
        format!("{whole}, at least 0")
    );
    for not_whole in [json!(true), json!(0.5), json!("x"), json!(""), json!(1e300), json!("1e99"), json!({})] {
        assert_eq!(rule(not_whole, &|mut s| s.key("n").integer::<i64>(..).required().map(drop)), whole);
    }
    let (largest, _) = RawSettings::from_value("", &json!({"n": u64::MAX}))
        .unwrap()
        .read(|mut s| s.key("n").integer::<u64>(..).required())
        .unwrap();
    assert_eq!(largest, u64::MAX);
}

#[test]
fn a_hundred_thousand_problems_are_reported_and_dropped() {
    let list = Value::Array(vec![json!(1); 100_000]);
    let settings = RawSettings::from_value("", &json!({ "hosts": list })).unwrap();
    let error = settings.read(|mut s| s.key("hosts").list(|item| item.text().required()).required()).unwrap_err();
    assert_eq!(error.message(), "100000 problems in the settings");
    assert_eq!(problems(&error).len(), 100_000);
}

#[test]
fn keys_are_shown_escaped_and_short() {
    let key = format!("a\n\u{202e}{}", "x".repeat(500));
    let settings = RawSettings::from_value("s", &json!({ key: 1 })).unwrap();
    let ((), warnings) = settings
        .read(|section| {
            section.finish()?;
            Ok(())
        })
        .unwrap();
    let shown = warnings[0].to_string();
    assert!(shown.starts_with("s[\"a\\u{a}\\u{202e}xxx"), "{shown}");
    assert!(shown.len() < 120, "{shown}");
}

#[test]
fn other_errors_carry_no_problems() {
    assert!(problems(&Error::config("x")).is_empty());
    assert!(problems(&Error::config("x").with_source(std::io::Error::other("y"))).is_empty());
    let error = RawSettings::from_value("backend_settings", &json!(3)).unwrap_err();
    assert_eq!(lines(&error), ["backend_settings: must be a map (found a whole number)"]);
}
