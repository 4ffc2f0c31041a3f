//! The vectors of s3.md §2, by number. Two of them are errors of the settings.

use waldur_sdk::{
    ErrorKind,
    naming::{SeedNaming, clean_slug},
    types::ResourceUuid,
};

use crate::UUID;

/// What the plug-in of the Python agent made of it (1.0.5).
enum Plugin {
    /// The same.
    Same,
    /// Something else that is a defect: it wastes half the room, doubles separators, or is longer than the maximum.
    Defect(String),
}
use Plugin::{Defect, Same};

type Row = (u32, (&'static str, &'static str, usize), String, String, Plugin, Option<String>);

#[test]
fn s01_vectors_1_to_20() {
    const D: (&str, &str, usize) = ("waldur_", "_", 64);
    let x = |count| "x".repeat(count);
    let y = |count| "y".repeat(count);
    let row = |number, rule, customer: &str, project: &str, plugin, name: &str| -> Row {
        (number, rule, customer.to_owned(), project.to_owned(), plugin, Some(name.to_owned()))
    };
    let refused = |number, max, plugin: &str| -> Row {
        (number, ("waldur_", "_", max), "org".to_owned(), "proj".to_owned(), Defect(plugin.to_owned()), None)
    };
    let seven = Defect(format!("waldur_{}_y_12345678", x(23)));
    let eight = Defect(format!("waldur_x_{}_12345678", y(24)));
    let twenty = Defect("waldur_abcdefghij__pqrstuvwxyz__12345678".to_owned());
    let table = [
        row(1, D, "myorg", "myproject", Same, "waldur_myorg_myproject_12345678"),
        row(2, D, "My-Org", "My.Project", Same, "waldur_my_org_my_project_12345678"),
        row(3, D, "a--b", "__c__", Same, "waldur_a_b_c_12345678"),
        row(4, D, "", "", Same, "waldur_default_default_12345678"),
        row(5, D, "---", "ünïcode", Same, "waldur_default_n_code_12345678"),
        row(6, D, &x(40), &y(40), Same, &format!("waldur_{}_{}_12345678", x(23), y(24))),
        row(7, D, &x(60), "y", seven, &format!("waldur_{}_y_12345678", x(46))),
        row(8, D, "x", &y(60), eight, &format!("waldur_x_{}_12345678", y(46))),
        row(9, ("w_", "_", 32), "org", "proj", Same, "w_org_proj_12345678"),
        row(10, ("w_", "_", 32), &x(40), &y(40), Same, "w_xxxxxxxxxx_yyyyyyyyyy_12345678"),
        row(11, ("w_", "_", 32), "Organization", "LongProject", Same, "w_organizati_longprojec_12345678"),
        row(12, ("waldur_", "_", 20), "org", "proj", Same, "waldur_o_pr_12345678"),
        refused(13, 17, "waldur___12345678"),
        refused(14, 10, "waldur__p_12345678"),
        row(15, ("waldur_", "-", 64), "org", "proj", Same, "waldur_org-proj-12345678"),
        row(16, ("waldur_", "--", 64), "org", "proj", Same, "waldur_org--proj--12345678"),
        row(17, ("", "_", 64), "org", "proj", Same, "org_proj_12345678"),
        row(18, D, "ab_", "_cd", Same, "waldur_ab_cd_12345678"),
        row(19, D, "a b", "c/d", Same, "waldur_a_b_c_d_12345678"),
        row(
            20,
            ("waldur_", "_", 40),
            "abcdefghij_klmno",
            "pqrstuvwxyz_12345",
            twenty,
            "waldur_abcdefghij_pqrstuvwxyz_12345678",
        ),
    ];
    for (at, (number, (prefix, separator, max), customer, project, plugin, expected)) in (1..).zip(table) {
        assert_eq!(number, at);
        let naming = SeedNaming::new(prefix, separator, max);
        let name = match naming {
            Ok(naming) => Some(naming.uid(&customer, &project, ResourceUuid::new(UUID)).unwrap().into_string()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config, "vector {number}");
                assert!(error.message().starts_with("max_username_length:"), "vector {number}: {error}");
                None
            }
        };
        assert_eq!(name, expected, "vector {number}");
        if let Some(name) = &name {
            assert!(name.len() <= max, "vector {number}");
        }
        if let Defect(answer) = plugin {
            assert_ne!(name.as_ref(), Some(&answer), "vector {number}: a defect is not reproduced");
        }
    }
}

#[test]
fn u18_an_empty_slug_is_default_on_s3() {
    for slug in ["", "-1", "日本", "--"] {
        let expected = if slug == "-1" { "1" } else { "default" };
        assert_eq!(clean_slug(slug), expected, "{slug:?}");
    }
}
