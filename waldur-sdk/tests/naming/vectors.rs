//! The vectors of usernames.md §6, by number. Where Waldur's own answer is a defect, ours is given beside it.

use waldur_sdk::naming::{
    NameForm, Person, PosixLogin, anonymized, full_name, ldap_normalize, posix_sanitize, slug_2024, slug_2025,
};

use crate::UUID;

/// What Waldur answers.
enum Upstream {
    /// The same as our `compat`.
    Same,
    /// A defect that is not reproduced: this answer, or this error.
    Defect(&'static str),
}
use Upstream::{Defect, Same};

struct FullName {
    number: u32,
    first: &'static str,
    last: &'static str,
    existing: &'static [&'static str],
    upstream: Upstream,
    compat: &'static str,
    recommended: &'static str,
}

const fn name(
    number: u32,
    (first, last): (&'static str, &'static str),
    existing: &'static [&'static str],
    upstream: Upstream,
    compat: &'static str,
    recommended: &'static str,
) -> FullName {
    FullName { number, first, last, existing, upstream, compat, recommended }
}

const DOE: (&str, &str) = ("John", "Doe");
const ERROR: &str = "ValueError";

const FULL_NAMES: &[FullName] = &[
    name(1, DOE, &[], Same, "john_doe_00", "john_doe_00"),
    name(2, DOE, &["john_doe_00"], Same, "john_doe_01", "john_doe_01"),
    name(3, DOE, &["john_doe_00", "john_doe_07"], Same, "john_doe_08", "john_doe_08"),
    name(4, ("  John ", "  van  der Berg "), &[], Same, "john_van_der_berg_00", "john_van_der_berg_00"),
    name(5, ("José", "García"), &[], Same, "jose_garcia_00", "jose_garcia_00"),
    name(6, ("Łukasz", "Żółć"), &[], Same, "ukasz_zoc_00", "lukasz_zolc_00"),
    name(7, ("Jürgen", "Groß"), &[], Same, "jurgen_gro_00", "jurgen_gross_00"),
    name(8, ("Søren", "Ørsted"), &[], Same, "sren_rsted_00", "soren_orsted_00"),
    name(9, ("Иван", "Петров"), &[], Defect("__00"), "ivan_petrov_00", "ivan_petrov_00"),
    name(10, ("李", "明"), &[], Defect("__00"), "user_12345678", "user_12345678"),
    name(11, ("Anne-Marie", "O'Neil"), &[], Same, "annemarie_oneil_00", "anne_marie_o_neil_00"),
    name(12, ("", "Doe"), &[], Defect("_doe_00"), "doe_00", "doe_00"),
    name(13, ("John", ""), &[], Defect("john__00"), "john_00", "john_00"),
    name(14, ("", ""), &[], Defect("__00"), "user_12345678", "user_12345678"),
    name(15, ("JOHN", "DOE"), &[], Same, "john_doe_00", "john_doe_00"),
    name(16, DOE, &["john_doerr_04"], Defect("john_doe_05"), "john_doe_00", "john_doe_00"),
    name(17, DOE, &["john_doe_admin"], Defect(ERROR), "john_doe_00", "john_doe_00"),
    name(18, DOE, &["john_doe_99"], Same, "john_doe_100", "john_doe_100"),
    name(19, DOE, &["john_doe_100", "john_doe_99"], Defect("john_doe_100"), "john_doe_101", "john_doe_101"),
    name(20, DOE, &["john_doe_100"], Defect("john_doe_01"), "john_doe_101", "john_doe_101"),
    name(21, DOE, &["JOHN_DOE_03"], Same, "john_doe_04", "john_doe_04"),
    name(22, ("J.R.", "Tolkien"), &[], Same, "jr_tolkien_00", "j_r_tolkien_00"),
    name(23, ("Ægir", "Þór"), &[], Same, "gir_or_00", "aegir_thor_00"),
    name(24, ("İbrahim", "Şahin"), &[], Same, "ibrahim_sahin_00", "ibrahim_sahin_00"),
    name(25, ("ﬁona", "O’Hara"), &[], Same, "fiona_ohara_00", "fiona_o_hara_00"),
    name(26, ("John", "Doe (ext)"), &[], Same, "john_doe_ext_00", "john_doe_ext_00"),
];

/// The vectors 1 to 26 as the specification prints Waldur's answers.
const PRINTED: [&str; 26] = [
    "john_doe_00",
    "john_doe_01",
    "john_doe_08",
    "john_van_der_berg_00",
    "jose_garcia_00",
    "ukasz_zoc_00",
    "jurgen_gro_00",
    "sren_rsted_00",
    "__00",
    "__00",
    "annemarie_oneil_00",
    "_doe_00",
    "john__00",
    "__00",
    "john_doe_00",
    "john_doe_05",
    ERROR,
    "john_doe_100",
    "john_doe_100",
    "john_doe_01",
    "john_doe_04",
    "jr_tolkien_00",
    "gir_or_00",
    "ibrahim_sahin_00",
    "fiona_ohara_00",
    "john_doe_ext_00",
];

#[test]
fn vectors_1_to_26_full_names() {
    for (row, printed) in FULL_NAMES.iter().zip(PRINTED) {
        let FullName { number, first, last, existing, .. } = row;
        let make = |form| {
            let taken = existing.iter().copied();
            full_name(&Person::named(UUID, first, last), form, taken).into_string()
        };
        assert_eq!(make(NameForm::Compat), row.compat, "vector {number}, compat");
        assert_eq!(make(NameForm::Recommended), row.recommended, "vector {number}, recommended");
        assert!(PosixLogin::new(row.recommended).is_ok(), "vector {number}: the recommended name is a login");
        match row.upstream {
            Same => assert_eq!(row.compat, printed, "vector {number}: Waldur's own answer"),
            Defect(answer) => {
                assert_eq!(answer, printed, "vector {number}: the defect as it is printed");
                assert_ne!(row.compat, answer, "vector {number}: a defect is not reproduced");
            }
        }
    }
    assert!(FULL_NAMES.iter().map(|row| row.number).eq(1..=26));
}

/// Computed with the Python of usernames.md §2, for what tells Unicode's libraries apart.
#[test]
fn compat_is_waldurs_answer_letter_by_letter() {
    for (first, last, name) in [
        ("- John", "Doe", "_john_doe_00"),
        ("Ⓐnna", "🄱eta", "nna_eta_00"),
        ("½", "Ⅳ", "12_iv_00"),
        ("a\u{1d}b", "c\u{a0}d", "a_b_c_d_00"),
        ("𝐉ohn", "Ｄoe", "John_doe_00"),
        ("K. O'", "ǅon", "k_o_dzon_00"),
        ("ſmith", "ΣΑΣx", "smith_x_00"),
        ("J_", "_D", "j___d_00"),
    ] {
        let made = full_name(&Person::named(UUID, first, last), NameForm::Compat, []);
        assert_eq!(made.as_str(), name, "{first:?} {last:?}");
    }
    // A part without a letter or digit is a defect, also where something is left of it.
    let made = full_name(&Person::named(UUID, "_", "Doe"), NameForm::Compat, []);
    assert_eq!(made.as_str(), "doe_00");
}

#[test]
fn vectors_27_to_36_anonymized() {
    type Row = (u32, Option<&'static str>, &'static [&'static str], Upstream, &'static str, &'static str);
    let table: [Row; 10] = [
        (27, None, &[], Same, "walduruser_00000", "walduruser_00000"),
        (28, None, &["walduruser_00000"], Same, "walduruser_00001", "walduruser_00001"),
        (29, Some("anonym_"), &["anonym_00001"], Same, "anonym_00002", "anonym_00002"),
        (30, Some("anonym"), &[], Same, "anonym00000", "anonym00000"),
        (31, Some("a_"), &["a_00009", "a_00010"], Same, "a_00011", "a_00011"),
        (32, Some("u"), &["user_one"], Defect(ERROR), "u00000", "u00000"),
        (33, Some("x_"), &["x_99999"], Same, "x_100000", "x_100000"),
        (34, Some("x_"), &["x_100000", "x_99999"], Defect("x_100000"), "x_100001", "x_100001"),
        (35, Some("P_"), &["p_00004"], Same, "P_00005", "p_00005"),
        (36, Some(""), &[], Same, "00000", "walduruser_00000"),
    ];
    for (number, prefix, existing, upstream, compat, recommended) in table {
        let make = |form| anonymized(prefix, form, existing.iter().copied()).into_string();
        assert_eq!(make(NameForm::Compat), compat, "vector {number}, compat");
        assert_eq!(make(NameForm::Recommended), recommended, "vector {number}, recommended");
        assert!(PosixLogin::new(recommended).is_ok(), "vector {number}: the recommended name is a login");
        if let Defect(answer) = upstream {
            assert_ne!(compat, answer, "vector {number}: a defect is not reproduced");
        }
    }
}

#[test]
fn vectors_37_to_60_slugs() {
    // The name, the slugs that there are, the number of the vector of 2025 and its slug, the slug of 2024 (one further).
    type Row = (u32, &'static str, &'static [&'static str], &'static str, &'static str);
    let table: [Row; 12] = [
        (37, "My Organization", &[], "my-organiz", "my-organ-1"),
        (39, "My Organization", &["my-organi"], "my-organiz", "my-organ-1"),
        (41, "My Organization", &["my-organi", "my-organi-2"], "my-organiz", "my-organ-3"),
        (43, "abcdefghi jkl", &[], "abcdefghi", "abcdefgh-1"),
        (45, "Tallinn University of Technology", &[], "tallinn-un", "tallinn--1"),
        (47, "Ülikool", &[], "ulikool", "ulikool-1"),
        (49, "日本", &[], "", "-1"),
        (51, "a__b  c", &[], "a__b-c", "a__b-c-1"),
        (53, "--x--", &[], "x", "x-1"),
        (55, "42", &["42"], "42-2", "42-43"),
        (57, "proj", &["proj", "proj-2x", "project-9"], "proj-10", "proj-10"),
        (59, "My Project", &["my-proj-1"], "my-project", "my-proje-1"),
    ];
    for (number, name, existing, of_2025, of_2024) in table {
        assert_eq!(slug_2025(name, existing.iter().copied()), of_2025, "vector {number}");
        assert_eq!(slug_2024(name, existing.iter().copied()), of_2024, "vector {}", number + 1);
    }
}

#[test]
fn slugs_of_2025_count_on() {
    let table: [(&str, &[&str], &str); 6] = [
        ("test", &["test", "test-2", "test-3", "test-5"], "test-6"),
        ("project", &["project", "project-abc", "project-xyz", "project-2"], "project-3"),
        ("My Complex Project", &["my-complex", "my-complex-2"], "my-complex-3"),
        ("example", &["example"], "example-2"),
        ("zero", &["zero", "zero-0"], "zero-2"),
        // Digits that no hyphen sets apart are no number.
        ("node", &["node", "node7"], "node-2"),
    ];
    for (name, existing, slug) in table {
        assert_eq!(slug_2025(name, existing.iter().copied()), slug, "{name}");
    }
}

#[test]
fn vectors_61_to_65_ldap_normalize() {
    let table = [
        (61, "José María", "JoseMaria"),
        (62, "Łukasz", "ukasz"),
        (63, "Groß", "Gro"),
        (64, "O'Neil-Smith", "ONeilSmith"),
        (65, "Иван", ""),
    ];
    for (number, name, expected) in table {
        assert_eq!(ldap_normalize(name), expected, "vector {number}");
    }
}

#[test]
fn vectors_66_to_73_posix_sanitize() {
    let table = [
        (66, "Jane.Doe@example.org", "jane.doeexample.org"),
        (67, "123abc", "abc"),
        (68, "_svc", "_svc"),
        (69, "-x-y", "x-y"),
        (70, "user+tag", "usertag"),
        (71, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        (72, "ÅSA", "asa"),
        (73, "1234", ""),
    ];
    for (number, text, expected) in table {
        assert_eq!(posix_sanitize(text), expected, "vector {number}");
    }
}
