//! Numbers and home directories (usernames.md §3).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waldur_sdk::{
    ErrorKind,
    naming::{PosixIdPool, PosixIds, PosixOptions},
    types::JsonObject,
};

fn options(tree: Value) -> PosixOptions {
    PosixOptions::read(&serde_json::from_value::<JsonObject>(tree).unwrap())
}

#[test]
fn defaults_and_lenient_reading() {
    let default = options(json!({}));
    assert_eq!((default.initial_uidnumber, default.initial_primarygroup_number), (5000, 5000));
    assert_eq!((default.initial_usergroup_number, default.initial_rolegroup_number), (6000, 60000));
    assert_eq!((default.home_directory("alice").as_str(), default.enable_posix_account), ("/home/alice", true));
    assert_eq!(
        options(json!({ "initial_uidnumber": null, "homedir_prefix": " ", "enable_posix_account": 1 })),
        default
    );
    let other = options(json!({
        "initial_uidnumber": "100000", "initial_primarygroup_number": 100_000, "homedir_prefix": "/data/home/",
        "initial_usergroup_number": -1, "enable_posix_account": false,
    }));
    assert_eq!((other.initial_uidnumber, other.initial_primarygroup_number), (100_000, 100_000));
    assert_eq!((other.initial_usergroup_number, other.enable_posix_account), (6000, false));
    assert_eq!(other.home_directory("alice"), "/data/home/alice");
}

#[test]
fn u16_a_home_prefix_without_its_slash_is_told_of() {
    let options = options(json!({ "homedir_prefix": "/home" }));
    assert_eq!(options.homedir_prefix_problem(), Some("does not end with /: names are appended without one"));
    // What Waldur writes is what it writes.
    assert_eq!(options.home_directory("alice"), "/homealice");
    assert_eq!(PosixOptions::default().homedir_prefix_problem(), None);
    assert!(self::options(json!({ "homedir_prefix": "home/" })).homedir_prefix_problem().is_some());
}

#[test]
fn the_rule_of_2024_counts_on_from_the_last_of_any_offering() {
    let default = PosixOptions::default();
    assert_eq!(PosixIds::next_of_2024(&default, None), PosixIds { uid: 5001, gid: 5001 });
    assert_eq!(PosixIds::next_of_2024(&default, Some(5001)), PosixIds { uid: 5002, gid: 5002 });
    let high = options(json!({ "initial_uidnumber": 10_000, "initial_primarygroup_number": 3000 }));
    let below = PosixIds::next_of_2024(&high, Some(5003));
    assert_eq!(below, PosixIds { uid: 5004, gid: 3000 - 4996 });
    assert!(below.is_below(&high) && !PosixIds::next_of_2024(&high, Some(10_000)).is_below(&high));
    assert_eq!(PosixIds::next_of_2024(&default, Some(u32::MAX)).uid, 1 << 32);
}

#[test]
fn a_pool_of_2025_gives_again_what_came_back_and_never_what_somebody_has() {
    let pool = PosixIdPool::new(1001, 1005, 1003).unwrap();
    let set = |ids: &[u32]| ids.iter().copied().collect::<BTreeSet<_>>();
    let next = |returned: &[u32], in_use: &[u32]| pool.next_id(&set(returned), &set(in_use));
    assert_eq!(next(&[], &[1001, 1002]), Some(1003));
    assert_eq!(next(&[], &[1001, 1002, 1003, 1004]), Some(1005), "somebody set a number by hand");
    assert_eq!(next(&[1002, 1001], &[1001]), Some(1002));
    assert_eq!(next(&[900, 2000], &[]), Some(1003), "what is outside the range now is not given again");
    assert_eq!(next(&[], &[1003, 1004, 1005]), None);
    assert_eq!(pool.left(), 3);
    assert_eq!(PosixIdPool::new(1000, PosixIdPool::MAX, PosixIdPool::MAX).unwrap().left(), 1);
    assert_eq!(PosixIdPool::new(1000, PosixIdPool::MAX, u32::MAX).unwrap().left(), 0);
    for (min, max, next) in [(999, 2000, 1000), (2000, 1999, 2000), (1000, u32::MAX, 1000), (1000, 2000, 2002)] {
        assert_eq!(PosixIdPool::new(min, max, next).unwrap_err().kind(), ErrorKind::Config, "{min} {max} {next}");
    }
}
