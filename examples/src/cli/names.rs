//! The programs of the Python agent by name (core.md §6.9): a link of that name to this program is that program.

use std::{ffi::OsString, path::Path};

const NAMES: [(&str, &[&str]); 5] = [
    ("waldur_site_agent", &[]),
    ("waldur_site_healthz", &["healthz"]),
    ("waldur_site_diagnostics", &["diagnose"]),
    ("waldur_site_load_components", &["load-components"]),
    ("waldur_site_load_historical_usage", &["load-usage"]),
];

/// The arguments as this program has them.
pub(super) fn resolve(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let file = Path::new(&name).file_stem().unwrap_or_default();
    let known = NAMES.iter().find(|(known, _)| file == *known);
    let subcommand = known.map_or(&[][..], |(_, subcommand)| subcommand);
    [name].into_iter().chain(subcommand.iter().map(OsString::from)).chain(arguments).collect()
}
