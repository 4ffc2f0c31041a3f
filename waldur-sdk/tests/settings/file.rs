//! The schema of the agent's file: every default, every rule with its path, all problems at once (core.md §6).

use std::time::Duration;

use serde_json::{Value, json};
use waldur_sdk::{
    Error, ErrorKind,
    settings::{AccountingType, AgentSettings, Credentials, LogLevel, OfferingSettings, TimeZone, Warning, problems},
};

const UUID: &str = "713c2996-71a1-4f5d-b972-3a793291bc78";

/// The smallest file with one offering.
fn smallest() -> Value {
    json!({"offerings": [{
        "name": "Storage",
        "waldur_api_url": "https://waldur.example.com/api",
        "waldur_api_token": "t0ken",
        "waldur_offering_uuid": UUID,
        "backend_type": "Croit_S3",
        "order_processing_backend": "croit_s3",
    }]})
}

/// The smallest file, with `value` at `path` (`timezone`, `offerings[0].backend_settings.soft_delete`).
fn with(path: &str, value: Value) -> Value {
    let mut tree = smallest();
    let mut place = &mut tree;
    for step in path.replace('[', ".").replace(']', "").split('.') {
        if let Ok(index) = step.parse::<usize>() {
            place = &mut place[index];
            continue;
        }
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[step];
    }
    *place = value;
    tree
}

/// The smallest file with a component, and `value` at `path` below it.
fn with_component(key: &str, value: Value) -> Value {
    let mut tree = with(
        "offerings[0].backend_components.cpu",
        json!({"label": "CPU", "measured_unit": "h", "accounting_type": "usage"}),
    );
    tree["offerings"][0]["backend_components"]["cpu"][key] = value;
    tree
}

fn read(tree: &Value) -> (AgentSettings, Vec<String>) {
    let (settings, warnings) = AgentSettings::from_value(tree).unwrap_or_else(|error| panic!("{:?}", error.chain()));
    (settings, warnings.iter().map(Warning::to_string).collect())
}

fn offering(tree: &Value) -> OfferingSettings {
    read(tree).0.offerings.remove(0)
}

fn refused(tree: &Value) -> Error {
    AgentSettings::from_value(tree).map(|_| ()).expect_err("must be refused")
}

fn lines(tree: &Value) -> Vec<String> {
    problems(&refused(tree)).iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_of_the_root() {
    let (settings, warnings) = read(&json!({"offerings": []}));
    assert!(warnings.is_empty());
    assert!(settings.offerings.is_empty());
    assert_eq!(settings.timezone, TimeZone::UTC);
    assert!(settings.global_proxy.is_none());
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.reporting_periods, 2);
    assert!(settings.expose_backend_error_details);
    assert!(settings.sentry_dsn.is_none());
    assert!(settings.elastic_apm_server_url.is_none());
    assert!(!settings.log_shipping.enabled);
    assert_eq!(settings.log_shipping.ship_interval, Duration::from_secs(60));
    assert_eq!(settings.log_shipping.buffer_size_mb, 1);
    assert_eq!(settings.log_shipping.log_level, LogLevel::Warning);
}

#[test]
fn defaults_of_an_offering() {
    let (settings, warnings) = read(&smallest());
    assert!(warnings.is_empty(), "{warnings:?}");
    let offering = &settings.offerings[0];
    assert_eq!(offering.name, "Storage");
    assert_eq!(offering.api_url.as_url().as_str(), "https://waldur.example.com/api/");
    assert!(matches!(offering.credentials, Credentials::Token(_)));
    assert_eq!(offering.offering_uuid.hex(), "713c299671a14f5db9723a793291bc78");
    assert_eq!(offering.offering_uuid_text, UUID);
    assert_eq!(offering.backend_type, "croit_s3");
    assert!(offering.components.is_empty());
    assert_eq!(offering.order_processing_backend.as_deref(), Some("croit_s3"));
    assert_eq!(offering.membership_sync_backend, None);
    assert_eq!(offering.reporting_backend, None);
    assert_eq!(offering.username_management_backend, "base");
    assert!(!offering.events.orders && !offering.events.membership && offering.events.websocket_use_tls);
    assert_eq!((&offering.events.ws_host, offering.events.ws_port, &offering.events.ws_path), (&None, None, &None));
    assert!(!offering.resource_import_enabled);
    assert!(!offering.username_reconciliation_enabled);
    assert!(offering.verify_ssl);
    assert!(!offering.omit_anomalous_usage_components);
}

#[test]
fn defaults_of_the_core_keys_of_backend_settings() {
    let core = offering(&smallest()).backend_settings.core;
    for prefix in [core.allocation_prefix, core.project_prefix, core.customer_prefix] {
        assert_eq!(prefix, "");
    }
    assert_eq!(core.default_account, "root");
    assert!(!core.check_backend_id_uniqueness && !core.check_all_offerings && !core.soft_delete);
    assert_eq!(core.backend_id_max_retries, 50);
    assert_eq!(core.default_homedir_umask, 0o077);
    assert!(core.enable_user_homedir_account_creation);
    assert!(core.homedir_base_path.is_none() && core.homedir_quota.is_none() && core.periodic_limits.is_none());
    assert!(core.user_resolve_method.is_none() && core.ca_certificates.is_none());
    assert!(!core.fetch_consented_users_only);
}

#[test]
fn defaults_of_a_component() {
    let offering = offering(&with("offerings[0].backend_components.cpu", json!({"accounting_type": "limit"})));
    let cpu = offering.components.get("cpu").unwrap();
    assert_eq!((cpu.name.as_str(), cpu.label.as_str(), cpu.measured_unit.as_str()), ("cpu", "cpu", "unit"));
    assert_eq!(cpu.accounting_type, AccountingType::Limit);
    assert_eq!(cpu.unit_factor.decimal(), 1.into());
    assert_eq!(cpu.reporting_factor(), cpu.unit_factor);
    assert!(cpu.unit_factor_reporting.is_none() && cpu.limit.is_none() && cpu.limit_period.is_none());
    assert!(cpu.description.is_none() && cpu.article_code.is_none());
    assert!([cpu.min_value, cpu.max_value, cpu.max_available_limit, cpu.default_limit].iter().all(Option::is_none));
    assert!(cpu.is_boolean.is_none() && cpu.is_prepaid.is_none());
    assert_eq!(cpu.prepaid, waldur_sdk::settings::PrepaidTerms::default());
    assert!(cpu.target_components.is_empty());
}

#[test]
fn every_key_is_read() {
    let tree = json!({
        "timezone": "utc", "global_proxy": "socks5://user:pass@proxy:1080", "log_level": "debug",
        "reporting_periods": 12, "expose_backend_error_details": false, "sentry_dsn": "https://key@sentry.example/1",
        "elastic_apm_server_url": "https://apm.example:8200",
        "log_shipping": {"enabled": true, "ship_interval_seconds": 10, "buffer_size_mb": 5, "log_level": "Critical"},
        "offerings": [{
            "name": "All", "waldur_api_url": "https://h/waldur/api/", "waldur_offering_uuid": UUID.replace('-', ""),
            "oidc_token_url": "https://idp/realms/x/token", "oidc_client_id": "agent", "oidc_client_secret": "s",
            "backend_type": "slurm", "order_processing_backend": "a", "membership_sync_backend": "b",
            "reporting_backend": "c", "username_management_backend": "d", "stomp_enabled": true,
            "stomp_membership_sync_enabled": false, "websocket_use_tls": false, "stomp_ws_host": "mq",
            "stomp_ws_path": "/ws", "stomp_ws_port": 15674, "resource_import_enabled": true,
            "username_reconciliation_enabled": true, "verify_ssl": true, "omit_anomalous_usage_components": true,
            "backend_settings": {
                "allocation_prefix": "a_", "project_prefix": "p_", "customer_prefix": "c_", "default_account": "top",
                "check_backend_id_uniqueness": true, "check_all_offerings": true, "backend_id_max_retries": 3,
                "soft_delete": true, "default_homedir_umask": "0027", "enable_user_homedir_account_creation": false,
                "homedir_base_path": "/home", "user_resolve_method": "identity_bridge",
                "fetch_consented_users_only": true, "periodic_limits": {"enabled": true, "carryover": 1},
                "homedir_quota": {
                    "provider": "xfs", "max_bytes": 1, "max_files": 2, "mount_point": "/home", "block_softlimit": 3,
                    "block_hardlimit": 4, "inode_softlimit": 5, "inode_hardlimit": 6
                },
            },
            "backend_components": {"cpu": {
                "measured_unit": "h", "label": "CPU", "accounting_type": "one", "unit_factor": 60000,
                "unit_factor_reporting": 0.5, "limit": 10, "description": "d", "article_code": "A1", "min_value": 1,
                "max_value": 2, "max_available_limit": 3, "default_limit": 4, "limit_period": "annual",
                "is_boolean": false, "min_prepaid_duration": 1, "max_prepaid_duration": 2, "prepaid_duration_step": 3,
                "min_renewal_duration": 4, "max_renewal_duration": 5, "renewal_duration_step": 6,
                "target_components": {"gpu": {"factor": 2.5}}, "backend_name": "kept"
            }},
        }],
    });
    let (settings, warnings) = read(&tree);
    assert!(warnings.is_empty(), "{warnings:?}");
    // `Debug` of the whole is a readable snapshot of what was read; secrets are not in it.
    let shown = format!("{settings:?}");
    for part in [
        "log_level: Debug",
        "reporting_periods: 12",
        "expose_backend_error_details: false",
        "LogShipping { enabled: true, ship_interval: 10s, buffer_size_mb: 5, log_level: Critical }",
        "client_id: \"agent\"",
        "HttpUrl(https://idp/realms/x/token)",
        "offering_uuid_text: \"713c299671a14f5db9723a793291bc78\"",
        "order_processing_backend: Some(\"a\"), membership_sync_backend: Some(\"b\"), reporting_backend: Some(\"c\")",
        "username_management_backend: \"d\"",
        "EventSettings { orders: true, membership: false, websocket_use_tls: false, ws_host: Some(\"mq\"), \
         ws_port: Some(15674), ws_path: Some(\"/ws\") }",
        "resource_import_enabled: true, username_reconciliation_enabled: true, verify_ssl: true, \
         omit_anomalous_usage_components: true",
        "allocation_prefix: \"a_\", project_prefix: \"p_\", customer_prefix: \"c_\", default_account: \"top\", \
         check_backend_id_uniqueness: true, check_all_offerings: true, backend_id_max_retries: 3, soft_delete: true, \
         default_homedir_umask: 23, enable_user_homedir_account_creation: false, homedir_base_path: Some(\"/home\")",
        "HomedirQuota { provider: Xfs, max_bytes: Some(1), max_files: Some(2), mount_point: Some(\"/home\"), \
         block_softlimit: Some(3), block_hardlimit: Some(4), inode_softlimit: Some(5), inode_hardlimit: Some(6) }",
        "PeriodicLimits { enabled: true",
        "user_resolve_method: Some(\"identity_bridge\"), fetch_consented_users_only: true",
        "name: \"cpu\", label: \"CPU\", measured_unit: \"h\", accounting_type: One, unit_factor: UnitFactor(60000), \
         unit_factor_reporting: Some(UnitFactor(0.5)), limit: Some(At(WaldurAmount(10))), description: Some(\"d\"), \
         article_code: Some(\"A1\"), min_value: Some(1), max_value: Some(2), max_available_limit: Some(3), \
         default_limit: Some(4), limit_period: Some(Annual), is_boolean: Some(false), is_prepaid: Some(true)",
        "PrepaidTerms { min_duration: Some(1), max_duration: Some(2), duration_step: Some(3), min_renewal: Some(4), \
         max_renewal: Some(5), renewal_step: Some(6) }",
        "target_components: {\"gpu\": 2.5}",
    ] {
        assert!(shown.contains(part), "{part}\nis not in\n{shown}");
    }
    assert!(settings.global_proxy.is_some() && settings.sentry_dsn.is_some());
    assert_eq!(settings.elastic_apm_server_url.unwrap().as_url().as_str(), "https://apm.example:8200/");
}

#[test]
fn every_rule_names_the_path_and_the_type() {
    let number = "must be a whole number";
    let o = "offerings[0]";
    let table = [
        ("offerings", json!(null), "must not be null (found null)".to_owned()),
        ("offerings", json!("x"), "must be a list (found text)".into()),
        ("offerings[0]", json!("x"), "must be a map (found text)".into()),
        ("timezone", json!(""), "must be the IANA name of a time zone (found blank text)".into()),
        ("timezone", json!(null), "must not be null (found null)".into()),
        ("global_proxy", json!(null), "must not be null (found null)".into()),
        (
            "global_proxy",
            json!("ftp://proxy"),
            "must be the URL of a proxy: http, https, socks5 or socks5h (found text)".into(),
        ),
        ("log_level", json!("LOUD"), "must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL (found text)".into()),
        ("reporting_periods", json!(0), format!("{number} from 1 to 12 (found a whole number)")),
        ("reporting_periods", json!(2.5), format!("{number} from 1 to 12 (found a number with a fraction)")),
        ("reporting_periods", json!(300), format!("{number} from 1 to 12 (found a whole number)")),
        ("reporting_periods", json!([2]), format!("{number} from 1 to 12 (found a list)")),
        ("expose_backend_error_details", json!("perhaps"), "must be true or false (found text)".into()),
        ("log_shipping", json!(null), "must not be null (found null)".into()),
        ("log_shipping", json!(true), "must be a map (found a boolean)".into()),
        ("log_shipping.buffer_size_mb", json!(0), format!("{number}, at least 1 (found a whole number)")),
        (
            "log_shipping.log_level",
            json!(10),
            "must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL (found a whole number)".into(),
        ),
        ("sentry_dsn", json!("not a url"), "must be an http(s) URL (found text)".into()),
        ("elastic_apm_server_url", json!("apm:8200"), "must begin with https:// or http:// (found text)".into()),
        ("offerings[0].name", json!(""), "is required (found blank text)".into()),
        ("offerings[0].name", json!(7), "must be text, in quotes (found a whole number)".into()),
        (
            "offerings[0].waldur_api_url",
            json!("waldur.example.com"),
            "must be an absolute URL such as https://host/ (found text)".into(),
        ),
        (
            "offerings[0].waldur_api_url",
            json!("https://me:secret@waldur.example.com"),
            "must not contain a user name or password (found text)".into(),
        ),
        ("offerings[0].waldur_api_token", json!(null), "must not be null (found null)".into()),
        ("offerings[0].oidc_token_url", json!("ftp://idp"), "must begin with https:// or http:// (found text)".into()),
        ("offerings[0].waldur_offering_uuid", json!("abc"), "must be a UUID (found text)".into()),
        ("offerings[0].waldur_offering_uuid", json!(713), "must be text, in quotes (found a whole number)".into()),
        ("offerings[0].backend_type", json!(null), "must not be null (found null)".into()),
        ("offerings[0].backend_settings", json!(null), "must not be null (found null)".into()),
        ("offerings[0].backend_components", json!([]), "must be a map (found a list)".into()),
        ("offerings[0].backend_components.cpu", json!(null), "must not be null (found null)".into()),
        ("offerings[0].order_processing_backend", json!(1), "must be text, in quotes (found a whole number)".into()),
        ("offerings[0].username_management_backend", json!(null), "must not be null (found null)".into()),
        ("offerings[0].stomp_enabled", json!(null), "must not be null (found null)".into()),
        ("offerings[0].stomp_ws_port", json!(65536), format!("{number} from 1 to 65535 (found a whole number)")),
        ("offerings[0].verify_ssl", json!(2), "must be true or false (found a whole number)".into()),
        ("offerings[0].backend_settings.allocation_prefix", json!(null), "must not be null (found null)".into()),
        (
            "offerings[0].backend_settings.backend_id_max_retries",
            json!(0),
            format!("{number}, at least 1 (found a whole number)"),
        ),
        (
            "offerings[0].backend_settings.default_homedir_umask",
            json!("1000"),
            "must be an octal number from 0 to 0777, in quotes (found text)".into(),
        ),
        (
            "offerings[0].backend_settings.default_homedir_umask",
            json!("0o078"),
            "must be an octal number from 0 to 0777, in quotes (found text)".into(),
        ),
        (
            "offerings[0].backend_settings.homedir_quota.provider",
            json!("zfs"),
            "must be one of ceph_xattr, xfs, lustre (found text)".into(),
        ),
        (
            "offerings[0].backend_settings.periodic_limits.enabled",
            json!("x"),
            "must be true or false (found text)".into(),
        ),
    ];
    for (path, value, rule) in table {
        assert_eq!(lines(&with(path, value)), [format!("{path}: {rule}")]);
    }
    let components = [
        ("accounting_type", json!("fixed"), "must be one of usage, limit, one (found text)".to_owned()),
        ("unit_factor", json!(0), "must be greater than 0 (found a whole number)".into()),
        ("unit_factor", json!("many"), "must be a number (found text)".into()),
        ("unit_factor", json!(null), "must not be null (found null)".into()),
        ("unit_factor_reporting", json!(-0.5), "must be greater than 0 (found a number with a fraction)".into()),
        ("limit", json!(-2), "must not be negative, or -1 for no limit (found a whole number)".into()),
        ("min_value", json!("few"), format!("{number} (found text)")),
        ("max_prepaid_duration", json!(-1), format!("{number}, at least 0 (found a whole number)")),
        ("label", json!(1), "must be text, in quotes (found a whole number)".into()),
    ];
    for (key, value, rule) in components {
        let expected = format!("{o}.backend_components.cpu.{key}: {rule}");
        assert_eq!(lines(&with_component(key, value)), [expected]);
    }
    assert_eq!(
        lines(&with_component("target_components", json!({"gpu": {"factor": 0}}))),
        [format!(
            "{o}.backend_components.cpu.target_components.gpu.factor: must be greater than 0 (found a whole number)"
        )]
    );
    assert_eq!(
        lines(&with("offerings[0].backend_settings.homedir_quota", json!({"provider": "xfs", "max_byte": 1}))),
        [format!(
            "{o}.backend_settings.homedir_quota.max_byte: unknown key; did you mean max_bytes? (found a whole number)"
        )]
    );
    assert_eq!(lines(&json!([])), ["the settings: must be a map (found a list)"]);
}

#[test]
fn required_keys_are_all_named() {
    assert_eq!(lines(&json!({})), ["offerings: is required (found nothing)"]);
    let paths: Vec<_> = lines(&json!({"offerings": [{}]}));
    assert_eq!(
        paths,
        [
            "offerings[0].name: is required (found nothing)",
            "offerings[0].waldur_api_url: is required (found nothing)",
            "offerings[0].waldur_api_token: is required, or else all of oidc_token_url, oidc_client_id and \
             oidc_client_secret instead (found nothing)",
            "offerings[0].waldur_offering_uuid: is required (found nothing)",
            "offerings[0].backend_type: is required (found nothing)",
        ]
    );
    assert_eq!(
        lines(&with("offerings[0].backend_components.cpu", json!({}))),
        ["offerings[0].backend_components.cpu.accounting_type: is required (found nothing)"]
    );
}

#[test]
fn ten_mistakes_give_ten_problems() {
    let tree = json!({
        "timezone": "Mars/X",
        "reporting_periods": 13,
        "log_shipping": {"ship_interval_seconds": 5, "log_level": "LOUD"},
        "offerings": [
            {
                "name": "first", "waldur_api_token": "t", "waldur_api_url": "gopher://h", "waldur_offering_uuid": "?",
                "backend_type": "x", "backend_settings": {"soft_delete": "maybe"},
                "backend_components": {"a": {"accounting_type": "few"}, "b": {"accounting_type": "usage", "limit": []}},
            },
            {
                "name": "second", "waldur_api_token": "t", "waldur_api_url": "https://h", "waldur_offering_uuid": UUID,
                "backend_tpye": "x",
            },
        ],
    });
    let error = refused(&tree);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "10 problems in the settings");
    let paths: Vec<_> = problems(&error).iter().map(|problem| problem.path().to_owned()).collect();
    assert_eq!(
        paths,
        [
            "offerings[0].waldur_api_url",
            "offerings[0].waldur_offering_uuid",
            "offerings[0].backend_settings.soft_delete",
            "offerings[0].backend_components.a.accounting_type",
            "offerings[0].backend_components.b.limit",
            "offerings[1].backend_type",
            "timezone",
            "reporting_periods",
            "log_shipping.ship_interval_seconds",
            "log_shipping.log_level",
        ]
    );
    let chain = error.chain();
    assert_eq!(chain.len(), 11, "the summary and one line for each problem");
    assert!(chain.iter().all(|line| !line.contains('\n')));
    assert_eq!(
        chain[6],
        "offerings[1].backend_type: is required (found nothing; is the unknown key \"backend_tpye\" meant to be it?)"
    );
}

#[test]
fn c03_neither_a_token_nor_complete_oidc_names_both_options() {
    let mut tree = smallest();
    tree["offerings"][0].as_object_mut().unwrap().remove("waldur_api_token");
    for token in [None, Some(""), Some("  ")] {
        if let Some(token) = token {
            tree["offerings"][0]["waldur_api_token"] = json!(token);
        }
        let [line] = <[String; 1]>::try_from(lines(&tree)).unwrap();
        assert!(line.starts_with("offerings[0].waldur_api_token: is required"), "{line}");
        for key in ["oidc_token_url", "oidc_client_id", "oidc_client_secret"] {
            assert!(line.contains(key), "{line}");
        }
    }
    let keys = [("oidc_token_url", "https://idp/token"), ("oidc_client_id", "agent"), ("oidc_client_secret", "s3cr3t")];
    for (missing, _) in keys {
        let mut partial = tree.clone();
        for (key, value) in keys.iter().filter(|(key, _)| *key != missing) {
            partial["offerings"][0][*key] = json!(value);
        }
        let expected = format!(
            "offerings[0].{missing}: is required with the other oidc keys, unless waldur_api_token is set (found nothing)"
        );
        assert_eq!(lines(&partial), [expected]);
    }
    for (key, value) in keys {
        tree["offerings"][0][key] = json!(value);
    }
    let Credentials::Oidc { token_url, client_id, .. } = offering(&tree).credentials else { panic!("must be OIDC") };
    assert_eq!((token_url.as_url().as_str(), client_id.as_str()), ("https://idp/token", "agent"));
}

#[test]
fn c67_lax_values_and_unknown_keys_are_accepted_and_wrong_ones_rejected() {
    for yes in [json!(true), json!("true"), json!("yes"), json!("Yes"), json!("on"), json!(1), json!("1"), json!(1.0)] {
        assert!(offering(&with("offerings[0].stomp_enabled", yes)).events.orders);
    }
    for no in [json!(false), json!("False"), json!("no"), json!("off"), json!(0), json!("0")] {
        assert!(!offering(&with("offerings[0].stomp_enabled", no)).events.orders);
    }
    for three in [json!(3), json!("3"), json!(3.0), json!(" 3 ")] {
        assert_eq!(read(&with("reporting_periods", three)).0.reporting_periods, 3);
    }
    let mut tree = with("offerings[0].verify_sll", json!(true));
    tree["timezone_name"] = json!("UTC");
    tree["offerings"][0]["colour"] = json!("blue");
    tree["offerings"][0]["backend_settings"] = json!({"left": "to the back end"});
    assert_eq!(
        read(&tree).1,
        [
            "offerings[0].colour: unknown key, ignored",
            "offerings[0].verify_sll: unknown key, ignored; did you mean verify_ssl?",
            "timezone_name: unknown key, ignored",
        ]
    );
    let zone = if jiff::tz::db().is_definitively_empty() {
        "must be UTC, since this machine has no time zone database (package tzdata)"
    } else {
        "must be the IANA name of a time zone"
    };
    for (path, value, rule) in [
        ("timezone", json!("Mars/X"), format!("{zone} (found text)")),
        ("reporting_periods", json!(13), "must be a whole number from 1 to 12 (found a whole number)".into()),
        (
            "log_shipping.ship_interval_seconds",
            json!(5),
            "must be a whole number, at least 10 (found a whole number)".into(),
        ),
    ] {
        assert_eq!(lines(&with(path, value)), [format!("{path}: {rule}")]);
    }
}

#[test]
fn time_zones_are_looked_up_where_there_is_a_database() {
    for utc in ["UTC", "utc", " Utc "] {
        assert_eq!(read(&with("timezone", json!(utc))).0.timezone, TimeZone::UTC);
    }
    let tree = with("timezone", json!("Europe/Tallinn"));
    if jiff::tz::db().is_definitively_empty() {
        assert!(lines(&tree)[0].contains("tzdata"));
    } else {
        assert_eq!(read(&tree).0.timezone.iana_name(), Some("Europe/Tallinn"));
    }
    for wrong in ["Etc/Unknown", "../../etc/passwd", "+02:00", "EST5EDT4"] {
        assert_eq!(lines(&with("timezone", json!(wrong))).len(), 1, "{wrong}");
    }
}

#[test]
fn optional_keys_take_null_and_blank_for_nothing() {
    for nothing in [json!(null), json!(""), json!(" ")] {
        for key in ["sentry_dsn", "elastic_apm_server_url"] {
            let settings = read(&with(key, nothing.clone())).0;
            assert!(settings.sentry_dsn.is_none() && settings.elastic_apm_server_url.is_none());
        }
        let offering = offering(&with("offerings[0].order_processing_backend", nothing));
        assert_eq!(offering.order_processing_backend, None, "written, and switched off");
    }
    assert!(read(&with("global_proxy", json!(""))).0.global_proxy.is_none());
    assert!(offering(&with("offerings[0].backend_components", json!(null))).components.is_empty());
    let tree = with("offerings[0].stomp_enabled", json!(true));
    assert!(offering(&tree).events.membership, "as stomp_enabled when it is not written");
    let mut tree = with("offerings[0].stomp_enabled", json!(true));
    tree["offerings"][0]["stomp_membership_sync_enabled"] = json!(null);
    assert!(offering(&tree).events.membership, "or null");
}

#[test]
fn what_deserves_a_warning_gets_one() {
    let (settings, warnings) = read(&with("offerings[0].stomp_membership_sync_enabled", json!(true)));
    assert!(!settings.offerings[0].events.membership);
    assert_eq!(
        warnings,
        ["offerings[0].stomp_membership_sync_enabled: MISCONFIGURATION of offering Storage: has no effect without \
          stomp_enabled; members are polled"]
    );
    let mut tree = smallest();
    tree["offerings"][0]["waldur_api_url"] = json!("http://waldur.example.com/");
    tree["offerings"][0]["verify_ssl"] = json!("no");
    tree["offerings"][0]["oidc_client_id"] = json!("unused");
    tree["offerings"][0]["backend_components"] = json!({"cpu": {"accounting_type": "usage", "limit_period": "weekly"}});
    assert_eq!(
        read(&tree).1,
        [
            "offerings[0].waldur_api_url: plain http: whoever is on the way can read the credentials; use https",
            "offerings[0].waldur_api_token: is used; the oidc keys beside it are not",
            "offerings[0].backend_components.cpu.label: is missing; the Python agent demands it",
            "offerings[0].backend_components.cpu.measured_unit: is missing; the Python agent demands it",
            "offerings[0].backend_components.cpu.limit_period: is none of month, quarterly, annual, total",
            "offerings[0].verify_ssl: Waldur's certificate is not verified: anybody on the way can take the token",
        ]
    );
    tree["offerings"][0]["waldur_api_url"] = json!("http://localhost:8080/api/");
    assert!(!read(&tree).1[0].contains("plain http"), "loopback is nobody's way");
}

/// The example of the S3 back end (requirements/croit-s3.txt), which has no `…_backend` key, label or unit.
#[test]
fn the_s3_example_loads_as_it_is() {
    let tree = json!({"offerings": [{
        "name": "Croit S3 Object Storage",
        "waldur_api_url": "https://waldur.example.com/api/",
        "waldur_api_token": "your_waldur_api_token",
        "waldur_offering_uuid": "713c299671a14f5db9723a793291bc78",
        "stomp_enabled": true,
        "websocket_use_tls": false,
        "backend_type": "croit_s3",
        "backend_settings": {
            "api_url": "https://192.168.240.34", "token": "your-bearer-token", "verify_ssl": false,
            "user_prefix": "waldur_", "slug_separator": "_", "max_username_length": 64, "default_tenant": "",
        },
        "backend_components": {
            "s3_storage": {"accounting_type": "usage", "backend_name": "storage", "unit_factor": 1_073_741_824,
                "enforce_limits": true},
            "s3_objects": {"accounting_type": "usage", "backend_name": "objects", "enforce_limits": true},
        },
    }]});
    let (settings, warnings) = read(&tree);
    let offering = &settings.offerings[0];
    for backend in [&offering.order_processing_backend, &offering.membership_sync_backend, &offering.reporting_backend]
    {
        assert_eq!(backend.as_deref(), Some("croit_s3"));
    }
    assert_eq!(warnings.len(), 5, "one for the back ends, two for each component: {warnings:?}");
    assert!(warnings[0].starts_with("offerings[0].order_processing_backend: "));
    let names: Vec<_> = offering.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["s3_objects", "s3_storage"]);
    let storage = offering.components.get("s3_storage").unwrap();
    assert_eq!(storage.unit_factor.decimal(), 1_073_741_824.into());
    let (backend_name, _) = storage
        .raw
        .read(|mut section| {
            let name = section.key("backend_name").text().required();
            section.share()?;
            name
        })
        .unwrap();
    assert_eq!(backend_name, "storage");
}
