//! User names at an offering beyond the vectors (usernames.md §7, faults 94).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waldur_sdk::{
    naming::{
        Comparison, HASH_DIGITS, KeycloakUsername, NameForm, NamedBy, OfferingUsername, Person, PosixLogin, RgwUid,
        UsernameGenerationPolicy, UsernameOptions, anonymized, fit, full_name, identity_claim, transliterate,
        waldur_username,
    },
    types::JsonObject,
};

use crate::UUID;

const BOTH: [NameForm; 2] = [NameForm::Recommended, NameForm::Compat];

fn object(tree: Value) -> JsonObject {
    serde_json::from_value(tree).unwrap()
}

fn recommended(first: &str, last: &str, taken: &[&str]) -> String {
    full_name(&Person::named(UUID, first, last), NameForm::Recommended, taken.iter().copied()).into_string()
}

#[test]
fn u11_somebody_with_a_longer_name_is_not_counted() {
    assert_eq!(recommended("John", "Doe", &["john_doerr_04", "xjohn_doe_09", "john_doe_09x"]), "john_doe_00");
}

#[test]
fn u12_latin_letters_without_decomposition_are_transliterated_but_for_compat() {
    assert_eq!(recommended("Łukasz", "Żółć", &[]), "lukasz_zolc_00");
    let compat = full_name(&Person::named(UUID, "Łukasz", "Żółć"), NameForm::Compat, []);
    assert_eq!(compat.as_str(), "ukasz_zoc_00");
}

#[test]
fn u13_cyrillic_and_greek_are_transliterated() {
    for (first, last, name) in [
        ("Иван", "Петров", "ivan_petrov_00"),
        ("Олександр", "Ковальчук", "oleksandr_kovalchuk_00"),
        ("Анна", "Щёголева", "anna_shchegoleva_00"),
        ("Ђорђе", "Џамбазов", "djordje_dzambazov_00"),
        ("Γιώργος", "Παπαδόπουλος", "giorgos_papadopoulos_00"),
        ("Þórður", "Æðelstan", "thordur_aedelstan_00"),
        ("Nguyễn", "Đức", "nguyen_duc_00"),
        ("Iñigo", "Ĳsbrand", "inigo_ijsbrand_00"),
    ] {
        assert_eq!(recommended(first, last, &[]), name);
    }
}

#[test]
fn u14_nobody_is_named_after_nothing() {
    for (first, last) in [("", ""), (" ", "\t"), ("--", "''"), ("李", "明"), ("\u{202e}", "\0")] {
        for form in BOTH {
            let name = full_name(&Person::named(UUID, first, last), form, []);
            assert_eq!(name.as_str(), "user_12345678", "{form:?}");
        }
    }
    // Two UUIDs that begin alike.
    assert_eq!(recommended("", "", &["User_12345678"]), "user_12345678_00");
}

#[test]
fn u15_the_hundredth_and_those_after_it() {
    let mut taken: Vec<String> = (0..100).map(|number| format!("john_doe_{number:02}")).collect();
    for expected in ["john_doe_100", "john_doe_101", "john_doe_102"] {
        for form in BOTH {
            let person = Person::named(UUID, "John", "Doe");
            let name = full_name(&person, form, taken.iter().map(String::as_str));
            assert_eq!(name.as_str(), expected, "{form:?}");
        }
        taken.push(expected.to_owned());
    }
}

#[test]
fn numbers_that_are_something_else_do_not_run_away() {
    // A telephone number behind a name is no counter; a taken last number sends to the first free one.
    assert_eq!(recommended("John", "Doe", &["john_doe_3725551234567"]), "john_doe_00");
    assert_eq!(recommended("John", "Doe", &["john_doe_999999999", "john_doe_00", "john_doe_1"]), "john_doe_02");
    assert_eq!(recommended("John", "Doe", &["john_doe_0000000000000000000000007"]), "john_doe_08");
    assert_eq!(recommended("John", "Doe", &["john_doe_", "john_doe_-1", "john_doe_+2", "john_doe_٣"]), "john_doe_00");
}

#[test]
fn a_name_that_begins_with_a_digit_gets_a_letter() {
    assert_eq!(recommended("3rd", "John", &[]), "u3rd_john_00");
    let name = anonymized(Some("3-hpc."), NameForm::Recommended, []);
    assert_eq!(name.as_str(), "u3-hpc_00000");
}

#[test]
fn u20_a_claim_that_is_absent_gives_no_name() {
    for details in [json!({}), json!({ "site_username": null }), json!({ "site_username": " " })] {
        assert_eq!(identity_claim(&object(details)), None);
    }
    let details = object(json!({ "site_username": "jdoe" }));
    assert_eq!(identity_claim(&details).unwrap().as_str(), "jdoe");
    let mut person = Person::named(UUID, "John", "Doe");
    let options = UsernameOptions::read(&object(json!({})), &object(json!({})));
    for policy in ["identity_claim", "freeipa", "waldur_username", "service_provider", "moon_phase"] {
        for form in BOTH {
            let policy = UsernameGenerationPolicy::from(policy);
            assert_eq!(policy.username(&person, &options, form, []), None, "{policy}");
        }
    }
    person.details = Some(&details);
    let name = UsernameGenerationPolicy::IdentityClaim.username(&person, &options, NameForm::Compat, ["jdoe"]);
    assert_eq!(name.unwrap().as_str(), "jdoe");
    assert!(!format!("{person:?}").contains("John"));
}

#[test]
fn u21_the_permission_is_read_from_either_place() {
    const FLAG: &str = "service_provider_can_create_offering_user";
    let yes = json!({ FLAG: true });
    let table = [
        (json!({}), json!({}), NamedBy::Nobody),
        (yes.clone(), json!({}), NamedBy::Provider),
        (json!({}), yes.clone(), NamedBy::Provider),
        (json!({ FLAG: null }), yes.clone(), NamedBy::Provider),
        (json!({ FLAG: false }), yes.clone(), NamedBy::Nobody),
        (json!({ FLAG: "true" }), json!({}), NamedBy::Provider),
        (json!({ FLAG: "perhaps" }), json!({ FLAG: [1] }), NamedBy::Nobody),
        (json!({ FLAG: true, "username_generation_policy": "full_name" }), json!({}), NamedBy::Waldur),
        (json!({ "username_generation_policy": "moon_phase" }), yes.clone(), NamedBy::Waldur),
        (json!({ "username_generation_policy": null }), yes, NamedBy::Provider),
    ];
    for (plugin, secret, expected) in table {
        let shown = plugin.to_string();
        let options = UsernameOptions::read(&object(plugin), &object(secret));
        assert_eq!(options.named_by(), expected, "{shown}");
    }
    let options = UsernameOptions::read(&object(json!({ "username_anonymized_prefix": "hpc_" })), &object(json!({})));
    let policy = UsernameGenerationPolicy::Anonymized;
    let name = policy.username(&Person::new(UUID), &options, NameForm::Recommended, ["HPC_00041"]);
    assert_eq!(name.unwrap().as_str(), "hpc_00042");
}

#[test]
fn u22_names_beyond_a_hundred_characters_are_cut_and_stay_apart() {
    let long = |end: &str| format!("{}{end}", "a".repeat(127));
    let (one, two) = (waldur_username(&long("1")).unwrap(), waldur_username(&long("2")).unwrap());
    assert_ne!(one, two);
    for name in [&one, &two] {
        assert_eq!(name.as_str().len(), OfferingUsername::MAX);
        assert!(name.as_str().starts_with(&"a".repeat(91)));
    }
    assert_eq!(one.as_str(), fit(&long("1"), 100, HASH_DIGITS));
    let hundred = "a".repeat(100);
    assert_eq!(waldur_username(&hundred).unwrap().as_str(), hundred, "what fits stays");
    let person = Person::named(UUID, &hundred, &hundred);
    for form in BOTH {
        let name = full_name(&person, form, []);
        assert!(name.as_str().len() <= 100 && name.as_str().ends_with("_00"), "{form:?}");
    }
}

#[test]
fn u22_fit_counts_characters_and_never_exceeds() {
    assert_eq!(fit("ääää", 4, 8), "ääää");
    assert_eq!(fit(&"ä".repeat(20), 16, 4).chars().count(), 16);
    for max in 0..80 {
        for hash_len in [0, 1, 8, 64, 1000] {
            let name = "x".repeat(100);
            let short = fit(&name, max, hash_len);
            assert!(short.len() <= max, "{max} {hash_len}");
            assert_eq!(fit(&short, max, hash_len), short);
        }
    }
}

#[test]
fn u23_logins_beyond_32_characters_are_cut_and_stay_unique() {
    let (first, last) = ("Maximilian-Alexander", "von Hohenlohe-Waldenburg-Schillingsfürst");
    let mut taken = BTreeSet::new();
    for _ in 0..1100 {
        let person = Person::named(UUID, first, last);
        let name = full_name(&person, NameForm::Recommended, taken.iter().map(String::as_str)).into_string();
        assert!(PosixLogin::new(name.as_str()).is_ok());
        assert!(taken.insert(name));
    }
    assert!(taken.contains("maximilian_alexander_von_hoh_00"));
    assert!(taken.contains("maximilian_alexander_von_hoh_999"));
    // One digit more has one character of the name less, and counts anew there.
    assert!(taken.contains("maximilian_alexander_von_ho_00"));
    assert!(PosixLogin::derive("maximilian_alexander_von_hohenlohe_1").as_str().len() <= 32);
    assert_ne!(
        PosixLogin::derive("maximilian_alexander_von_hohenlohe_1"),
        PosixLogin::derive("maximilian_alexander_von_hohenlohe_2"),
    );
}

#[test]
fn f094_a_name_is_the_same_in_every_normal_form() {
    // One letter and a mark, or one letter with its mark; ligatures; wide letters.
    let same = [
        ("Jose\u{301}", "José"),
        ("И\u{306}", "Й"),
        ("ﬁ", "fi"),
        ("Ｊｏｈｎ", "John"),
        ("ο\u{3c5}\u{308}", "οϋ"),
        ("ο\u{3c5}\u{301}", "ού"),
    ];
    for (left, right) in same {
        assert_eq!(transliterate(left), transliterate(right));
        assert_eq!(recommended(left, "X", &[]), recommended(right, "X", &[]));
    }
}

#[test]
fn f094_names_are_compared_by_the_rule_of_the_system_and_collisions_are_told() {
    let names = ["alice", "Alice", "bob", "jose\u{301}", "josé", "JOSÉ", "alice"];
    let folded = Comparison::IgnoreCase.collisions(names);
    assert_eq!(folded, [vec!["Alice", "alice"], vec!["JOSÉ", "jose\u{301}", "josé"]]);
    assert!(Comparison::Exact.collisions(names).is_empty());
    assert!(KeycloakUsername::COMPARISON.is_same("Alice", "alice"));
    assert!(!RgwUid::COMPARISON.is_same("Alice", "alice"));
    // A Cyrillic а is another letter, whatever it looks like.
    assert!(!Comparison::IgnoreCase.is_same("аlice", "alice"));
}

#[test]
fn the_permission_to_name_people_may_be_a_word_or_a_number() {
    const FLAG: &str = "service_provider_can_create_offering_user";
    let named_by = |flag: Value| UsernameOptions::read(&object(json!({ FLAG: flag })), &JsonObject::new()).named_by();
    for yes in [json!(true), json!("true"), json!("True"), json!(1), json!("1")] {
        assert_eq!(named_by(yes.clone()), NamedBy::Provider, "{yes}");
    }
    for no in [json!(false), json!("false"), json!(0), json!(7), json!(["true"]), Value::Null] {
        assert_eq!(named_by(no.clone()), NamedBy::Nobody, "{no}");
    }
    // What makes no sense in the one place is no answer; the other one counts.
    let old = object(json!({ FLAG: "1" }));
    assert_eq!(UsernameOptions::read(&object(json!({ FLAG: "perhaps" })), &old).named_by(), NamedBy::Provider);
    assert_eq!(UsernameOptions::read(&object(json!({ FLAG: "false" })), &old).named_by(), NamedBy::Nobody);
}
