//! Who names people (core.md §3.3, §6.3, §7.3).

use std::sync::Arc;

use serde_json::json;
use waldur_sdk::{
    Error, ErrorClass,
    backend::{
        BuildEnv, GeneratedUsernames, NoUsernames, OfferingFacts, OpContext, UsernameBackend, UsernameOutcome,
        UsernameRegistry, UsernameRequest, WaldurUsernames,
    },
    naming::NameForm,
    rest::HttpOptions,
    settings::{BackendSettings, Components},
    types::{OfferingUserUuid, OfferingUuid, Personal, UserUuid, Uuid},
};

use crate::UUID;

fn request(account: u128, first: &str, last: &str, taken: &[&str]) -> UsernameRequest {
    let mut request = UsernameRequest::new(OfferingUserUuid::new(Uuid::from_u128(account)));
    request.user = Some(UserUuid::new(UUID));
    request.first_name = (!first.is_empty()).then(|| first.into());
    request.last_name = (!last.is_empty()).then(|| last.into());
    request.taken = Arc::new(taken.iter().map(|name| Personal::from(*name)).collect());
    request
}

async fn ask(backend: &dyn UsernameBackend, request: &UsernameRequest) -> Result<Option<String>, Error> {
    match backend.username(&OpContext::new("test"), request).await? {
        UsernameOutcome::Ready(name) => Ok(Some(name.into_string())),
        UsernameOutcome::Absent => Ok(None),
        other => panic!("{other:?}"),
    }
}

async fn name(backend: &dyn UsernameBackend, request: &UsernameRequest) -> String {
    ask(backend, request).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn u10_two_of_one_name_at_once_get_two_names_and_keep_them() {
    let backend = GeneratedUsernames::full_name(NameForm::Recommended);
    let (one, two) = (request(1, "John", "Doe", &[]), request(2, "John", "Doe", &[]));
    assert_eq!(name(&backend, &one).await, "john_doe_00");
    assert_eq!(name(&backend, &two).await, "john_doe_01");
    // Asked again because writing the name failed.
    assert_eq!(name(&backend, &two).await, "john_doe_01");
    assert_eq!(name(&backend, &one).await, "john_doe_00");
    // Waldur refused it, because another agent gave the name to somebody else.
    let again = request(1, "John", "Doe", &["JOHN_DOE_00"]);
    assert_eq!(name(&backend, &again).await, "john_doe_02");
}

#[tokio::test(start_paused = true)]
async fn u03_a_name_that_is_there_stays() {
    let mut named = request(1, "John", "Doe", &["jdoe"]);
    named.username = Some("jdoe".into());
    named.identity = Some("john@example.org".into());
    let generated = GeneratedUsernames::full_name(NameForm::Compat);
    for backend in [&generated as &dyn UsernameBackend, &WaldurUsernames] {
        assert_eq!(name(backend, &named).await, "jdoe");
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_waldur_shows_are_forgotten_and_so_are_those_of_people_who_left() {
    let backend = GeneratedUsernames::anonymized("hpc_", NameForm::Recommended);
    let cx = OpContext::new("test");
    assert_eq!(name(&backend, &request(1, "", "", &[])).await, "hpc_00000");
    assert_eq!(name(&backend, &request(2, "", "", &[])).await, "hpc_00001");
    let mut shown = request(1, "", "", &[]);
    shown.username = Some("hpc_00000".into());
    backend.sync_profiles(&cx, &[shown, request(2, "", "", &[])]).await.unwrap();
    assert_eq!(name(&backend, &request(2, "", "", &["hpc_00000"])).await, "hpc_00001", "still waits for its name");
    backend.deactivate(&cx, &["hpc_00001".to_owned()]).await.unwrap();
    assert_eq!(name(&backend, &request(3, "", "", &[])).await, "hpc_00000");
    assert!(!format!("{backend:?}").contains("hpc_00000"));
}

#[tokio::test(start_paused = true)]
async fn people_are_named_by_what_the_offering_is_told() {
    let backend = GeneratedUsernames::full_name(NameForm::Recommended);
    let mut whole = request(1, "", "", &[]);
    whole.full_name = Some("Łukasz Jan Żółć".into());
    assert_eq!(name(&backend, &whole).await, "lukasz_jan_zolc_00");
    assert_eq!(name(&backend, &request(2, "", "", &[])).await, "user_12345678");
    let mut nobody = request(3, "", "", &[]);
    nobody.user = None;
    assert_eq!(name(&backend, &nobody).await, "user_00000000");

    let compat = GeneratedUsernames::full_name(NameForm::Compat);
    assert_eq!(name(&compat, &whole).await, "ukasz_jan_zoc_00");
    assert_eq!(name(&compat, &request(4, "Łukasz", "Żółć", &[])).await, "ukasz_zoc_00");
}

#[tokio::test(start_paused = true)]
async fn f094_a_user_name_that_differs_by_case_alone_is_told_and_not_given() {
    let mut alice = request(1, "", "", &["Alice", "bob"]);
    alice.identity = Some("alice".into());
    let error = ask(&WaldurUsernames, &alice).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Duplicate);
    assert!(!error.to_string().contains("lice"));
    alice.identity = Some("alice2".into());
    assert_eq!(name(&WaldurUsernames, &alice).await, "alice2");
    alice.identity = Some("x".repeat(128).into());
    assert_eq!(name(&WaldurUsernames, &alice).await.len(), 100);
    alice.identity = None;
    assert_eq!(ask(&WaldurUsernames, &alice).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn sec28_nobody_becomes_root() {
    for word in ["root", "Root", "admin", "systemd-network"] {
        let mut crafted = request(1, "", "", &[]);
        crafted.identity = Some(word.into());
        let error = ask(&WaldurUsernames, &crafted).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Rejected, "{word}");
    }
    let backend = GeneratedUsernames::full_name(NameForm::Compat);
    assert_eq!(name(&backend, &request(1, "root", "", &[])).await, "root_00");
}

#[tokio::test(start_paused = true)]
async fn anonymized_names_begin_as_the_offering_says() {
    for (prefix, expected) in [(None, "walduruser_00000"), (Some("hpc_"), "hpc_00000")] {
        let (settings, _) = BackendSettings::from_value("backend_settings", &json!({})).unwrap();
        let connector = |_: &HttpOptions| Err(Error::unsupported("connecting"));
        let offering = OfferingUuid::new(Uuid::nil());
        let facts = OfferingFacts::default().anonymized_prefix(prefix.map(str::to_owned));
        let environment = BuildEnv::new("test", offering, settings, Components::default(), connector).with_facts(facts);
        for word in ["anonymized", "anonymized_compat"] {
            let (backend, _) = UsernameRegistry::default().build(word, &environment).unwrap();
            assert_eq!(name(backend.as_ref(), &request(1, "Ann", "Lee", &[])).await, expected, "{word}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_word_of_the_settings_chooses_and_an_unknown_one_names_nobody() {
    let (settings, _) = BackendSettings::from_value("backend_settings", &json!({})).unwrap();
    let connector = |_: &HttpOptions| Err(Error::unsupported("connecting"));
    let offering = OfferingUuid::new(Uuid::nil());
    let environment = BuildEnv::new("test", offering, settings, Components::default(), connector);
    let registry = UsernameRegistry::default().with("mine", |_| Ok(Arc::new(NoUsernames)));
    let ivan = request(1, "Иван", "Łoś", &[]);
    for (word, expected) in [
        ("base", None),
        ("mine", None),
        ("full_name", Some("ivan_los_00")),
        ("Full_Name_Compat ", Some("ivan_los_00")),
        ("anonymized", Some("walduruser_00000")),
        ("anonymized_compat", Some("walduruser_00000")),
        ("waldur_username", None),
    ] {
        let (backend, warnings) = registry.build(word, &environment).unwrap();
        assert!(warnings.is_empty(), "{word}");
        assert_eq!(ask(backend.as_ref(), &ivan).await.unwrap().as_deref(), expected, "{word}");
        if word != "mine" {
            assert_eq!(backend.name(), word.trim().to_lowercase());
        }
    }
    let (backend, warnings) = registry.build("ldapp", &environment).unwrap();
    assert_eq!(ask(backend.as_ref(), &ivan).await.unwrap(), None);
    let known = "anonymized, anonymized_compat, base, full_name, full_name_compat, mine, waldur_username";
    let expected = format!("username_management_backend: is not one of {known}: nobody gets a name");
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    assert!(format!("{registry:?}").contains("mine"));
}
