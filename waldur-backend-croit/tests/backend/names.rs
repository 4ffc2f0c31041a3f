//! The names of new users (s3.md §2).

use proptest::prelude::*;
use waldur_backend_croit::{
    names::{Naming, SeedNaming, clean},
    radosgw::Uid,
};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{Candidate, Collision, MarketplaceResource},
    types::{OfferingUuid, ResourceUuid, Uuid},
};

fn resource(customer: &str, project: &str) -> MarketplaceResource {
    let uuid = ResourceUuid::new(Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0));
    let mut resource = MarketplaceResource::new(uuid, OfferingUuid::new(Uuid::nil()), "My bucket", "my-bucket");
    customer.clone_into(&mut resource.customer.slug);
    project.clone_into(&mut resource.project.slug);
    resource
}

/// What a vector of the table varies: prefix, separator, maximum.
struct Rule(&'static str, &'static str, usize);

const DEFAULT: Rule = Rule("waldur_", "_", 64);

#[test]
fn s01_names_follow_the_vector_table() {
    let x = |count| "x".repeat(count);
    let y = |count| "y".repeat(count);
    let table = [
        (DEFAULT, "myorg".to_owned(), "myproject".to_owned(), "waldur_myorg_myproject_12345678".to_owned()),
        (DEFAULT, "My-Org".into(), "My.Project".into(), "waldur_my_org_my_project_12345678".into()),
        (DEFAULT, "a--b".into(), "__c__".into(), "waldur_a_b_c_12345678".into()),
        (DEFAULT, String::new(), String::new(), "waldur_default_default_12345678".into()),
        (DEFAULT, "---".into(), "ünïcode".into(), "waldur_default_n_code_12345678".into()),
        (DEFAULT, x(40), y(40), format!("waldur_{}_{}_12345678", x(23), y(24))),
        (DEFAULT, x(60), "y".into(), format!("waldur_{}_y_12345678", x(46))),
        (DEFAULT, "x".into(), y(60), format!("waldur_x_{}_12345678", y(46))),
        (Rule("w_", "_", 32), "org".into(), "proj".into(), "w_org_proj_12345678".into()),
        (Rule("w_", "_", 32), x(40), y(40), "w_xxxxxxxxxx_yyyyyyyyyy_12345678".into()),
        (Rule("w_", "_", 32), "Organization".into(), "LongProject".into(), "w_organizati_longprojec_12345678".into()),
        (Rule("waldur_", "_", 20), "org".into(), "proj".into(), "waldur_o_pr_12345678".into()),
        // 13 and 14 are no names but errors of the settings: see below.
        (Rule("waldur_", "-", 64), "org".into(), "proj".into(), "waldur_org-proj-12345678".into()),
        (Rule("waldur_", "--", 64), "org".into(), "proj".into(), "waldur_org--proj--12345678".into()),
        (Rule("", "_", 64), "org".into(), "proj".into(), "org_proj_12345678".into()),
        (DEFAULT, "ab_".into(), "_cd".into(), "waldur_ab_cd_12345678".into()),
        (DEFAULT, "a b".into(), "c/d".into(), "waldur_a_b_c_d_12345678".into()),
        (
            Rule("waldur_", "_", 40),
            "abcdefghij_klmno".into(),
            "pqrstuvwxyz_12345".into(),
            "waldur_abcdefghij_pqrstuvwxyz_12345678".into(),
        ),
    ];
    for (Rule(prefix, separator, max), customer, project, expected) in table {
        let naming = Naming::Seed(SeedNaming::new(prefix, separator, max).unwrap());
        let name = naming.candidate(&resource(&customer, &project), Candidate::FIRST).unwrap();
        assert_eq!(name.as_str(), expected, "{customer}/{project}, at most {max}");
        assert!(name.as_str().len() <= max);
    }
    for too_short in [17, 10] {
        let error = SeedNaming::new("waldur_", "_", too_short).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("max_username_length:"), "{error}");
    }
}

#[test]
fn s10_a_missing_customer_slug_becomes_default() {
    let naming = Naming::Seed(SeedNaming::new("waldur_", "_", 64).unwrap());
    let name = naming.candidate(&resource("", "proj"), Candidate::FIRST).unwrap();
    assert_eq!(name.as_str(), "waldur_default_proj_12345678");
}

#[test]
fn s11_the_uuid_gives_eight_lower_case_digits_without_dashes() {
    let seed = SeedNaming::new("waldur_", "_", 64).unwrap();
    for spelling in ["ABCDEF01-2345-6789-abcd-ef0123456789", "abcdef0123456789abcdef0123456789"] {
        let uuid: ResourceUuid = spelling.parse().unwrap();
        assert_eq!(seed.uid("org", "proj", uuid).unwrap().as_str(), "waldur_org_proj_abcdef01");
    }
    // Eight digits, also where they are zeros.
    let low = ResourceUuid::new(Uuid::from_u128(0x1f));
    assert_eq!(seed.uid("org", "proj", low).unwrap().as_str(), "waldur_org_proj_00000000");
}

#[test]
fn a_seed_name_has_no_second_candidate() {
    let naming = Naming::Seed(SeedNaming::new("waldur_", "_", 64).unwrap());
    let next = Candidate::FIRST.next(Collision::Duplicate);
    let error = naming.candidate(&resource("org", "proj"), next).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Duplicate);
}

#[test]
fn the_prefix_is_used_as_it_is_and_checked() {
    let seed = SeedNaming::new("Waldur.S3-", "_", 64).unwrap();
    let uuid = resource("", "").uuid;
    assert_eq!(seed.uid("Org", "P", uuid).unwrap().as_str(), "Waldur.S3-org_p_12345678");
    for (prefix, separator, field) in [("a/b", "_", "user_prefix"), ("a", "$", "slug_separator")] {
        let error = SeedNaming::new(prefix, separator, 64).unwrap_err();
        assert!(error.message().starts_with(field), "{error}");
    }
    assert_eq!(SeedNaming::new("w", "_", 256).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn processor_names_are_slugs_in_lower_case() {
    let naming = Naming::Processor { prefix: "waldur-".to_owned() };
    let mut resource = resource("org", "proj");
    assert_eq!(naming.candidate(&resource, Candidate::FIRST).unwrap().as_str(), "waldur-my-bucket");
    let next = Candidate::FIRST.next(Collision::Duplicate);
    assert_eq!(naming.candidate(&resource, next).unwrap().as_str(), "waldur-proj-0");
    resource.slug = "not/a/name".to_owned();
    let error = naming.candidate(&resource, Candidate::FIRST).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    assert!(error.customer_message().is_some_and(|text| !text.contains("not/a/name")));
}

proptest! {
    #[test]
    fn any_slug_gives_a_valid_name_within_the_maximum(
        customer in any::<String>(),
        project in any::<String>(),
        uuid in any::<u128>(),
        prefix in "[A-Za-z0-9._-]{0,12}",
        separator in "[._-]{0,3}",
        max in 0_usize..300,
    ) {
        let uuid = ResourceUuid::new(Uuid::from_u128(uuid));
        let Ok(seed) = SeedNaming::new(&prefix, &separator, max) else {
            prop_assert!(max > 255 || max < prefix.len() + 8 + 2 * separator.len() + 2);
            return Ok(());
        };
        let uid = seed.uid(&customer, &project, uuid).unwrap();
        prop_assert!(uid.as_str().len() <= max);
        prop_assert!(uid.as_str().starts_with(&prefix));
        let end = format!("{separator}{}", &uuid.hex()[..8]);
        prop_assert!(uid.as_str().ends_with(&end));
        let user = Uid::new(uid.as_str()).unwrap();
        prop_assert_eq!(user.name(), uid.as_str());
    }

    #[test]
    fn nothing_is_cut_that_fits(customer in "[a-z0-9]{1,20}", project in "[a-z0-9]{1,20}") {
        let seed = SeedNaming::new("waldur_", "_", 64).unwrap();
        let uid = seed.uid(&customer, &project, ResourceUuid::new(Uuid::nil())).unwrap();
        prop_assert_eq!(uid.as_str(), format!("waldur_{customer}_{project}_00000000"));
    }

    #[test]
    fn cleaning_twice_is_cleaning_once(slug in any::<String>()) {
        let once = clean(&slug);
        prop_assert_eq!(clean(&once), once.clone());
        prop_assert!(once.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        prop_assert!(!once.starts_with('_') && !once.ends_with('_') && !once.contains("__"));
    }
}
