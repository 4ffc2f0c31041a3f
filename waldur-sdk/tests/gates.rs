//! Promises that are kept by files of the workspace rather than by code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::string_slice)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PUBLISHED: [&str; 3] = ["waldur-sdk", "waldur-backend-croit", "waldur-backend-harbor"];

/// Everything of the workspace that has Rust in it.
const MEMBERS: [&str; 5] = ["waldur-sdk", "waldur-backend-croit", "waldur-backend-harbor", "examples", "benches"];

/// What may not be allowed in a library: it stops the program of somebody else.
const PANICS: [&str; 7] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::todo",
    "clippy::unimplemented",
    "clippy::indexing_slicing",
    "clippy::string_slice",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file of a crate's library.
fn sources(krate: &str) -> Vec<PathBuf> {
    let found = rust_files(&root().join(krate).join("src"));
    assert!(found.len() > 10, "{krate} has sources");
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
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
    found
}

#[test]
fn sec53_no_unsafe_code_and_no_panics_in_any_library() {
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for lint in PANICS.map(|lint| lint.trim_start_matches("clippy::")) {
        assert!(workspace.contains(&format!("\n{lint} = \"deny\"")), "{lint}");
    }
    for krate in MEMBERS {
        assert!(read(&format!("{krate}/Cargo.toml")).contains("[lints]\nworkspace = true"), "{krate}");
    }
    let mut allowed = BTreeSet::new();
    for krate in PUBLISHED {
        for file in sources(krate) {
            let text = fs::read_to_string(&file).unwrap();
            // A forbidden lint cannot be allowed again; a denied one can, so allowances are looked at here.
            let library = text.split("#[cfg(test)]").next().unwrap();
            for lint in allowances(library).filter(|lint| PANICS.contains(&lint.as_str())) {
                allowed.insert(format!("{} {lint}", file.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    // The fake of a test, for ids that the test never got from it.
    let known = ["waldur-sdk/src/testing/waldur/mod.rs clippy::panic".to_owned()];
    assert_eq!(allowed, BTreeSet::from(known));
}

/// The lints that every `allow` and `expect` attribute names, in whatever place of its list.
fn allowances(text: &str) -> impl Iterator<Item = String> {
    let lists = ["allow(", "expect("].into_iter().flat_map(|word| {
        text.match_indices(word)
            .filter(|(at, _)| text[..*at].ends_with('['))
            .map(|(at, found)| &text[at + found.len()..])
    });
    let names = lists.flat_map(|list| list.split(')').next().unwrap().split(','));
    names.map(|name| name.trim().to_owned()).collect::<Vec<_>>().into_iter()
}

#[test]
fn sec11_sec45_no_library_keeps_anything_on_a_disk() {
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
    let steps: Vec<_> = ci.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    for step in [
        "cargo deny --locked --offline check bans licenses sources",
        "cargo deny --locked --offline check advisories",
        // Licences, sources and duplicates where the tool is not.
        "dev/tree.sh",
    ] {
        assert!(steps.contains(&step), "CI has the step {step}");
    }
}

#[test]
fn sec55_the_size_of_the_tree_has_a_budget() {
    let script = read("dev/tree.sh");
    for krate in PUBLISHED {
        let budgets: Vec<u32> = script
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("crates {krate} "))?.split(' ').next()?.parse().ok())
            .collect();
        assert!(!budgets.is_empty(), "{krate} has no budget");
        // The goal is 105 with TLS (benches/README.md says what is over it, and why).
        assert!(budgets.iter().all(|budget| *budget <= 111), "{krate}: {budgets:?}");
    }
}

#[test]
fn sec56_builds_are_locked_and_run_no_code_of_ours() {
    assert!(root().join("Cargo.lock").is_file());
    assert!(!read(".gitignore").contains("Cargo.lock"));
    let mut builds = 0;
    for script in [".ci/run", "dev/live.sh"] {
        let text = read(script);
        let ours = ["cargo clippy", "cargo check", "cargo test", "cargo build", "cargo run", "cargo doc"];
        for line in text.lines().filter(|line| ours.iter().any(|command| line.contains(command))) {
            assert!(line.contains("--locked"), "{script}: {line}");
            builds += 1;
        }
    }
    assert!(builds >= 6, "{builds}");
    for krate in PUBLISHED {
        assert!(!root().join(krate).join("build.rs").exists(), "{krate} has a build script");
        assert!(!read(&format!("{krate}/Cargo.toml")).contains("proc-macro = true"), "{krate} is a macro");
    }
}

#[test]
fn no_file_is_longer_than_one_idea() {
    for member in MEMBERS {
        for file in rust_files(&root().join(member)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines", file.display());
        }
    }
}

/// The acceptance cases, faults and rules by the letter of their numbers, and how many of each there are.
const CASES: [(&str, u32); 6] = [("c", 70), ("u", 23), ("s", 40), ("h", 40), ("f", 166), ("sec", 62)];

/// `dev/cases.txt` says of every case that has no test why, and of no other.
#[test]
fn every_case_has_a_test_or_a_reason() {
    let mut shown = BTreeSet::new();
    for file in MEMBERS.iter().flat_map(|member| rust_files(&root().join(member))) {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let Some(name) = line.trim_start().trim_start_matches("async ").strip_prefix("fn ") else { continue };
            shown.extend(name.split('_').map_while(case));
        }
    }
    let text = read("dev/cases.txt");
    let reasons = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let excused: BTreeSet<String> = reasons
        .flat_map(|line| {
            let (cases, reason) = line.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
            assert!(reason.len() > 10, "no reason: {line}");
            cases.split(' ').map(|name| case(name).unwrap_or_else(|| panic!("{name} is no case"))).collect::<Vec<_>>()
        })
        .collect();
    let all = CASES.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number:02}")));
    let all: BTreeSet<String> = all.filter_map(|name| case(&name)).collect();
    let missing: Vec<_> = all.iter().filter(|name| !shown.contains(*name) && !excused.contains(*name)).collect();
    let needless: Vec<_> = excused.iter().filter(|name| shown.contains(*name) || !all.contains(*name)).collect();
    assert!(missing.is_empty(), "neither a test nor a reason in dev/cases.txt: {missing:?}");
    assert!(needless.is_empty(), "in dev/cases.txt, and shown by a test or no case at all: {needless:?}");
}

/// `c07`, `f007` or `sec07`, written with as many digits as its kind has.
fn case(name: &str) -> Option<String> {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let letter = &name[..name.len() - digits.len()];
    let number: u32 = (digits.len() >= 2).then(|| digits.parse().ok())??;
    let known = CASES.iter().any(|(kind, _)| *kind == letter);
    known.then(|| if letter == "f" { format!("f{number:03}") } else { format!("{letter}{number:02}") })
}
