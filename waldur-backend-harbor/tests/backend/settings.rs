//! The settings of a Harbor offering, and names (harbor.md §1, §6).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::{Value, json};
use waldur_backend_harbor::{HarborBackend, HarborFactory, HarborSettings, client::Role, names};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{BuildEnv, Candidate, Collision, MarketplaceResource, Registry},
    rest::{Http, HttpOptions, HttpTransport},
    settings::{AccountingType, BackendSettings, Component, Components, Warning, problems},
    testing::ScriptedTransport,
    types::{Decimal, Limit, OfferingUuid, UnitFactor, Uuid, WaldurAmount},
};

use crate::common::{components, read, resource};

fn minimal() -> Value {
    json!({
        "harbor_url": "https://harbor.example.com", "robot_username": "robot$waldur-agent",
        "robot_password": "canary-robot-password",
    })
}

fn with(more: Value) -> Value {
    let mut tree = minimal();
    let Value::Object(more) = more else { unreachable!() };
    tree.as_object_mut().unwrap().extend(more);
    tree
}

fn paths(error: &Error) -> Vec<String> {
    problems(error).iter().map(|problem| problem.path().trim_start_matches("backend_settings.").to_owned()).collect()
}

fn warned(warnings: &[Warning]) -> Vec<&str> {
    warnings.iter().map(|warning| warning.path().trim_start_matches("backend_settings.")).collect()
}

fn build(tree: &Value, components: Components) -> Result<&'static str> {
    let (settings, _) = BackendSettings::from_value("backend_settings", tree)?;
    let connect = |_: &HttpOptions| Ok(Arc::new(ScriptedTransport::new()) as Arc<dyn HttpTransport>);
    let environment = BuildEnv::new("harbor", OfferingUuid::new(Uuid::nil()), settings, components, connect);
    Registry::default().with(HarborFactory).build(&environment).map(|(backend, _)| backend.backend_type())
}

#[test]
fn the_seeds_settings_load_unchanged() {
    let seed = json!({
        "harbor_url": "https://harbor.example.com", "robot_username": "robot$waldur-agent",
        "robot_password": "your-robot-password-here", "default_storage_quota_gb": 10, "oidc_group_prefix": "waldur-",
        "allocation_prefix": "waldur-", "project_role_id": 2,
    });
    let (settings, warnings) = read(&seed).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(settings.username, "robot$waldur-agent");
    assert_eq!((settings.allocation_prefix.as_str(), settings.group_prefix.as_str()), ("waldur-", "waldur-"));
    assert_eq!(build(&seed, components()).unwrap(), "harbor");
}

#[test]
fn every_key_of_a_registry_has_the_default_of_the_specification() {
    let (settings, warnings) = read(&minimal()).unwrap();
    assert_eq!(settings.url.to_string(), "https://harbor.example.com/");
    assert_eq!(settings.default_limit, Limit::At(10_u32.into()));
    assert_eq!((settings.group_prefix.as_str(), settings.allocation_prefix.as_str()), ("waldur-", ""));
    assert_eq!((settings.role, settings.timeout), (Role::DEVELOPER, Duration::from_secs(30)));
    assert!(settings.verify_ssl && !settings.force_delete_repositories);
    assert_eq!(settings.bytes_per_unit, 1 << 30);
    assert_eq!(warned(&warnings), ["allocation_prefix"]);
    assert!(!format!("{settings:?}").contains("canary"));

    let (settings, warnings) = read(&with(json!({
        "default_storage_quota_gb": -1, "project_role_id": "5", "force_delete_repositories": true, "timeout": 60,
        "storage_bytes_per_unit": 1_000_000_000, "harbor_url": "http://harbor.lan/", "allocation_prefix": "w-",
        "robot_user": "x",
    })))
    .unwrap();
    assert_eq!((settings.default_limit, settings.role), (Limit::Unlimited, Role::LIMITED_GUEST));
    assert!(settings.force_delete_repositories);
    assert_eq!(settings.bytes_per_unit, 1_000_000_000);
    assert_eq!(warned(&warnings), ["harbor_url", "force_delete_repositories", "robot_user"]);

    let (_, warnings) = read(&with(json!({
        "project_role_id": 1, "oidc_group_prefix": " ", "allocation_prefix": "w-",
    })))
    .unwrap();
    assert_eq!(warned(&warnings), ["oidc_group_prefix", "project_role_id"]);
}

#[test]
fn an_address_may_have_the_apis_path_or_not() {
    let cases = [
        ("https://h/", "https://h/"),
        ("https://h", "https://h/"),
        ("https://h/api/v2.0", "https://h/"),
        ("https://h/api/v2.0/", "https://h/"),
        ("https://h/registry/api/v2.0", "https://h/registry/"),
        ("https://h/api", "https://h/api/"),
        ("https://h/v2.0", "https://h/v2.0/"),
    ];
    for (given, read_as) in cases {
        let (settings, _) = read(&with(json!({ "harbor_url": given }))).unwrap();
        assert_eq!(settings.url.to_string(), read_as, "{given}");
    }
}

#[test]
fn all_problems_of_a_registry_are_told_at_once_and_no_value() {
    let tree = json!({
        "robot_username": "can:ary", "robot_password": ["canary-secret"], "default_storage_quota_gb": 0,
        "project_role_id": 6, "timeout": 0, "storage_bytes_per_unit": 0, "verify_ssl": "canary-maybe",
        "force_delete_repositories": "canary", "oidc_group_prefix": 5,
    });
    let error = read(&tree).unwrap_err();
    let mut found = paths(&error);
    found.sort();
    let expected = [
        "default_storage_quota_gb",
        "force_delete_repositories",
        "harbor_url",
        "oidc_group_prefix",
        "project_role_id",
        "robot_password",
        "robot_username",
        "storage_bytes_per_unit",
        "timeout",
        "verify_ssl",
    ];
    assert_eq!(found, expected);
    assert!(!format!("{error:?} {:?}", error.chain()).contains("canary"));
    let missing = read(&json!({ "robot_password": " " })).unwrap_err();
    assert_eq!(paths(&missing), ["harbor_url", "robot_username", "robot_password"]);
    let text = missing.chain().join(" ");
    assert_eq!(text.matches("Missing required setting").count(), 3, "{text}");
}

#[test]
fn the_component_has_to_be_there_and_billed_by_limit() {
    let of = |name: &str, kind| [Component::new(name, kind)].into_iter().collect::<Components>();
    for wrong in [
        Components::default(),
        of("disk", AccountingType::Limit),
        of("storage", AccountingType::Usage),
        of("storage", AccountingType::One),
    ] {
        let error = build(&minimal(), wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("accounting_type='limit'"), "{error}");
    }
    let error = build(&with(json!({ "soft_delete": true })), components()).unwrap_err();
    assert!(format!("{error:#}").contains("soft_delete"), "{error:#}");
    let error = build(&with(json!({ "soft_delete": true, "harbor_url": 7 })), components()).unwrap_err();
    let mut named = paths(&error);
    named.sort_unstable();
    assert_eq!(named, ["harbor_url", "soft_delete"]);
}

#[test]
fn a_private_authority_comes_from_the_settings() {
    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
    let trusted = |tree: &Value| {
        let (settings, _) = BackendSettings::from_value("backend_settings", tree)?;
        let seen = Arc::new(Mutex::new(None));
        let told = seen.clone();
        let connect = move |options: &HttpOptions| {
            *told.lock().unwrap() = Some((options.ca_certificates.clone(), options.system_roots));
            Ok(Arc::new(ScriptedTransport::new()) as Arc<dyn HttpTransport>)
        };
        let environment = BuildEnv::new("harbor", OfferingUuid::new(Uuid::nil()), settings, components(), connect);
        let (_, warnings) = Registry::default().with(HarborFactory).build(&environment)?;
        assert_eq!(warned(&warnings), ["allocation_prefix"], "the key is known");
        let seen = seen.lock().unwrap().take().unwrap();
        Ok::<_, Error>((String::from_utf8(seen.0).unwrap().trim().to_owned(), seen.1))
    };
    assert_eq!(trusted(&minimal()).unwrap(), (String::new(), true));
    assert_eq!(trusted(&with(json!({ "ca_certificates": PEM }))).unwrap(), (PEM.to_owned(), true));
    let error = trusted(&with(json!({ "ca_certificates": "/etc/ssl/ours.pem" }))).unwrap_err();
    assert_eq!(paths(&error), ["ca_certificates"]);
    assert!(error.chain().join(" ").contains("not the name of a file"), "{:?}", error.chain());
}

#[test]
fn h02_the_default_is_in_gigabytes_whatever_the_unit_of_the_component_is() {
    let of = |factor: u32| {
        let mut storage = Component::new("storage", AccountingType::Limit);
        storage.unit_factor = UnitFactor::new(Decimal::from(factor)).unwrap();
        [storage].into_iter().collect::<Components>()
    };
    assert_eq!(build(&minimal(), of(1)).unwrap(), "harbor");
    assert_eq!(build(&minimal(), of(5)).unwrap(), "harbor");
    // 10 GiB in TiB: Waldur has no fractions, and 10 TiB were never meant. Nobody has asked for them, so that only an order
    // without a limit fails (see below).
    assert_eq!(build(&minimal(), of(1024)).unwrap(), "harbor");
    assert_eq!(build(&with(json!({ "storage_bytes_per_unit": 1_u64 << 50 })), of(1)).unwrap(), "harbor");
    // More than Harbor can count.
    for (factor, written) in [(1024, 10), (1, (1 << 20) + 1), (1 << 20, 1 << 21)] {
        let error = build(&with(json!({ "default_storage_quota_gb": written })), of(factor)).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().contains("default_storage_quota_gb"), "{error}");
    }
    for whole in [2048, -1] {
        assert_eq!(build(&with(json!({ "default_storage_quota_gb": whole })), of(1024)).unwrap(), "harbor");
    }
}

#[test]
fn what_nobody_writes_is_the_same_in_code_and_in_a_file() {
    let written = format!("{:?}", read(&minimal()).unwrap().0);
    let settings = |url: &str| HarborSettings::new(url.parse().unwrap(), "robot$waldur-agent", "canary-robot-password");
    for url in ["https://harbor.example.com", "https://harbor.example.com/api/v2.0/"] {
        assert_eq!(format!("{:?}", settings(url)), written);
    }
    // A default of one's own has to fit, as one that is written has to.
    let mut component = Component::new("storage", AccountingType::Limit);
    component.unit_factor = UnitFactor::new(Decimal::from(3)).unwrap();
    let components: Components = [component].into_iter().collect();
    let of = |settings| HarborBackend::new(Http::new(ScriptedTransport::new()), settings, &components);
    let url = "https://harbor.example.com";
    assert!(of(settings(url)).is_ok());
    assert!(of(settings(url).with_default_limit(Limit::At(WaldurAmount::from(10_u32)))).is_err());
    assert!(of(settings(url).with_default_limit(Limit::Unlimited)).is_ok());
}

#[test]
fn certificates_of_a_registry_are_verified_unless_the_build_allows_otherwise() {
    let tree = with(json!({ "verify_ssl": false }));
    if HttpOptions::default().verifying(false).is_ok() {
        let (_, warnings) = read(&tree).unwrap();
        assert!(warned(&warnings).contains(&"verify_ssl"));
    } else {
        assert_eq!(paths(&read(&tree).unwrap_err()), ["verify_ssl"]);
    }
}

fn name(prefix: &str, slug: &str, candidate: Candidate) -> Result<String> {
    let mut resource = resource();
    slug.clone_into(&mut resource.slug);
    names::project(prefix, &resource, candidate).map(|id| id.to_string())
}

#[test]
fn h35_slugs_become_names_that_harbor_takes() {
    let cases = [
        ("My__Proj--1", "waldur-my-proj-1"),
        ("images", "waldur-images"),
        ("a.b_c", "waldur-a.b_c"),
        ("-odd-", "waldur-odd"),
        ("12345", "waldur-12345"),
    ];
    for (slug, expected) in cases {
        assert_eq!(name("waldur-", slug, Candidate::FIRST).unwrap(), expected, "{slug}");
    }
    assert_eq!(name("", "12345", Candidate::FIRST).unwrap(), "12345");
    for nameless in ["", "--", "ü", "\u{1}"] {
        assert_eq!(name("waldur-", nameless, Candidate::FIRST).unwrap(), "waldur-r-12345678", "{nameless}");
        let next = Candidate::FIRST.next(Collision::NotUnique);
        assert_eq!(name("waldur-", nameless, next).unwrap(), "waldur-r-12345678-0", "{nameless}");
    }
    assert_ne!(name("", "library", Candidate::FIRST).unwrap(), "library");
    let long = name("waldur-", &"x".repeat(300), Candidate::FIRST).unwrap();
    assert!(long.len() <= 255 && long.starts_with("waldur-xxx"), "{long}");
    let duplicate = Candidate::FIRST.next(Collision::Duplicate);
    assert_eq!(name("waldur-", "images", duplicate).unwrap(), "waldur-test-project-0");
}

#[test]
fn a_group_is_called_what_the_identity_provider_calls_it() {
    let group = |slug: &str| {
        let mut resource: MarketplaceResource = resource();
        slug.clone_into(&mut resource.project.slug);
        names::group("waldur-", &resource).map(|name| name.to_string())
    };
    assert_eq!(group("My__Proj--1").unwrap(), "waldur-My__Proj--1");
    assert_eq!(group(" ").unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(group(&"x".repeat(300)).unwrap_err().kind(), ErrorKind::Config);
}

proptest! {
    #[test]
    fn whatever_a_slug_is_its_name_is_one_or_it_is_refused(slug in ".{0,300}", attempt in 0_u32..5) {
        let candidate = (0..attempt).fold(Candidate::FIRST, |candidate, _| candidate.next(Collision::NotUnique));
        match name("waldur-", &slug, candidate) {
            Ok(name) => prop_assert!(waldur_backend_harbor::client::ProjectName::new(name.as_str()).is_ok(), "{}", name),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Rejected),
        }
    }
}
