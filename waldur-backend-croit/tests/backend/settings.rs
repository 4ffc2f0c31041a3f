//! The settings of an S3 offering (s3.md §1).

use std::{sync::Arc, time::Duration};

use crate::common::{components, usage_components};
use serde_json::{Value, json};
use waldur_backend_croit::{
    S3Factory, S3Settings,
    croit::Login,
    names::Naming,
    radosgw::S3Key,
    settings::{DeleteMode, Flavour},
};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{BuildEnv, Registry},
    rest::{HttpOptions, HttpTransport},
    settings::{
        AccountingType, BackendSettings, Component, Components, RawSettings, WaldurComponent, Warning, problems,
    },
    testing::ScriptedTransport,
    types::{Decimal, OfferingUuid, UnitFactor, Uuid},
};

fn minimal() -> Value {
    json!({
        "flavour": "radosgw", "s3_endpoint": "https://s3.example.org",
        "admin_access_key": "ADMIN", "admin_secret_key": "canary-admin-secret",
    })
}

fn with(more: Value) -> Value {
    let mut tree = minimal();
    let Value::Object(more) = more else { unreachable!() };
    tree.as_object_mut().unwrap().extend(more);
    tree
}

fn read(tree: &Value) -> Result<(S3Settings, Vec<Warning>)> {
    let (settings, _) = BackendSettings::from_value("backend_settings", tree).unwrap();
    settings.read(S3Settings::read)
}

fn paths(error: &Error) -> Vec<String> {
    problems(error).iter().map(|problem| problem.path().trim_start_matches("backend_settings.").to_owned()).collect()
}

fn build(backend_type: &str, tree: &Value, components: Components) -> Result<&'static str> {
    let (settings, _) = BackendSettings::from_value("backend_settings", tree).unwrap();
    let connect = |_: &HttpOptions| Ok(Arc::new(ScriptedTransport::new()) as Arc<dyn HttpTransport>);
    let environment = BuildEnv::new(backend_type, OfferingUuid::new(Uuid::nil()), settings, components, connect);
    Registry::default().with(S3Factory).build(&environment).map(|(backend, _)| backend.backend_type())
}

#[test]
fn what_nobody_writes_is_the_same_in_code_and_in_a_file() {
    let written = |tree: &Value| format!("{:?}", read(tree).unwrap().0);
    let endpoint = || "https://s3.example.org".parse().unwrap();
    let radosgw = S3Settings::radosgw(endpoint(), S3Key::new("ADMIN", "canary-admin-secret"));
    assert_eq!(format!("{radosgw:?}"), written(&minimal()));

    let croit = S3Settings::croit("https://croit.example.org/api".parse().unwrap(), Login::token("canary"));
    let mut tree = json!({ "api_url": "https://croit.example.org/api", "token": "canary" });
    assert_eq!(format!("{croit:?}"), written(&tree));
    tree["s3_endpoint"] = json!("https://s3.example.org");
    assert_eq!(format!("{:?}", croit.with_endpoint(endpoint())), written(&tree));
}

#[test]
fn every_key_has_the_default_of_the_specification() {
    let (settings, warnings) = read(&minimal()).unwrap();
    assert_eq!(settings.endpoint.to_string(), "https://s3.example.org/");
    let Flavour::RadosGw(gateway) = &settings.flavour else { panic!("{settings:?}") };
    assert_eq!((settings.region.as_str(), gateway.admin_path.as_str()), ("default", "admin"));
    assert!(matches!(&settings.naming, Naming::Seed(seed) if seed.prefix() == "waldur_"));
    assert_eq!(settings.placement, None);
    assert_eq!(settings.delete_mode, DeleteMode::RefuseIfBuckets);
    assert_eq!(settings.timeout, Duration::from_secs(30));
    assert!(settings.verify_ssl);
    let warned: Vec<_> = warnings.iter().map(Warning::path).collect();
    assert_eq!(warned, ["backend_settings.credentials_mode"]);
    assert!(!format!("{settings:?}").contains("canary"));

    let (settings, warnings) = read(&with(json!({
        "naming": "processor", "allocation_prefix": "", "credentials_mode": "metadata", "delete_mode": "purge",
        "admin_path": "/ops/admin/", "s3_region": "eu", "default_placement": "fast/COLD", "timeout": "60",
        // What the seed's examples write for "none".
        "default_tenant": "", "token": null,
    })))
    .unwrap();
    assert_eq!(settings.naming.prefix(), "waldur-");
    assert_eq!(settings.placement.as_deref(), Some("fast/COLD"));
    assert_eq!(settings.timeout, Duration::from_mins(1));
    let warned: Vec<_> = warnings.iter().map(Warning::path).collect();
    assert_eq!(warned, ["backend_settings.credentials_mode", "backend_settings.delete_mode"]);
}

#[test]
fn all_problems_are_told_at_once_and_no_value() {
    let tree = json!({
        "flavour": "radosgw", "admin_access_key": 5, "admin_secret_key": ["canary-secret"], "admin_path": "a b",
        "user_prefix": "canary/prefix", "timeout": 0, "delete_mode": "canary-mode", "usage_model": "gb_days",
        "verify_ssl": "canary-maybe",
    });
    let error = read(&tree).unwrap_err();
    let expected = [
        "s3_endpoint",
        "admin_access_key",
        "admin_secret_key",
        "admin_path",
        "usage_model",
        "user_prefix",
        "delete_mode",
        "timeout",
        "verify_ssl",
    ];
    assert_eq!(paths(&error), expected);
    assert!(!format!("{error:?} {:?}", error.chain()).contains("canary"));
    let error = read(&with(json!({ "max_username_length": 17 }))).unwrap_err();
    assert_eq!(paths(&error), ["max_username_length"]);
}

#[test]
fn certificates_are_verified_unless_the_build_allows_otherwise() {
    let tree = with(json!({ "verify_ssl": false }));
    if HttpOptions::default().verifying(false).is_ok() {
        let (_, warnings) = read(&tree).unwrap();
        assert!(warnings.iter().any(|warning| warning.path().ends_with("verify_ssl")));
    } else {
        assert_eq!(paths(&read(&tree).unwrap_err()), ["verify_ssl"]);
    }
}

#[test]
fn s35_radosgw_cannot_report_for_croit_usage() {
    let error = build("croit_usage", &minimal(), usage_components()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("croit_usage"));
    for backend_type in ["ceph_s3", "croit_s3", "Ceph_S3"] {
        assert_eq!(build(backend_type, &minimal(), usage_components()).unwrap(), "ceph_s3");
    }
    let croit = |model: Value| json!({ "api_url": "https://croit.example.org", "token": "t", "usage_model": model });
    for backend_type in ["ceph_s3", "croit_s3", "croit_usage"] {
        assert_eq!(build(backend_type, &croit(json!("gb_days")), usage_components()).unwrap(), "croit_s3");
    }
    let error = build("croit_usage", &croit(json!("current")), usage_components()).unwrap_err();
    assert!(error.message().starts_with("usage_model:"), "{error}");
}

#[test]
fn s36_a_mixed_configuration_names_the_keys_that_do_not_belong() {
    let mixed = with(json!({ "api_url": "https://croit.example.org", "token": "canary-token", "username": "u",
        "password": "canary-password", "default_tenant": "acme", "default_storage_class": "COLD" }));
    let error = read(&mixed).unwrap_err();
    let croit_only = ["api_url", "token", "username", "password", "default_tenant", "default_storage_class"];
    assert_eq!(paths(&error), croit_only);
    assert!(!format!("{:?}", error.chain()).contains("canary"));

    let mut other = mixed;
    other.as_object_mut().unwrap().insert("flavour".to_owned(), json!("croit"));
    let error = read(&other).unwrap_err();
    assert_eq!(paths(&error), ["admin_access_key", "admin_secret_key", "token", "username", "password"]);
    assert!(!format!("{:?}", error.chain()).contains("canary"));
}

#[test]
fn croit_is_the_default_and_takes_exactly_one_login() {
    let croit = |more: Value| {
        let mut tree = json!({ "api_url": "https://croit.example.org" });
        tree.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        read(&tree)
    };
    for login in [json!({ "token": "t", "username": "" }), json!({ "username": "u", "password": "canary" })] {
        let (settings, _) = croit(login).unwrap();
        assert!(matches!(settings.flavour, Flavour::Croit(_)));
        assert!(!format!("{settings:?}").contains("canary"));
    }
    let wrong: [(Value, &[&str]); 5] = [
        (json!({}), &["token"]),
        (json!({ "username": "u" }), &["password"]),
        (json!({ "password": "canary" }), &["username"]),
        (json!({ "token": "canary", "username": "u" }), &["token", "username"]),
        (json!({ "token": "canary", "username": "u", "password": "canary" }), &["token", "username", "password"]),
    ];
    for (login, expected) in wrong {
        let error = croit(login.clone()).unwrap_err();
        assert_eq!(paths(&error), expected, "{login}");
        assert!(!format!("{error:?} {:?}", error.chain()).contains("canary"));
    }
    assert_eq!(paths(&read(&json!({ "token": "t" })).unwrap_err()), ["api_url"]);
    let error = croit(json!({ "token": "t", "default_tenant": "a-b", "usage_model": "canary" })).unwrap_err();
    assert_eq!(paths(&error), ["default_tenant", "usage_model"]);
}

#[test]
fn s23_without_an_endpoint_customers_get_the_address_of_croit_without_its_api() {
    let read = |api_url: &str, more: Value| {
        let mut tree = json!({ "api_url": api_url, "token": "t" });
        tree.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        read(&tree).unwrap()
    };
    for (api_url, endpoint) in [
        ("https://api.host/api", "https://api.host/"),
        ("https://api.host/api/", "https://api.host/"),
        ("https://api.host", "https://api.host/"),
        ("https://api.host/some-api", "https://api.host/some-api/"),
        ("https://host/apis/api", "https://host/apis/"),
    ] {
        let (settings, warnings) = read(api_url, json!({}));
        assert_eq!(settings.endpoint.to_string(), endpoint, "{api_url}");
        assert!(warnings.iter().any(|warning| warning.path().ends_with("s3_endpoint")), "{api_url}");
    }
    let (settings, warnings) = read("https://api.host/api", json!({ "s3_endpoint": "https://s3.host" }));
    assert_eq!(settings.endpoint.to_string(), "https://s3.host/");
    assert!(!warnings.iter().any(|warning| warning.path().ends_with("s3_endpoint")));
}

#[test]
fn s21_keys_in_the_metadata_are_warned_of_and_api_keys_are_not() {
    for (mode, publishes, issues) in [("metadata", true, false), ("api_keys", false, true), ("both", true, true)] {
        let (settings, warnings) = read(&with(json!({ "credentials_mode": mode }))).unwrap();
        assert_eq!((settings.credentials.publishes(), settings.credentials.issues()), (publishes, issues));
        assert_eq!(warnings.iter().any(|warning| warning.path().ends_with("credentials_mode")), publishes);
    }
}

#[test]
fn s37_storage_without_a_unit_factor_does_not_start() {
    let component = |name: &str, backend_name: &str| {
        let mut component = Component::new(name, AccountingType::Usage);
        component.raw = RawSettings::from_value(name, &json!({ "backend_name": backend_name })).unwrap();
        component
    };
    let error = build("ceph_s3", &minimal(), [component("s3_storage", "storage")].into_iter().collect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().starts_with("s3_storage.unit_factor:"), "{error}");
    // Objects are counted one by one, and other components are nobody's here.
    let fine = [component("s3_objects", "objects"), component("storage_class", "custom_metric")];
    build("ceph_s3", &minimal(), fine.into_iter().collect()).unwrap();
    build("ceph_s3", &minimal(), Components::default()).unwrap();
    let twice = [component("a", "objects"), component("b", "objects")];
    let error = build("ceph_s3", &minimal(), twice.into_iter().collect()).unwrap_err();
    assert!(error.message().starts_with("b: "), "{error}");
    build("ceph_s3", &minimal(), components(AccountingType::Limit, &json!({}))).unwrap();
}

#[test]
fn what_gb_days_never_reports_is_told_at_the_start() {
    let told = |backend_type: &str| {
        let croit = json!({ "api_url": "https://croit.example.org", "token": "t" });
        let (settings, _) = BackendSettings::from_value("backend_settings", &croit).unwrap();
        let connect = |_: &HttpOptions| Ok(Arc::new(ScriptedTransport::new()) as Arc<dyn HttpTransport>);
        let environment =
            BuildEnv::new(backend_type, OfferingUuid::new(Uuid::nil()), settings, usage_components(), connect);
        let (_, warnings) = Registry::default().with(S3Factory).build(&environment).unwrap();
        warnings.iter().filter(|warning| warning.text().contains("s3_objects is not reported")).count()
    };
    assert_eq!((told("croit_s3"), told("croit_usage")), (0, 1));
}

#[test]
fn s37_a_component_that_only_waldur_has_stops_nothing() {
    let file = components(AccountingType::Limit, &json!({}));
    let theirs = [("traffic", "usage"), ("storage", "limit"), ("objects", "usage"), ("fee", "one")];
    let theirs = theirs.map(|(name, billing)| WaldurComponent::new(name, billing));
    for (file, traffic_alone) in [(file, false), (Components::default(), true)] {
        let (merged, _) = file.merge_waldur(&theirs);
        let (settings, _) = BackendSettings::from_value("backend_settings", &minimal()).unwrap();
        let connect = |_: &HttpOptions| Ok(Arc::new(ScriptedTransport::new()) as Arc<dyn HttpTransport>);
        let environment = BuildEnv::new("ceph_s3", OfferingUuid::new(Uuid::nil()), settings, merged, connect);
        let (_, warnings) = Registry::default().with(S3Factory).build(&environment).unwrap();
        let mut told: Vec<_> =
            warnings.iter().map(Warning::path).filter(|path| path.contains("backend_name")).collect();
        told.sort_unstable();
        assert_eq!(told, ["objects.backend_name", "storage.backend_name", "traffic.backend_name"], "{traffic_alone}");
    }
}

#[test]
fn s37_usage_is_not_billed_by_the_byte() {
    for (accounting, factor, starts) in [
        (AccountingType::Usage, Decimal::ONE, false),
        (AccountingType::Limit, Decimal::new(5, 1), false),
        (AccountingType::Usage, Decimal::from(1_000_000_000), true),
        // Of what is billed once nothing is reported.
        (AccountingType::One, Decimal::ONE, true),
    ] {
        let all = components(accounting, &json!({}));
        let mut storage = all.get("s3_storage").unwrap().clone();
        storage.unit_factor_reporting = Some(UnitFactor::new(factor).unwrap());
        let built = build("ceph_s3", &minimal(), [storage].into_iter().collect());
        match built {
            Ok(_) => assert!(starts, "{accounting:?} {factor}"),
            Err(error) => {
                assert!(!starts && error.message().starts_with("s3_storage.unit_factor_reporting:"), "{error}");
            }
        }
    }
}

#[test]
fn s37_a_component_is_not_left_out_by_mistake() {
    let component = |name: &str, accounting, keys: Value| {
        let mut component = Component::new(name, accounting);
        component.unit_factor = UnitFactor::new(Decimal::from(1 << 30)).unwrap();
        component.raw = RawSettings::from_value(name, &keys).unwrap();
        component
    };
    let build = |component: Component| {
        let (settings, _) = BackendSettings::from_value("backend_settings", &minimal()).unwrap();
        let connect = |_: &HttpOptions| Ok(Arc::new(ScriptedTransport::new()) as Arc<dyn HttpTransport>);
        let components = [component].into_iter().collect();
        let environment = BuildEnv::new("ceph_s3", OfferingUuid::new(Uuid::nil()), settings, components, connect);
        let (_, warnings) = Registry::default().with(S3Factory).build(&environment)?;
        Ok::<_, Error>(warnings.iter().map(Warning::path).filter(|path| path.contains("backend_name")).count())
    };
    for accounting in [AccountingType::Usage, AccountingType::Limit] {
        let of = |name: &str, keys: Value| build(component(name, accounting, keys));
        for keys in [json!({}), json!({ "backend_name": "" }), json!({ "backend_name": "Storage" })] {
            let error = of("s3_storage", keys.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().starts_with("s3_storage.backend_name: must be "), "{keys}: {error}");
        }
        assert!(of("Objects", json!({})).is_err());
        // Another name may be meant.
        assert_eq!(of("s3_storage", json!({ "backend_name": "storag" })).unwrap(), 1);
        assert_eq!(of("s3_storage", json!({ "backend_name": "storage" })).unwrap(), 0);
        assert_eq!(of("objects", json!({})).unwrap(), 0);
    }
    // A fee is none of the gateway's business.
    assert_eq!(build(component("fee", AccountingType::One, json!({}))).unwrap(), 0);
}

#[test]
fn soft_deletion_that_would_close_nothing_is_refused() {
    let soft = with(json!({ "soft_delete": true }));
    let unenforced = || components(AccountingType::Limit, &json!({ "enforce_limits": false }));
    for nothing in [unenforced(), Components::default()] {
        let error = build("ceph_s3", &soft, nothing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("soft_delete:"), "{error}");
    }
    build("ceph_s3", &minimal(), unenforced()).unwrap();
    // One ceiling of 0 closes.
    let mut one: Vec<_> = unenforced().iter().cloned().collect();
    one.truncate(1);
    one.extend(usage_components().iter().filter(|component| component.name == "s3_objects").cloned());
    build("ceph_s3", &soft, one.into_iter().collect()).unwrap();
}

#[test]
fn the_seeds_own_example_is_read_but_for_the_certificate() {
    let mut seed = json!({
        "api_url": "https://192.168.240.34", "token": "your-bearer-token", "verify_ssl": false,
        "user_prefix": "waldur_", "slug_separator": "_", "max_username_length": 64, "default_tenant": "",
    });
    let refused = |seed: &Value| read(seed).map_or_else(|error| paths(&error), |_| Vec::new());
    // Without the feature this crate verifies what it talks to: the README says so.
    let feature = HttpOptions::default().verifying(false).is_ok();
    assert_eq!(refused(&seed), if feature { vec![] } else { vec!["verify_ssl".to_owned()] });
    seed.as_object_mut().unwrap().remove("verify_ssl");
    let (settings, _) = read(&seed).unwrap();
    assert_eq!(settings.endpoint.to_string(), "https://192.168.240.34/");
    assert_eq!(build("croit_s3", &seed, usage_components()).unwrap(), "croit_s3");
}

#[test]
fn s21_a_mode_that_nobody_chose_is_told_of_with_what_it_means_for_either_plugins_file() {
    let told = |tree: &Value| {
        let (_, warnings) = read(tree).unwrap();
        let mode = warnings.into_iter().find(|warning| warning.path().ends_with("credentials_mode"));
        mode.map(|warning| warning.text().to_owned()).unwrap_or_default()
    };
    let unsaid = told(&minimal());
    assert!(unsaid.contains("ceph_s3") && unsaid.contains("api_keys"), "{unsaid}");
    assert!(!told(&with(json!({ "credentials_mode": "metadata" }))).contains("ceph_s3"));
    assert_eq!(told(&with(json!({ "credentials_mode": "api_keys" }))), "");
}

#[test]
fn a_blank_region_is_none() {
    assert_eq!(read(&with(json!({ "s3_region": "" }))).unwrap().0.region, "default");
}

#[test]
fn both_prefixes_are_kept_whatever_the_naming() {
    let both = ["waldur_".to_owned(), "waldur-".to_owned()];
    assert_eq!(read(&minimal()).unwrap().0.prefixes, both);
    assert_eq!(read(&with(json!({ "naming": "processor" }))).unwrap().0.prefixes, both);
    let (settings, _) = read(&with(json!({ "user_prefix": "", "allocation_prefix": "site-" }))).unwrap();
    assert_eq!(settings.prefixes, [String::new(), "site-".to_owned()]);
}
