//! What holds for every text.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::RngSeed};
use waldur_sdk::{
    naming::{
        NameForm, OfferingUsername, Person, PosixLogin, anonymized, fit, full_name, ldap_normalize, posix_sanitize,
        slug_2024, slug_2025, transliterate, waldur_username,
    },
    types::Uuid,
};

use crate::targets::{KINDS, is_segment};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(28), ..ProptestConfig::default() }
}

/// Texts of every sort, and more of those that are nearly names.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[A-Za-z0-9._/ -]{0,40}",
        "[a-c._-]{0,6}",
        "[a-zé]{60,300}",
        "(kube|cattle|fleet|library|admin|system|root|default|r)(-[a-f0-9]{8})?[-._]?",
        "[0-9.]{1,15}",
    ]
}

/// Names of few people, so that many are the same.
fn person() -> impl Strategy<Value = (String, String)> {
    let part = prop_oneof![
        3 => "[JjÖö][oó]?",
        1 => "(李|Иван|ß|Ł|-| |1)?",
        1 => "[a-z]{30,40}",
        1 => any::<String>(),
    ];
    (part.clone(), part)
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn sec28_whatever_the_text_the_name_is_valid_and_made_once(text in text()) {
        for kind in KINDS {
            let (lossy, derived) = ((kind.lossy)(&text), (kind.derive)(&text));
            for name in [&lossy, &derived] {
                prop_assert!((kind.new)(name).is_ok(), "{}: {name:?}", kind.name);
                prop_assert!(name.chars().count() <= kind.max);
                prop_assert!(!kind.is_path_safe || is_segment(name), "{}: {name:?}", kind.name);
            }
            prop_assert_eq!((kind.lossy)(&lossy), lossy.as_str(), "{}: idempotent", kind.name);
            prop_assert_eq!((kind.lossy)(&derived), derived.as_str(), "{}: idempotent", kind.name);
            prop_assert_eq!((kind.derive)(&text), derived, "{}: deterministic", kind.name);
            if (kind.new)(&text).is_ok() {
                prop_assert_eq!(&lossy, &text, "{}: a name stays itself", kind.name);
            }
        }
    }

    #[test]
    fn sec28_different_texts_derive_different_names(texts in prop::collection::btree_set(text(), 2..12)) {
        for kind in KINDS {
            let mut seen = BTreeMap::new();
            // Also the derived names, asked for by name.
            let again: Vec<String> = texts.iter().map(|text| (kind.derive)(text)).collect();
            for text in texts.iter().chain(&again).collect::<BTreeSet<_>>() {
                // What the target takes for the same is the same.
                let name = (kind.derive)(text);
                if let Some(other) = seen.insert(kind.comparison.key(&name).into_owned(), text) {
                    prop_assert!(false, "{}: {other:?} and {text:?}", kind.name);
                }
            }
        }
    }

    #[test]
    fn sec28_texts_that_differ_by_case_or_normal_form_derive_different_names(text in "[A-Za-zàÀéÉßİ\u{300}\u{301} ]{1,40}") {
        let others = [text.to_lowercase(), text.to_uppercase(), text.replace('é', "e\u{301}"), text.replace('à', "a\u{300}")];
        let texts: BTreeSet<&str> = others.iter().map(String::as_str).chain([text.as_str()]).collect();
        for kind in KINDS {
            let names: BTreeSet<_> =
                texts.iter().map(|text| kind.comparison.key(&(kind.derive)(text)).into_owned()).collect();
            prop_assert_eq!(names.len(), texts.len(), "{}: {:?} became {:?}", kind.name, &texts, names);
        }
    }

    #[test]
    fn u10_names_within_an_offering_never_collide(
        people in prop::collection::vec(person(), 1..24),
        mut taken in prop::collection::btree_set("[Jj]o?_[Jjo]{1,2}_[0-9]{1,3}|j_j_999999999", 0..4),
        prefix in prop_oneof![Just("walduruser_".to_owned()), "[a-c_]{0,3}", any::<String>()],
    ) {
        for form in [NameForm::Recommended, NameForm::Compat] {
            for (at, (first, last)) in (1_u128..).zip(&people) {
                let person = Person::named(Uuid::from_u128(at << 96), first, last);
                let names = [
                    full_name(&person, form, taken.iter().map(String::as_str)),
                    anonymized(Some(&prefix), form, taken.iter().map(String::as_str)),
                ];
                for name in names {
                    let name = name.into_string();
                    prop_assert!(OfferingUsername::new(name.as_str()).is_ok());
                    if form == NameForm::Recommended {
                        prop_assert!(PosixLogin::new(name.as_str()).is_ok(), "{name:?}");
                    }
                    prop_assert!(!taken.iter().any(|taken| taken.eq_ignore_ascii_case(&name)), "{name:?}");
                    taken.insert(name);
                }
            }
        }
    }

    #[test]
    fn functions_of_text_are_total(text in text(), max in 0_usize..120, digits in 0_usize..80) {
        let latin = transliterate(&text);
        prop_assert!(latin.is_ascii() && !latin.contains(|c: char| c.is_ascii_uppercase()));
        prop_assert_eq!(transliterate(&latin), latin.as_str());

        let short = fit(&text, max, digits);
        prop_assert!(short.chars().count() <= max);
        prop_assert_eq!(fit(&short, max, digits), short.as_ref());

        prop_assert!(ldap_normalize(&text).chars().all(|c| c.is_ascii_alphanumeric()));
        let login = posix_sanitize(&text);
        prop_assert!(login.len() <= 32 && login.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c)));
        prop_assert_eq!(posix_sanitize(&login), login.as_str());

        let name = waldur_username(&text);
        prop_assert_eq!(name.is_none(), text.trim().is_empty());
    }

    #[test]
    fn slugs_are_slugs_and_new(name in text(), existing in prop::collection::btree_set("[a-c]{0,3}(-[0-9]{1,2})?", 0..8)) {
        let is_slug = |slug: &str| slug.len() <= 50 && slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        for slug in [slug_2024(&name, existing.iter().map(String::as_str)), slug_2025(&name, existing.iter().map(String::as_str))] {
            prop_assert!(is_slug(&slug), "{slug:?}");
            prop_assert!(!existing.contains(&slug), "{slug:?}");
        }
    }

    #[test]
    fn systems_take_what_their_own_rules_describe(
        project in "[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,6}",
        label in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        object in "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,4}",
        login in "[a-z_][a-z0-9_-]{0,31}",
        uid in "[A-Za-z0-9._-]{1,255}",
    ) {
        use waldur_sdk::naming::{HarborProjectName, K8sNamespace, K8sObjectName, RgwUid};
        prop_assert_eq!(HarborProjectName::new(project.as_str()).is_ok(), project != "library");
        let reserved = ["kube-", "cattle-", "fleet-", "cluster-fleet-"];
        let is_reserved = reserved.iter().any(|start| label.starts_with(start)) || label == "default" || label == "local";
        prop_assert_eq!(K8sNamespace::new(label.as_str()).is_ok(), !is_reserved);
        prop_assert!(K8sObjectName::new(object).is_ok());
        prop_assert_eq!(PosixLogin::new(login.as_str()).is_ok(), !PosixLogin::is_of_the_system(&login));
        prop_assert_eq!(RgwUid::new(uid.as_str()).is_ok(), uid != "." && uid != "..");
    }
}
