//! YAML as PyYAML reads it, with a test for each trap that a reader of YAML 1.2 falls into (core.md §6.1).

use std::{fs, path::PathBuf};

use waldur_examples::config::{self, MAX_SIZE};
use waldur_sdk::settings::{AgentSettings, OfferingSettings};

const UUID: &str = "713c299671a14f5db9723a793291bc78";

/// A file with one offering, and these lines in it, six spaces deep.
fn with(lines: &str) -> String {
    format!(
        "offerings:\n  - name: One\n    waldur_api_url: https://waldur.example.com/\n    waldur_api_token: t\n    \
         waldur_offering_uuid: {UUID}\n    backend_type: ceph_s3\n    order_processing_backend: ceph_s3\n{lines}"
    )
}

fn settings(text: &str) -> AgentSettings {
    config::parse(text).unwrap_or_else(|error| panic!("{error}")).0
}

fn offering(lines: &str) -> OfferingSettings {
    settings(&with(lines)).offerings.remove(0)
}

fn problems(text: &str) -> Vec<String> {
    config::parse(text).unwrap_err().problems().to_vec()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn c67_words_of_yes_and_no_are_booleans_and_still_names() {
    for yes in ["yes", "Yes", "YES", "on", "On", "true", "True", "\"true\"", "\"yes\"", "1", "\"1\""] {
        assert!(offering(&format!("    stomp_enabled: {yes}\n")).events.orders, "{yes}");
    }
    for no in ["no", "No", "off", "OFF", "false", "\"false\"", "0"] {
        assert!(!offering(&format!("    verify_ssl: {no}\n")).verify_ssl, "{no}");
    }
    let named = offering("    backend_components: {n: {label: no, measured_unit: y, accounting_type: usage}}\n");
    let component = named.components.get("n").unwrap();
    assert_eq!((component.label.as_str(), component.measured_unit.as_str()), ("no", "y"));
}

#[test]
fn c67_a_leading_zero_is_octal() {
    assert_eq!(
        offering("    backend_settings: {default_homedir_umask: 0027}\n").backend_settings.core.default_homedir_umask,
        0o027
    );
    assert_eq!(
        offering("    backend_settings: {default_homedir_umask: \"0027\"}\n")
            .backend_settings
            .core
            .default_homedir_umask,
        0o027
    );
    assert_eq!(settings("reporting_periods: 010\nofferings: []\n").reporting_periods, 8);
}

/// Nobody means base sixty: what stands there is taken as it stands, and is no number.
#[test]
fn c67_minutes_and_seconds_are_no_number() {
    let component = "    backend_components: {c: {label: 12:30, measured_unit: h, accounting_type: usage}}\n";
    assert_eq!(offering(component).components.get("c").unwrap().label, "12:30");
    let found = problems(&with("    stomp_ws_port: 12:30\n"));
    assert_eq!(found, ["offerings[0].stomp_ws_port: must be a whole number from 1 to 65535 (found text)"]);
}

#[test]
fn c67_a_uuid_of_digits_alone_is_text_with_a_warning() {
    let digits = "01234567890123456789012345678901";
    for line in [digits.to_owned(), format!("{digits}   # the storage"), format!("\"{digits}\"")] {
        let text = with("").replace(UUID, &line);
        let (settings, warnings) = config::parse(&text).unwrap();
        assert_eq!(settings.offerings[0].offering_uuid.hex(), digits);
        assert_eq!(settings.offerings[0].offering_uuid_text, digits);
        let warned = warnings.iter().any(|warning| warning.path() == "line 5" && warning.text().contains("in quotes"));
        assert_eq!(warned, !line.starts_with('"'), "{warnings:?}");
    }
    let flow = format!("offerings: [{{name: One, waldur_offering_uuid: {digits}}}]\n");
    let found = problems(&flow);
    assert!(found.iter().any(|line| line.starts_with("offerings[0].waldur_offering_uuid: must be text")), "{found:?}");
}

#[test]
fn c67_of_two_equal_keys_the_last_one_holds() {
    let two = offering("    order_processing_backend: second\n    stomp_ws_port: 1\n    stomp_ws_port: 2\n");
    assert_eq!(two.order_processing_backend.as_deref(), Some("second"));
    assert_eq!(two.events.ws_port, Some(2));
}

#[test]
fn c67_anchors_and_merge_keys_work_and_own_keys_win() {
    let text = with("    backend_settings: {soft_delete: true}\n").replace("  - name", "  - &one\n    name")
        + "  - <<: *one\n    name: Two\n    backend_settings: {allocation_prefix: two-}\n";
    let settings = settings(&text);
    assert_eq!(settings.offerings.len(), 2);
    let [one, two] = settings.offerings.as_slice() else { panic!("two") };
    assert_eq!((one.name.as_str(), two.name.as_str()), ("One", "Two"));
    assert_eq!(two.offering_uuid, one.offering_uuid);
    assert_eq!(two.backend_settings.core.allocation_prefix, "two-");
    assert!(one.backend_settings.core.soft_delete && !two.backend_settings.core.soft_delete);

    let shared = "x-terms: &a {label: A, measured_unit: h}\nx-more: &b {label: B, accounting_type: usage}\n".to_owned()
        + &with("    backend_components: {cpu: {<<: [*a, *b]}}\n");
    let cpu = self::settings(&shared).offerings.remove(0);
    let cpu = cpu.components.get("cpu").unwrap();
    assert_eq!((cpu.label.as_str(), cpu.measured_unit.as_str()), ("A", "h"), "the first of the merged wins");
}

#[test]
fn c67_null_is_refused_where_something_must_be() {
    for (line, path) in [
        ("stomp_enabled:", "stomp_enabled"),
        ("verify_ssl: ~", "verify_ssl"),
        ("backend_settings: null", "backend_settings"),
        ("username_management_backend:", "username_management_backend"),
        ("websocket_use_tls: Null", "websocket_use_tls"),
    ] {
        let found = problems(&with(&format!("    {line}\n")));
        assert_eq!(found, [format!("offerings[0].{path}: must not be null (found null)")]);
    }
    assert_eq!(problems("timezone:\nofferings: []\n"), ["timezone: must not be null (found null)"]);
    let none = offering("    stomp_ws_host: ~\n    backend_components:\n    stomp_membership_sync_enabled:\n");
    assert!(none.events.ws_host.is_none() && none.components.is_empty());
}

#[test]
fn c67_a_number_is_no_text_but_text_may_be_a_number() {
    let found = problems(&with("    username_management_backend: 7\n"));
    assert_eq!(found, ["offerings[0].username_management_backend: must be text, in quotes (found a whole number)"]);
    for three in ["3", "3.0", "\"3\"", "+3", "0x3"] {
        assert_eq!(settings(&format!("reporting_periods: {three}\nofferings: []\n")).reporting_periods, 3, "{three}");
    }
    assert_eq!(problems("reporting_periods: 2.5\nofferings: []\n").len(), 1);
}

#[test]
fn f163_sec34_a_file_that_grows_or_is_too_large_or_too_deep_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{inner}]\n");
    }
    assert!(problems(&bomb)[0].contains("too large or too deep"), "{:?}", problems(&bomb));
    assert!(problems(&"[".repeat(10_000))[0].contains("(what is there is not repeated"));
    let large = file("large.yaml", &"#".repeat(usize::try_from(MAX_SIZE).unwrap() + 1));
    let error = config::load(&large).unwrap_err();
    assert!(error.to_string().ends_with("is larger than 1 MiB"), "{error}");
}

#[test]
fn credentials_may_stand_elsewhere() {
    use secrecy::ExposeSecret as _;
    file("token.secret", "t0ken-elsewhere\n");
    let text = with("").replace("waldur_api_token: t", "waldur_api_token: {from_file: token.secret}");
    let settings = config::load(&file("elsewhere.yaml", &text)).unwrap().0;
    let waldur_sdk::settings::Credentials::Token(token) = &settings.offerings[0].credentials else { panic!("a token") };
    assert_eq!(token.expose_secret(), "t0ken-elsewhere");

    let path = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let text = with("    backend_settings: {allocation_prefix: {from_env: CARGO_MANIFEST_DIR}}\n");
    assert_eq!(self::settings(&text).offerings[0].backend_settings.core.allocation_prefix, path);

    let text = with("").replace("waldur_api_token: t", "waldur_api_token: {from_env: NO_SUCH_VARIABLE}");
    let found = problems(&text.replace("from_env: NO", "from_file: /nowhere/at/all, from_env: NO"));
    assert!(found[0].contains("waldur_api_token: must be text"), "two keys are no reference: {found:?}");
    let found = problems(&text);
    assert_eq!(found[0], "offerings[0].waldur_api_token: from_env: NO_SUCH_VARIABLE is not set, or no text");
}

#[test]
fn f165_two_back_ends_with_one_login_are_warned_of() {
    let login = "    backend_settings: {s3_endpoint: 'https://s3.example.com', admin_secret_key: hidden-value}\n";
    let one = with(login);
    let other = one.replace("offerings:\n", "").replace(UUID, "00000000000040008000000000000002").replace("One", "Two");
    let (_, warnings) = config::parse(&format!("{one}{other}")).unwrap();
    let warning = warnings.iter().find(|warning| warning.path() == "offerings[1].backend_settings").expect("a warning");
    assert!(warning.text().contains("the same back end as offerings[0], with the same login"), "{warning}");
    assert!(!warning.text().contains("hidden"));

    let apart = other.replace("admin_secret_key", "allocation_prefix: two-, admin_secret_key");
    let (_, warnings) = config::parse(&format!("{one}{apart}")).unwrap();
    assert!(warnings.iter().all(|warning| warning.path() != "offerings[1].backend_settings"), "{warnings:?}");

    let twice = other.replace("00000000000040008000000000000002", UUID);
    let (_, warnings) = config::parse(&format!("{one}{twice}")).unwrap();
    assert!(warnings.iter().any(|warning| warning.text().contains("once more")), "{warnings:?}");
}
