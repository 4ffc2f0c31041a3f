//! What a processor knows of an offering: the settings file and Waldur merged.

use crate::orders::{Edited, exchanges::fake_waldur};
use serde_json::json;
use waldur_sdk::{
    ErrorKind, Result,
    client::WaldurClient,
    process::{OfferingContext, OrderPolicy},
    rest::Http,
    settings::{AccountingType, AgentSettings, Components},
    testing::waldur::{Billing, FakeWaldur, Generation},
    types::{OfferingUuid, Uuid},
};

fn settings(offering: OfferingUuid) -> AgentSettings {
    let tree = json!({ "expose_backend_error_details": false, "offerings": [{
        "name": "Cluster",
        "waldur_api_url": "https://waldur.example.org/api/",
        "waldur_api_token": "t",
        "waldur_offering_uuid": offering.hex(),
        "backend_type": "slurm",
        "order_processing_backend": "slurm",
        "backend_settings": { "soft_delete": true, "check_backend_id_uniqueness": true, "backend_id_max_retries": 7 },
        "backend_components": {
            "cpu": { "label": "CPU", "measured_unit": "h", "accounting_type": "limit", "unit_factor": 60 },
        },
    }]});
    AgentSettings::from_value(&tree).unwrap().0
}

fn client(waldur: &FakeWaldur) -> WaldurClient {
    let http = Http::new(waldur.clone());
    WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(http).build().unwrap()
}

async fn load(client: &WaldurClient, agent: &AgentSettings) -> Result<OfferingContext> {
    let offering = &agent.offerings[0];
    OfferingContext::load(client, offering.offering_uuid, &offering.components).await
}

#[tokio::test]
async fn the_file_wins_and_waldur_adds_what_it_does_not_have() {
    for generation in [Generation::V2024, Generation::V8] {
        let waldur = fake_waldur(generation);
        let offering = waldur
            .offering()
            .plugin_option("enforce_qos", true)
            .component_with("cpu", Billing::Usage, |cpu| cpu.unit_factor(3600))
            .component_with("storage", Billing::Usage, |storage| storage.unit("GB").limit_amount(500))
            .component("support", Billing::Fixed)
            .create();
        let agent = settings(offering);
        let context = load(&client(&waldur), &agent).await.unwrap();

        let cpu = context.components.get("cpu").unwrap();
        assert_eq!((cpu.accounting_type, cpu.unit_factor.decimal()), (AccountingType::Limit, 60.into()));
        let storage = context.components.get("storage").unwrap();
        assert_eq!((storage.accounting_type, storage.measured_unit.as_str()), (AccountingType::Usage, "GB"));
        assert!(storage.limit.is_some());
        assert!(context.components.get("support").unwrap().is_fixed());
        assert!(context.service_provider.is_some());
        assert_eq!(context.offering.plugin_options.get("enforce_qos"), Some(&json!(true)));
        let warned: Vec<_> = context.warnings.iter().map(waldur_sdk::settings::Warning::path).collect();
        assert_eq!(warned, ["component cpu"], "who pays by what differs");
        assert_eq!(waldur.requests().len(), 2, "the offering and its service provider");
    }
}

#[tokio::test]
async fn f164_what_a_back_end_may_want_to_know_is_handed_on_and_what_waldur_does_not_know_is_named() {
    let waldur = fake_waldur(Generation::V8);
    let offering = waldur
        .offering()
        .plugin_option("enforce_qos", true)
        .plugin_option("username_anonymized_prefix", "hpc_")
        .partition("gpu")
        .component("storage", Billing::Usage)
        .create();
    let agent = settings(offering);
    let context = load(&client(&waldur), &agent).await.unwrap();
    let facts = context.facts();
    assert!(facts.enforce_qos);
    assert_eq!(facts.partitions, ["gpu"]);
    assert_eq!(facts.anonymized_prefix.as_deref(), Some("hpc_"));
    assert_eq!(facts.service_provider, context.service_provider);
    assert_eq!(context.unknown_to_waldur(), ["cpu"]);
}

#[tokio::test]
async fn u16_a_prefix_of_home_directories_that_goes_wrong_is_warned_of() {
    for (posix, expected) in [(true, 1), (false, 0)] {
        let waldur = fake_waldur(Generation::V8);
        let offering = waldur.offering().plugin_option("homedir_prefix", "/home");
        let offering = offering.plugin_option("enable_posix_account", posix).create();
        let agent = settings(offering);
        let context = load(&client(&waldur), &agent).await.unwrap();
        let said: Vec<_> =
            context.warnings.iter().filter(|warning| warning.path().contains("homedir_prefix")).collect();
        assert_eq!(said.len(), expected, "{:?}", context.warnings);
    }
}

#[tokio::test]
async fn a_customer_that_is_no_service_provider_is_no_error() {
    let waldur = fake_waldur(Generation::V8);
    let seller = waldur.customer("Former provider").create();
    waldur.change_user(waldur.agent(), waldur_sdk::testing::waldur::UserSeed::staff);
    let offering = waldur.offering().customer(seller).create();
    let agent = settings(offering);
    let context = load(&client(&waldur), &agent).await.unwrap();
    assert_eq!(context.service_provider, None);
}

#[tokio::test]
async fn an_offering_that_is_not_there_is_named() {
    let waldur = fake_waldur(Generation::V8);
    let offering = OfferingUuid::new(Uuid::from_u128(0x404));
    let agent = settings(offering);
    let error = load(&client(&waldur), &agent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().starts_with(&format!("offering {offering}: ")), "{error}");
}

#[tokio::test]
async fn who_has_no_settings_has_what_waldur_knows() {
    let waldur = fake_waldur(Generation::V8);
    let offering = waldur.offering().component("storage", Billing::Limit).create();
    let context = OfferingContext::load(&client(&waldur), offering, &Components::default()).await.unwrap();
    assert_eq!(context.components.get("storage").unwrap().accounting_type, AccountingType::Limit);
    assert!(context.service_provider.is_some() && context.unknown_to_waldur().is_empty());
}

#[test]
fn the_policy_is_what_the_file_says() {
    let agent = settings(OfferingUuid::new(Uuid::nil()));
    let policy = OrderPolicy::from_settings(&agent, &agent.offerings[0]);
    assert!(policy.soft_delete && policy.check_backend_id_uniqueness);
    assert!(!policy.expose_error_details && !policy.check_all_offerings && !policy.dry_run);
    assert_eq!(policy.backend_id_max_retries, 7);
    assert_eq!(policy.concurrency, OrderPolicy::default().concurrency);
}

#[tokio::test]
async fn f092_a_component_that_cannot_be_read_is_told_and_no_other_is_held_up() {
    let waldur = fake_waldur(Generation::V8);
    let offering = waldur.offering().component("storage", Billing::Usage).component("gpu", Billing::Usage).create();
    let agent = settings(offering);
    let odd = Edited(waldur.clone(), "provider_offerings.get", |row: &mut serde_json::Value| {
        for component in row["components"].as_array_mut().unwrap() {
            if component["type"] == "gpu" {
                component["unit_factor"] = json!("n/a");
            }
        }
    });
    let client = WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(Http::new(odd)).build().unwrap();
    let context = load(&client, &agent).await.unwrap();
    assert!(context.components.get("storage").is_some() && context.components.get("gpu").is_none());
    assert_eq!(context.warnings.iter().map(waldur_sdk::settings::Warning::path).collect::<Vec<_>>(), ["component gpu"]);
    assert_eq!(context.unknown_to_waldur(), ["cpu"], "it is there all the same");
}

#[test]
fn c39_the_order_policy_takes_consent_and_protected_accounts_from_the_file() {
    let tree = json!({ "offerings": [{
        "name": "Cluster", "waldur_api_url": "https://waldur.example.org/api/", "waldur_api_token": "t",
        "waldur_offering_uuid": "713c299671a14f5db9723a793291bc78", "backend_type": "slurm",
        "order_processing_backend": "slurm", "protected_users": ["canary-root"],
        "backend_settings": { "fetch_consented_users_only": true },
    }]});
    let agent = AgentSettings::from_value(&tree).unwrap().0;
    let policy = OrderPolicy::from_settings(&agent, &agent.offerings[0]);
    assert!(policy.consented_users_only && policy.protected_usernames.contains("canary-root"));
    assert!(!format!("{policy:?} {agent:?}").contains("canary"));
}
