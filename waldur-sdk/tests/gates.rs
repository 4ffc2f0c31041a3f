//! Promises that are kept by files of the workspace rather than by code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
};

const PUBLISHED: [&str; 2] = ["waldur-sdk", "waldur-backend-croit"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file of a crate's library.
fn sources(krate: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(krate).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 10, "{krate} has sources");
    found
}

#[test]
fn sec53_no_unsafe_code_and_no_panics_in_any_library() {
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for lint in ["unwrap_used", "expect_used", "panic", "todo", "unimplemented", "indexing_slicing", "string_slice"] {
        assert!(workspace.contains(&format!("{lint} = \"deny\"")), "{lint}");
    }
    for krate in ["waldur-sdk", "waldur-backend-croit", "examples", "benches"] {
        assert!(read(&format!("{krate}/Cargo.toml")).contains("[lints]\nworkspace = true"), "{krate}");
    }
    for krate in PUBLISHED {
        for file in sources(krate) {
            let text = fs::read_to_string(&file).unwrap();
            // A forbidden lint cannot be allowed again; a denied one can, so allowances are looked at here.
            let library = text.split("#[cfg(test)]").next().unwrap();
            for lint in ["clippy::unwrap_used", "clippy::expect_used", "clippy::indexing_slicing", "clippy::todo"] {
                assert!(!library.contains(&format!("allow({lint}")), "{} allows {lint}", file.display());
            }
        }
    }
}

#[test]
fn sec11_no_library_keeps_anything_on_a_disk() {
    for krate in PUBLISHED {
        for file in sources(krate) {
            let text = fs::read_to_string(&file).unwrap();
            for word in ["std::fs", "File::", "OpenOptions", "temp_dir", "BufWriter"] {
                assert!(!text.contains(word), "{} mentions {word}", file.display());
            }
        }
    }
}

#[test]
fn sec54_dependencies_are_checked_on_every_change() {
    let rules = read("deny.toml");
    for rule in
        ["multiple-versions = \"deny\"", "unknown-registry = \"deny\"", "unknown-git = \"deny\"", "yanked = \"deny\""]
    {
        assert!(rules.contains(rule), "{rule}");
    }
    let ci = read(".ci/run");
    assert!(ci.contains("cargo deny"), "CI runs the rules where the tool is there");
    assert!(ci.contains("dev/tree.sh"), "CI checks licences, sources and duplicates without the tool too");
}

#[test]
fn sec55_the_size_of_the_tree_has_a_budget() {
    let budgets = read("dev/tree.sh");
    for krate in PUBLISHED {
        assert!(budgets.lines().any(|line| line.starts_with(&format!("crates {krate} "))), "{krate} has no budget");
    }
}

#[test]
fn sec56_builds_are_locked_and_run_no_code_of_ours() {
    assert!(root().join("Cargo.lock").is_file());
    assert!(!read(".gitignore").contains("Cargo.lock"));
    let ci = read(".ci/run");
    for line in ci.lines().filter(|line| line.contains("cargo clippy") || line.contains("cargo test")) {
        assert!(line.contains("--locked"), "{line}");
    }
    for krate in PUBLISHED {
        assert!(!root().join(krate).join("build.rs").exists(), "{krate} has a build script");
        assert!(!read(&format!("{krate}/Cargo.toml")).contains("proc-macro = true"), "{krate} is a macro");
    }
}

#[test]
fn no_source_file_is_longer_than_one_idea() {
    for krate in PUBLISHED {
        for file in sources(krate) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines", file.display());
        }
    }
}
