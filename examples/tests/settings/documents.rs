//! The settings files of the Python plugins' documentation, in all their shapes: each loads as it is.

use std::path::Path;

use waldur_examples::{config, modes::Mode, site::Site};
use waldur_sdk::{
    settings::{AccountingType, AgentSettings, Credentials, OfferingSettings, Warning},
    types::Uuid,
};

fn load(name: &str) -> (AgentSettings, Vec<Warning>) {
    config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn only(settings: &AgentSettings) -> &OfferingSettings {
    let [offering] = settings.offerings.as_slice() else { panic!("one offering") };
    offering
}

/// Warnings about keys, without those about who may read the checked-out file.
fn about_keys(warnings: &[Warning]) -> Vec<String> {
    let warnings = warnings.iter().filter(|warning| !warning.path().contains(".yaml"));
    warnings.map(ToString::to_string).collect()
}

fn has(warnings: &[String], part: &str) {
    assert!(warnings.iter().any(|line| line.contains(part)), "{part} is not in {warnings:#?}");
}

#[test]
fn offerings_by_name_with_older_keys_load_and_the_current_form_is_shown() {
    let (settings, warnings) = load("harbor.yaml");
    let offering = only(&settings);
    assert_eq!(offering.name, "harbor-registry");
    assert_eq!(offering.api_url.to_string(), "https://waldur.example.com/api/");
    assert!(matches!(offering.credentials, Credentials::Token(_)));
    assert!(offering.has_placeholder());
    assert_eq!(offering.offering_uuid.uuid(), Uuid::nil());
    assert_eq!(offering.offering_uuid_text, "harbor-offering-uuid");
    assert_eq!(offering.backend_settings.core.allocation_prefix, "waldur-");
    for backend in [&offering.order_processing_backend, &offering.membership_sync_backend, &offering.reporting_backend]
    {
        assert_eq!(backend.as_deref(), Some("harbor"));
    }
    assert_eq!(
        about_keys(&warnings),
        [
            "offerings: is a map by name, the form of older files; write a list, each with its name",
            "offerings.harbor-registry.api_url: is an older name of this key; write waldur_api_url",
            "offerings.harbor-registry.api_token: is an older name of this key; write waldur_api_token",
            "offerings.harbor-registry.offering_uuid: is an older name of this key; write waldur_offering_uuid",
            "offerings.harbor-registry.waldur_offering_uuid: is a placeholder; write the UUID that Waldur shows for the \
             offering",
            "offerings.harbor-registry.order_processing_backend: neither this key nor membership_sync_backend nor \
             reporting_backend is written: all three are taken to be backend_type; write them, or write \"\" to switch \
             one off",
        ]
    );
}

#[test]
fn a_complete_set_up_loads() {
    let (settings, warnings) = load("rancher.yaml");
    let offering = only(&settings);
    assert_eq!(offering.name, "your-rancher-offering");
    assert_eq!(offering.components.len(), 3);
    assert_eq!(offering.components.get("memory").unwrap().label, "Memory (GB)");
    assert_eq!(offering.backend_settings.core.project_prefix, "waldur-");
    assert!(offering.has_placeholder());
    assert_eq!(about_keys(&warnings).len(), 1, "{warnings:?}");
}

#[test]
fn what_is_the_same_for_all_offerings_may_stand_above_them() {
    for (name, components) in [("rancher-basic.yaml", 1), ("rancher-keycloak.yaml", 4)] {
        let (settings, warnings) = load(name);
        let offering = only(&settings);
        assert_eq!(offering.offering_uuid.uuid().to_string(), "12345678-1234-5678-9abc-123456789012");
        assert_eq!(offering.api_url.to_string(), "https://waldur.example.com/api/");
        assert!(matches!(offering.credentials, Credentials::Token(_)));
        assert_eq!(offering.backend_settings.core.project_prefix, "waldur-");
        assert_eq!(offering.components.len(), components);
        let cpu = offering.components.get("cpu").unwrap();
        assert_eq!((cpu.label.as_str(), cpu.measured_unit.as_str()), ("CPU", "cores"));
        assert_eq!(cpu.accounting_type, AccountingType::Fixed);
        let warnings = about_keys(&warnings);
        has(&warnings, "waldur: is the form of older files; write waldur_api_url and waldur_api_token with each");
        has(&warnings, "offerings[0].uuid: is an older name of this key; write waldur_offering_uuid");
        has(&warnings, "offerings[0].backend: is an older name of this key; write backend_settings");
        has(&warnings, "offerings[0].components: is an older name of this key; write backend_components");
        has(&warnings, "offerings[0].components.cpu.name: is an older name of this key; write label");
        has(&warnings, "offerings[0].components.cpu.billing_type: is an older name of this key; write accounting_type");
        has(&warnings, "billing_type: fixed takes neither limits nor usage");
        assert_eq!(warnings.iter().filter(|line| line.contains("unknown key")).count(), 0, "{warnings:#?}");
    }
}

#[test]
fn the_registry_of_the_documentation_starts_once_its_offering_is_named() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/harbor.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let named = text.replace("harbor-offering-uuid", "713c2996-71a1-4f5d-b972-3a793291bc78");
    let (settings, _) = config::parse(&named).unwrap();
    let (units, warnings) = Site::networked().units(&settings, &Mode::ALL, false).unwrap();
    assert!(!units.is_empty() && warnings.is_empty(), "{warnings:?}");
    // All that is wrong with a back end is told at once, in the words of the plugin.
    let broken = named.replace("harbor_url:", "url:").replace("robot_password:", "password:");
    let (settings, _) = config::parse(&broken).unwrap();
    let error = Site::networked().units(&settings, &Mode::ALL, false).unwrap_err();
    for key in ["harbor_url", "robot_password"] {
        has(error.problems(), &format!("{key}: Missing required setting"));
    }
    let usage = named.replace("accounting_type: \"limit\"", "accounting_type: \"usage\"");
    let (settings, _) = config::parse(&usage).unwrap();
    let error = Site::networked().units(&settings, &Mode::ALL, false).unwrap_err();
    has(error.problems(), "accounting_type='limit'");
}

#[test]
fn an_agent_does_not_start_with_a_placeholder() {
    let (settings, _) = load("harbor.yaml");
    let error = Site::networked().units(&settings, &Mode::ALL, false).unwrap_err();
    has(error.problems(), "offering harbor-registry: waldur_offering_uuid: is a placeholder of an example");
}
