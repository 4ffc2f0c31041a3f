//! Settings files as operators have them: what loads, and what is said about what does not.

use std::{fs, path::Path};

use waldur_examples::{
    config::{self, ConfigError},
    modes::Mode,
    site::Site,
};
use waldur_sdk::settings::{AccountingType, AgentSettings, Warning};

fn load(name: &str) -> Result<(AgentSettings, Vec<Warning>), ConfigError> {
    config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
}

fn problems(text: &str) -> Vec<String> {
    config::parse(text).unwrap_err().problems().to_vec()
}

#[test]
fn the_example_of_the_python_plugin_loads() {
    let (settings, warnings) = load("croit-s3.yaml").unwrap();
    let [offering] = settings.offerings.as_slice() else { panic!("one offering") };
    assert_eq!(offering.name, "Croit S3 Object Storage");
    assert_eq!(offering.offering_uuid.hex(), "713c299671a14f5db9723a793291bc78");
    assert_eq!(offering.backend_type, "croit_s3");
    assert_eq!(offering.order_processing_backend.as_deref(), Some("croit_s3"));
    assert!(offering.events.orders);
    let storage = offering.components.get("s3_storage").unwrap();
    assert_eq!(storage.accounting_type, AccountingType::Usage);
    assert_eq!(storage.unit_factor.decimal().to_string(), "1073741824");
    assert!(warnings.iter().any(|warning| warning.path().ends_with("order_processing_backend")), "{warnings:?}");
}

#[tokio::test]
async fn the_same_offering_on_a_radosgw_builds() {
    let (settings, _) = load("radosgw.yaml").unwrap();
    let (agents, warnings) = Site::networked().units(&settings, &[Mode::OrderProcess], false).unwrap();
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].name(), "Ceph S3 Object Storage");
    assert!(
        warnings.iter().any(|warning| warning.path() == "offerings[0].backend_settings.verify_ssl"),
        "{warnings:?}"
    );
}

#[test]
fn the_example_of_the_readme_builds() {
    let readme = include_str!("../../README.md");
    let (_, after) = readme.split_once("```yaml\n").unwrap();
    let (settings, _) = config::parse(after.split_once("```").unwrap().0).unwrap();
    let (agents, warnings) = Site::networked().units(&settings, &[Mode::OrderProcess], false).unwrap();
    assert_eq!(agents.len(), 3, "S3 of both kinds, and a registry");
    assert!(warnings.iter().all(|warning| warning.path().ends_with("credentials_mode")), "{warnings:?}");
}

#[test]
fn an_offering_without_an_order_back_end_is_left_out() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/radosgw.yaml")).unwrap();
    let text = text.replace("    backend_type:", "    order_processing_backend: \"\"\n    backend_type:");
    let (settings, _) = config::parse(&text).unwrap();
    let (agents, _) = Site::networked().units(&settings, &[Mode::OrderProcess], false).unwrap();
    assert!(agents.is_empty());
}

#[test]
fn all_problems_come_at_once_with_their_paths_and_without_a_value() {
    let text = "
timezone: Mars/Olympus
reporting_periods: 13
offerings:
  - name: One
    waldur_api_url: ftp://hidden-value
    waldur_offering_uuid: hidden-value
    backend_type: ceph_s3
    verify_ssl: hidden-value
";
    let found = problems(text);
    for path in [
        "timezone",
        "reporting_periods",
        "offerings[0].waldur_api_url",
        "offerings[0].waldur_api_token",
        "offerings[0].waldur_offering_uuid",
        "offerings[0].verify_ssl",
    ] {
        assert!(found.iter().any(|line| line.starts_with(&format!("{path}: "))), "{path} is not in {found:#?}");
    }
    assert!(!found.concat().contains("hidden"), "{found:#?}");
}

#[test]
fn problems_of_all_back_ends_come_at_once() {
    let (settings, _) = config::parse(
        "
offerings:
  - &offering
    name: One
    waldur_api_url: https://waldur.example.com/
    waldur_api_token: t
    waldur_offering_uuid: 713c299671a14f5db9723a793291bc78
    backend_type: ceph_s3
    order_processing_backend: ceph_s3
    backend_settings: {flavour: radosgw, admin_access_key: a, timeout: none}
  - <<: *offering
    name: Two
    backend_settings: {flavour: radosgw, s3_endpoint: 'https://s3.example.com', admin_access_key: a}
  - <<: *offering
    name: Three
    order_processing_backend: tape
",
    )
    .unwrap();
    let error = Site::networked().units(&settings, &[Mode::OrderProcess], false).unwrap_err();
    for path in [
        "offerings[0].backend_settings.s3_endpoint",
        "offerings[0].backend_settings.admin_secret_key",
        "offerings[0].backend_settings.timeout",
        "offerings[1].backend_settings.admin_secret_key",
        "backend_type: is not one of",
    ] {
        assert!(error.problems().iter().any(|line| line.contains(path)), "{path} is not in {error}");
    }
}

#[test]
fn what_is_no_yaml_is_named_by_its_place_alone() {
    let found = problems("offerings: []\nwaldur_api_token: *hidden-value\n");
    assert!(found[0].starts_with("line 2, column "), "{found:?}");
    assert!(found[0].contains("must be quoted"), "{found:?}");
    for text in
        ["a: [hidden-value", "a: hidden-value: b", "\thidden-value: 1", "a: \"hidden-value", "--- 1\n--- hidden"]
    {
        let found = problems(text);
        assert!(found.len() == 1 && !found[0].contains("hidden"), "{text:?} gave {found:?}");
    }
    assert_eq!(problems("")[0], "the settings: must not be null (found null)");
    assert_eq!(problems("- offerings")[0], "the settings: must be a map (found a list)");
}

#[test]
fn f160_a_credential_that_would_break_out_of_its_header_is_refused_at_the_start() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/radosgw.yaml")).unwrap();
    let text = text.replace("\"your_waldur_api_token\"", "\"hidden\\r\\nX-Evil: 1\"");
    let (settings, _) = config::parse(&text).unwrap();
    let error = Site::networked().units(&settings, &[Mode::OrderProcess], false).unwrap_err();
    assert!(error.to_string().contains("offering Ceph S3 Object Storage: "), "{error}");
    assert!(!error.to_string().contains("hidden") && !error.to_string().contains("X-Evil"), "{error}");
}

#[test]
fn f162_an_address_is_taken_apart_and_not_stripped_of_letters() {
    for url in ["https://waldur.csc.fi/api/", "https://my.host.pa/api", "https://hpc-asia/waldur/api/", "https://h/"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/radosgw.yaml"));
        let text = text.unwrap().replace("https://waldur.example.com/api/", url);
        let (settings, _) = config::parse(&text).unwrap();
        let written = settings.offerings[0].api_url.to_string();
        assert_eq!(written.trim_end_matches('/'), url.trim_end_matches('/'));
        assert_eq!(Site::networked().units(&settings, &[Mode::OrderProcess], false).unwrap().0.len(), 1, "{url}");
    }
}
