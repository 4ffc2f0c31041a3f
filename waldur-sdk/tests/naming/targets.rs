//! Names of things: what each system takes (usernames.md §5, faults 84, 159, 161, security S23, S28, S30).

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use waldur_sdk::{
    Error, ErrorKind, Result,
    naming::{
        Comparison, HarborGroupName, HarborProjectName, K8sLabelValue, K8sNamespace, K8sObjectName, KeycloakGroupName,
        KeycloakUsername, KeystoneProjectName, KeystoneUserName, OfferingUsername, PosixLogin, RancherProjectName,
        RgwUid, RobotAccountName, S3BucketName, ServerName,
    },
    types::{BackendId, Personal, ProjectUuid, ResourceUuid, Uuid},
};

use crate::UUID;

/// One type, seen from outside.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) max: usize,
    pub(crate) comparison: Comparison,
    /// Whether names are of ASCII and go into paths.
    pub(crate) is_path_safe: bool,
    pub(crate) new: fn(&str) -> Result<String>,
    pub(crate) lossy: fn(&str) -> String,
    pub(crate) derive: fn(&str) -> String,
    debug: fn(&str) -> String,
    from_json: fn(&str) -> std::result::Result<String, String>,
}

fn from_json<T: DeserializeOwned + AsRef<str>>(text: &str) -> std::result::Result<String, String> {
    let json = serde_json::to_string(text).unwrap();
    serde_json::from_str::<T>(&json).map(|name| name.as_ref().to_owned()).map_err(|error| error.to_string())
}

fn debug<T: Debug>(name: T) -> String {
    format!("{name:?}")
}

macro_rules! kinds {
    ($($name:ident $is_path_safe:literal),+ $(,)?) => {
        pub(crate) const KINDS: &[Kind] = &[$(Kind {
            name: stringify!($name),
            max: $name::MAX,
            comparison: $name::COMPARISON,
            is_path_safe: $is_path_safe,
            new: |text| $name::new(text).map($name::into_string),
            lossy: |text| $name::from_lossy(text).into_string(),
            derive: |text| $name::derive(text).into_string(),
            debug: |text| debug($name::from_lossy(text)),
            from_json: from_json::<$name>,
        }),+];
    };
}

kinds! {
    RgwUid true,
    S3BucketName true,
    HarborProjectName true,
    HarborGroupName false,
    KeycloakGroupName false,
    KeycloakUsername false,
    RancherProjectName false,
    K8sNamespace true,
    K8sLabelValue true,
    K8sObjectName true,
    KeystoneProjectName false,
    KeystoneUserName false,
    ServerName false,
    PosixLogin true,
    OfferingUsername false,
    RobotAccountName false,
}

fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap()
}

#[test]
fn each_system_takes_what_it_takes() {
    let long = |letter: &str, count| letter.repeat(count);
    let table: &[(&str, &[&str], &[&str])] = &[
        ("RgwUid", &["a", "A.b_c-D", "-", "_", "...", &long("x", 255)], &["", ".", "..", "a$b", "é", &long("x", 256)]),
        (
            "S3BucketName",
            &["abc", "a.b.c", "a--b", "1.2.3", "1.2.3.4.5", &long("x", 63)],
            &["ab", "Abc", "-ab", "ab-", "a..b", "a.-b", "1.2.3.4", "256.300.0.999", "a_b", &long("x", 64)],
        ),
        (
            "HarborProjectName",
            &["a", "12345", "a.b_c-d", &long("x", 255)],
            &["A", "a--b", "a._b", "-a", "a_", "library", "a/b", &long("x", 256)],
        ),
        ("HarborGroupName", &["/waldur X", "группа", &long("ü", 255)], &[" a", "a ", "a\nb", &long("ü", 256)]),
        ("KeycloakGroupName", &["a/b", "A", &long("x", 255)], &["", " ", &long("x", 256)]),
        ("KeycloakUsername", &["alice", "élise@x", "a b"], &["Alice", "É", "\u{130}"]),
        ("RancherProjectName", &["My project", &long("x", 63)], &["System", "default", "DEFAULT", &long("x", 64)]),
        (
            "K8sNamespace",
            &["a", "a--b", "0", "kube", "cattle", "defaults", &long("x", 63)],
            &["A", "a.b", "-a", "a-", "default", "local", "kube-system", "cattle-x", "fleet-x", &long("x", 64)],
        ),
        ("K8sLabelValue", &["A", "a__B..c", &long("x", 63)], &["_a", "a.", "a/b", "a b", &long("x", 64)]),
        ("K8sObjectName", &["a.b-c", "a--b", &long("x", 253)], &["a..b", "a.-b", "a-.b", ".a", "A", &long("x", 254)]),
        ("KeystoneProjectName", &["My project", &long("ü", 64)], &["admin", "Admin", "service", "  ", &long("ü", 65)]),
        ("KeystoneUserName", &["tenant_ab12", &long("x", 255)], &["admin", "nova", &long("x", 256)]),
        ("ServerName", &["web 1", &long("ü", 255)], &["", "a\0", &long("ü", 256)]),
        (
            "PosixLogin",
            &["a", "_svc", "john_doe-00", "rooter", &long("x", 32)],
            &["root", "Alice", "1a", "-a", "a.b", "a@b", "systemd-x", "admin", "nobody", "ä", &long("x", 33)],
        ),
        ("OfferingUsername", &["lz@uni.example", "00000", &long("x", 100)], &["", " a", &long("x", 101)]),
        ("RobotAccountName", &["ci", &long("x", 32)], &["", &long("x", 33)]),
    ];
    assert_eq!(table.len(), KINDS.len());
    for (name, good, bad) in table {
        let kind = kind(name);
        for text in *good {
            assert_eq!((kind.new)(text).as_deref().ok(), Some(*text), "{name} takes {text}");
            assert_eq!((kind.lossy)(text), *text, "{name} leaves {text} alone");
            let is_plain = kind.comparison.key(text) == *text;
            assert_eq!((kind.derive)(text) == *text, is_plain, "{name} and {text}");
            assert_eq!((kind.from_json)(text).as_deref(), Ok(*text));
        }
        for text in *bad {
            assert!((kind.new)(text).is_err(), "{name} refuses {text:?}");
            assert!((kind.from_json)(text).is_err(), "{name} refuses {text:?}");
            for made in [(kind.lossy)(text), (kind.derive)(text)] {
                assert_eq!((kind.new)(&made).as_deref().ok(), Some(made.as_str()), "{name}: {text:?} became {made}");
            }
        }
    }
}

#[test]
fn errors_tell_the_target_and_the_rule_and_not_the_text() {
    fn told<T: Debug>(result: Result<T>) -> String {
        let error: Error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.message().to_owned()
    }
    let table = [
        (told(RgwUid::new("a$b")), "uid: may only contain letters, digits and . _ -"),
        (told(RgwUid::new("..")), "uid: must not be a dot segment"),
        (told(RgwUid::new("")), "uid: must not be empty"),
        (told(S3BucketName::new("ab")), "bucket: must not be shorter than 3 characters"),
        (told(S3BucketName::new("1.2.3.4")), "bucket: must not look like an IP address"),
        (told(S3BucketName::new("a..b")), "bucket: must have a letter or digit on either side of each dot"),
        (told(HarborProjectName::new("library")), "Harbor project: is reserved"),
        (
            told(HarborProjectName::new("a--b")),
            "Harbor project: must have a letter or digit on either side of each of . _ -",
        ),
        (told(HarborGroupName::new(" a")), "Harbor group: must not begin or end with white space"),
        (told(KeycloakUsername::new("Alice")), "Keycloak username: must be in lower case"),
        (told(K8sNamespace::new("a.b")), "namespace: may only contain lower-case letters, digits and -"),
        (told(K8sNamespace::new("-a")), "namespace: must begin and end with a letter or digit"),
        (told(PosixLogin::new("1a")), "login: must begin with a lower-case letter or _"),
        (told(KeystoneProjectName::new("x".repeat(65))), "Keystone project: must not be longer than 64 characters"),
        (told(ServerName::new("a\u{202e}b")), "server name: must not contain control or other invisible characters"),
    ];
    for (message, expected) in table {
        assert_eq!(message, expected);
    }
    for kind in KINDS {
        let error = (kind.from_json)("Canary\u{202e}77 ").unwrap_err();
        assert!(!error.to_lowercase().contains("canary"), "{}: {error}", kind.name);
    }
}

#[test]
fn names_of_people_do_not_show_themselves() {
    for kind in KINDS {
        let is_personal = matches!(kind.name, "KeycloakUsername" | "PosixLogin" | "OfferingUsername");
        assert_eq!((kind.debug)("alice").contains("alice"), !is_personal, "{}", kind.name);
    }
    assert_eq!(Personal::from(PosixLogin::new("alice").unwrap()).as_str(), "alice");
}

#[test]
fn names_of_things_are_back_end_ids() {
    let name = HarborProjectName::new("waldur-x").unwrap();
    assert_eq!(format!("{name}"), "waldur-x");
    assert_eq!(BackendId::try_from(name).unwrap().as_str(), "waldur-x");
    let long = ServerName::new("ü".repeat(255)).unwrap();
    assert_eq!(BackendId::try_from(long).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn f084_what_cannot_be_seen_is_in_no_name() {
    for hidden in ["\0", "\n", "\r", "\t", "\u{1b}", "\u{7f}", "\u{85}", "\u{200b}", "\u{202e}", "\u{2066}", "\u{feff}"]
    {
        for kind in KINDS {
            for text in [format!("abc{hidden}def"), format!("{hidden}abc"), hidden.to_owned()] {
                assert!((kind.new)(&text).is_err(), "{} takes {text:?}", kind.name);
                for made in [(kind.lossy)(&text), (kind.derive)(&text)] {
                    assert!(!made.contains(hidden), "{}: {made:?}", kind.name);
                }
            }
        }
    }
}

#[test]
fn f159_no_slug_leaves_its_place_in_a_path() {
    let long = "x".repeat(300);
    for slug in ["../x", "a/b", "%2e%2e", "?", "#", "", "a?b", "a#b", "a\\b", "a%2fb", "..", ".", long.as_str()] {
        for kind in KINDS.iter().filter(|kind| kind.is_path_safe) {
            assert!((kind.new)(slug).is_err(), "{} takes {slug:?}", kind.name);
        }
    }
}

#[test]
fn f161_a_project_of_digits_is_known_for_what_it_is() {
    for (name, is_like_an_id) in [("12345", true), ("0", true), ("1a", false), ("1-2", false), ("waldur-1", false)] {
        assert_eq!(HarborProjectName::new(name).unwrap().is_like_an_id(), is_like_an_id, "{name}");
    }
}

#[test]
fn u18_an_empty_slug_falls_back_on_the_uuid() {
    let resource = ResourceUuid::new(UUID);
    for slug in ["", "-", "--", "日本", " "] {
        let harbor = HarborProjectName::for_resource("waldur-", slug, resource);
        assert_eq!(harbor.as_str(), "waldur-r-12345678", "{slug:?}");
        assert_eq!(HarborProjectName::for_resource("", slug, resource).as_str(), "r-12345678", "{slug:?}");
        let rancher = RancherProjectName::for_resource("waldur-", slug, resource);
        assert_eq!(rancher.as_str(), "waldur-resource-12345678", "{slug:?}");
        assert_eq!(RancherProjectName::for_resource("", slug, resource).as_str(), "resource-12345678", "{slug:?}");
    }
}

#[test]
fn u19_a_slug_with_two_hyphens_has_one_on_harbor() {
    let resource = ResourceUuid::new(UUID);
    for (slug, name) in [
        ("tallinn--1", "waldur-tallinn-1"),
        ("My__Proj--1", "waldur-my-proj-1"),
        ("-1", "waldur-1"),
        ("a__b-c", "waldur-a-b-c"),
        ("a_b.c", "waldur-a_b.c"),
        ("proj-", "waldur-proj"),
    ] {
        assert_eq!(HarborProjectName::for_resource("waldur-", slug, resource).as_str(), name);
    }
}

#[test]
fn sec28_reserved_names_are_refused_and_never_made() {
    let reserved = [
        ("HarborProjectName", "library"),
        ("RancherProjectName", "System"),
        ("K8sNamespace", "kube-public"),
        ("K8sNamespace", "cattle-system"),
        ("K8sNamespace", "fleet-default"),
        ("K8sNamespace", "cluster-fleet-default"),
        ("KeystoneProjectName", "admin"),
        ("KeystoneUserName", "admin"),
        ("PosixLogin", "admin"),
        ("PosixLogin", "system"),
    ];
    for (name, text) in reserved {
        let kind = kind(name);
        assert!((kind.new)(text).unwrap_err().message().ends_with("is reserved"), "{name} {text}");
        for made in [(kind.lossy)(text), (kind.derive)(text), (kind.lossy)(&format!("{text}\0"))] {
            assert!(made.starts_with("r-") && (kind.new)(&made).is_ok(), "{name}: {text} became {made}");
        }
    }
    // `kube` is no reserved name, and with a hash it would be one.
    assert!((kind("K8sNamespace").derive)("Kube").starts_with("r-kube-"));
    assert!(PosixLogin::is_of_the_system("Root") && !PosixLogin::is_of_the_system("rooter"));
}

#[test]
fn sec28_no_text_takes_the_derived_name_of_another() {
    for kind in KINDS {
        // The name that `A//b` gets is not given to whoever asks for it by name.
        let of_another = (kind.derive)("\0A//b");
        assert_ne!((kind.derive)(&of_another), of_another, "{}", kind.name);
        assert!((kind.new)(&of_another).is_ok());
    }
    assert_ne!(HarborProjectName::derive("a--b"), HarborProjectName::derive("a__b"));
    assert_eq!(HarborProjectName::from_lossy("a--b"), HarborProjectName::from_lossy("a__b"));
}

#[test]
fn sec30_group_names_are_made_of_uuids_and_equal_only_themselves() {
    let (one, two) = (ProjectUuid::new(UUID), ProjectUuid::new(Uuid::from_u128(UUID.as_u128() + 1)));
    let name = |project, role| KeycloakGroupName::of_project(project, role).unwrap();
    assert_eq!(name(one, "project-member").as_str(), "project_123456789abcdef0123456789abcdef0_project-member");
    assert_eq!(KeycloakGroupName::of_cluster(UUID).as_str(), "c_123456789abcdef0123456789abcdef0");
    assert_ne!(name(one, "project-member"), name(two, "project-member"));
    assert_ne!(name(one, "member"), name(one, "Member"));
    assert!(KeycloakGroupName::of_project(one, &"x".repeat(255)).is_err());
    assert!(KeycloakGroupName::of_project(one, "a\u{202e}b").is_err());
    // A slash in a name is no step in a path.
    assert_eq!(KeycloakGroupName::new("a/b").unwrap().path_segment(), "a~/b");

    let wanted = HarborGroupName::new("waldur-test-project").unwrap();
    for look_alike in ["waldur-test-project-2", "Waldur-test-project", "wаldur-test-project", "/waldur-test-project"] {
        assert_ne!(HarborGroupName::new(look_alike).unwrap(), wanted);
        assert!(!HarborGroupName::COMPARISON.is_same(look_alike, wanted.as_str()));
    }
}

#[test]
fn sec23_names_of_ascii_are_whole_segments() {
    let crafted = ["..", ".", "a/../b", "%2e%2e%2f", "x;y", "a b", "../../v2", "a%00b", "x$y", "uid=1&purge=true"];
    for kind in KINDS.iter().filter(|kind| kind.is_path_safe) {
        for text in crafted {
            for name in [(kind.lossy)(text), (kind.derive)(text)] {
                assert!(is_segment(&name), "{}: {text} became {name}", kind.name);
            }
        }
    }
}

/// Whether a text is the same in a path, however often it is encoded or decoded.
pub(crate) fn is_segment(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(is_unreserved)
}
