//! What the files for operators say is what the program does.

use std::{fs, path::Path};

use waldur_examples::exit::Exit;

use crate::stage::{agent, text};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn setting<'u>(unit: &'u str, key: &str) -> &'u str {
    let of_key = |line: &'u str| line.strip_prefix(key)?.strip_prefix('=');
    unit.lines().find_map(of_key).unwrap_or_else(|| panic!("{key} is not in\n{unit}"))
}

#[test]
fn the_units_fit_each_other_the_guide_and_the_exit_codes() {
    let guide = file("deploy/README.md");
    for (name, user) in [("waldur-agent.service", "waldur-agent"), ("waldur-agent@.service", "waldur-agent@")] {
        let unit = file(&format!("deploy/{name}"));
        let prevented: Vec<u8> =
            setting(&unit, "RestartPreventExitStatus").split(' ').map(|code| code.parse().unwrap()).collect();
        assert_eq!(prevented, [Exit::Config.code(), Exit::Usage.code()], "{name}");
        assert_eq!(setting(&unit, "Type"), "notify", "the watchdog is served over the same socket");
        // The agent says that it lives every 30 s, and finds out that it does not after 300.
        assert!(setting(&unit, "WatchdogSec").parse::<u64>().unwrap() >= 60, "{name}");
        assert!(setting(&unit, "TimeoutStopSec").parse::<u64>().unwrap() > 26, "{name}");
        let group = setting(&unit, "SupplementaryGroups");
        assert_ne!(group, user, "systemd makes no user whose name is a group's");
        assert!(guide.contains(&format!("groupadd --system {group} ")), "{name}");
        assert!(!unit.contains("\nLoadCredential="), "{name} starts with credentials in the settings, too");
    }
    let credential = file("deploy/credentials.conf");
    let path = setting(&credential, "LoadCredential").split_once(':').unwrap().1;
    assert!(
        guide.contains("install -m 0600 waldur-token /etc/waldur-agent/") && path == "/etc/waldur-agent/waldur-token"
    );
}

#[test]
fn the_guide_and_the_help_have_every_exit_code() {
    let (guide, help) = (file("README.md"), text(&agent(&["--help"]).output().unwrap()));
    for exit in [Exit::Done, Exit::Failed, Exit::Usage, Exit::Io, Exit::Temporary, Exit::Config] {
        let code = exit.code();
        assert!(guide.contains(&format!("\n| {code} | ")), "{exit:?}");
        assert!(help.contains(&format!("\n  {code:>2}  ")), "{exit:?}");
    }
}
