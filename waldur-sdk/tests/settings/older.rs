//! Files of older forms, and the keys that the Python agent does not have.

use serde_json::{Value, json};
use waldur_sdk::settings::{AccountingType, AgentSettings, Credentials, UnmanagedUsers, Warning, problems};

const UUID: &str = "713c2996-71a1-4f5d-b972-3a793291bc78";

fn read(tree: &Value) -> (AgentSettings, Vec<String>) {
    let (settings, warnings) = AgentSettings::from_value(tree).unwrap_or_else(|error| panic!("{:?}", error.chain()));
    (settings, warnings.iter().map(Warning::to_string).collect())
}

fn lines(tree: &Value) -> Vec<String> {
    let error = AgentSettings::from_value(tree).map(|_| ()).expect_err("must be refused");
    problems(&error).iter().map(ToString::to_string).collect()
}

fn offering(more: &[(&str, Value)]) -> Value {
    let mut offering = json!({
        "name": "Storage", "waldur_api_url": "https://waldur.example.com/api/", "waldur_api_token": "t0ken",
        "waldur_offering_uuid": UUID, "backend_type": "s3", "order_processing_backend": "s3",
    });
    for (key, value) in more {
        offering[*key] = value.clone();
    }
    json!({ "offerings": [offering] })
}

#[test]
fn a_key_of_today_wins_over_its_older_name() {
    let (settings, warnings) =
        read(&offering(&[("api_url", json!("https://older.example.com/")), ("uuid", json!("x"))]));
    assert_eq!(settings.offerings[0].api_url.to_string(), "https://waldur.example.com/api/");
    assert_eq!(
        warnings,
        [
            "offerings[0].api_url: is an older name of waldur_api_url, and ignored beside waldur_api_url",
            "offerings[0].uuid: is an older name of waldur_offering_uuid, and ignored beside waldur_offering_uuid",
        ]
    );
}

#[test]
fn problems_of_older_names_are_told_where_they_stand() {
    let mut tree =
        offering(&[("offering_uuid", json!("not one")), ("components", json!({"c": {"billing_type": "odd"}}))]);
    tree["offerings"][0].as_object_mut().unwrap().remove("waldur_offering_uuid");
    assert_eq!(
        lines(&tree),
        [
            "offerings[0].offering_uuid: must be a UUID (found text)",
            "offerings[0].components.c.billing_type: must be one of usage, limit, one, fixed (found text)",
        ]
    );
    let named = json!({ "offerings": { "storage": { "api_url": "ftp://x", "token": "t" }, "other": 7 } });
    let found = lines(&named);
    for path in
        ["offerings.storage.api_url: ", "offerings.storage.backend_type: is required", "offerings.other: must be a map"]
    {
        assert!(found.iter().any(|line| line.starts_with(path)), "{path} is not in {found:#?}");
    }
}

#[test]
fn what_holds_for_all_offerings_is_their_default_and_told_once_if_wrong() {
    let mut tree = offering(&[]);
    for key in ["waldur_api_url", "waldur_api_token"] {
        tree["offerings"][0].as_object_mut().unwrap().remove(key);
    }
    let other = tree["offerings"][0].clone();
    tree["offerings"].as_array_mut().unwrap().push(other);
    tree["offerings"][1]["waldur_api_url"] = json!("https://own.example.com/");
    tree["waldur"] = json!({ "api_url": "https://waldur.example.com/api/", "token": "t0ken" });
    let (settings, _) = read(&tree);
    let urls: Vec<_> = settings.offerings.iter().map(|offering| offering.api_url.to_string()).collect();
    assert_eq!(urls, ["https://waldur.example.com/api/", "https://own.example.com/"]);
    assert!(settings.offerings.iter().all(|offering| matches!(offering.credentials, Credentials::Token(_))));

    // The same with the offerings below it.
    let mut nested = json!({ "waldur": tree["waldur"].clone() });
    nested["waldur"]["offerings"] = tree["offerings"].clone();
    assert_eq!(read(&nested).0.offerings.len(), 2);

    tree["waldur"] = json!({ "api_url": 7, "token": 8 });
    tree["offerings"][1].as_object_mut().unwrap().remove("waldur_api_url");
    assert_eq!(
        lines(&tree),
        [
            "waldur.api_url: must be text, in quotes (found a whole number)",
            "waldur.token: must be text, in quotes (found a whole number)"
        ]
    );
    tree["waldur"] = json!({});
    assert_eq!(lines(&tree).len(), 4, "{:?}", lines(&tree));
}

#[test]
fn a_login_of_ones_own_wins_over_the_token_of_all() {
    let mut tree = offering(&[
        ("oidc_token_url", json!("https://idp.example.com/token")),
        ("oidc_client_id", json!("agent")),
        ("oidc_client_secret", json!("s3cr3t")),
    ]);
    tree["offerings"][0].as_object_mut().unwrap().remove("waldur_api_token");
    tree["waldur"] = json!({ "token": "t0ken" });
    assert!(matches!(read(&tree).0.offerings[0].credentials, Credentials::Oidc { .. }));
}

#[test]
fn the_placeholder_of_an_example_is_warned_of_and_anything_else_refused() {
    for placeholder in ["your-offering-uuid", "harbor-offering-uuid", "00000000-0000-0000-0000-000000000000"] {
        let (settings, warnings) = read(&offering(&[("waldur_offering_uuid", json!(placeholder))]));
        assert!(settings.offerings[0].has_placeholder(), "{placeholder}");
        assert!(warnings.iter().any(|line| line.contains("is a placeholder")), "{warnings:?}");
    }
    assert!(!read(&offering(&[])).0.offerings[0].has_placeholder());
    for wrong in ["-uuid", "not-a-uuid", "713c2996", "Offering-uuid", "713c2996-71a1-4f5d-b972-3a793291bc7-uuid"] {
        assert_eq!(
            lines(&offering(&[("waldur_offering_uuid", json!(wrong))])),
            ["offerings[0].waldur_offering_uuid: must be a UUID (found text)"],
            "{wrong}"
        );
    }
}

#[test]
fn components_of_the_older_form_have_a_billing_type() {
    for (word, kind) in [
        ("usage", AccountingType::Usage),
        ("limit", AccountingType::Limit),
        ("one", AccountingType::One),
        ("fixed", AccountingType::Fixed),
    ] {
        let components = json!({ "cpu": { "name": "CPU", "measured_unit": "h", "billing_type": word } });
        let (settings, _) = read(&offering(&[("backend_components", components)]));
        let cpu = settings.offerings[0].components.get("cpu").unwrap();
        assert_eq!((cpu.accounting_type, cpu.label.as_str()), (kind, "CPU"));
    }
    let components = json!({ "cpu": { "label": "CPU", "measured_unit": "h", "accounting_type": "fixed" } });
    assert_eq!(
        lines(&offering(&[("backend_components", components)])),
        ["offerings[0].backend_components.cpu.accounting_type: must be one of usage, limit, one (found text)"]
    );
}

#[test]
fn accounts_that_waldur_does_not_know_can_be_kept_and_some_are_never_touched() {
    let (settings, warnings) = read(&offering(&[]));
    assert_eq!(settings.offerings[0].unmanaged_users, UnmanagedUsers::Remove);
    assert!(settings.offerings[0].protected_users.is_empty());
    assert!(warnings.is_empty(), "{warnings:?}");
    let (settings, warnings) =
        read(&offering(&[("unmanaged_users", json!("Keep")), ("protected_users", json!(["root", "svc-backup"]))]));
    assert_eq!(settings.offerings[0].unmanaged_users, UnmanagedUsers::Keep);
    assert!(settings.offerings[0].protected_users.contains("svc-backup"));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        lines(&offering(&[("unmanaged_users", json!("ignore")), ("protected_users", json!("root"))])),
        [
            "offerings[0].unmanaged_users: must be one of remove, keep (found text)",
            "offerings[0].protected_users: must be a list (found text)",
        ]
    );
}

#[test]
fn bounds_that_contradict_each_other_are_refused() {
    let component = |more: &Value| {
        let mut component = json!({ "label": "C", "measured_unit": "h", "accounting_type": "limit" });
        component.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        offering(&[("backend_components", json!({ "c": component }))])
    };
    for (low, high) in [
        ("min_value", "max_value"),
        ("min_prepaid_duration", "max_prepaid_duration"),
        ("min_renewal_duration", "max_renewal_duration"),
    ] {
        assert_eq!(
            lines(&component(&json!({ low: 2, high: 1 }))),
            [format!(
                "offerings[0].backend_components.c.{low}: must not be greater than {high} (found a whole number)"
            )]
        );
        read(&component(&json!({ low: 1, high: 1 })));
    }
}
