//! The fake of generation 2024 against a recording of the real server: one session from its first request to its last,
//! on a database seeded as the server's was. Where the recording has a gap (a request that was made and not kept, or
//! one that the fake does not serve) [`step`] does what it did.
//!
//! # Recorded exchanges that are not served
//! The files are not in this repository.
//!
//! | Exchange | Why |
//! |---|---|
//! | 015, 356 | login by password: agents have tokens |
//! | 016, 018, 067 | list of endpoints, features of the web client, integration statuses: nobody here reads them |
//! | 065 | settings of an offering: seeded instead |
//! | 183 to 187, 249 to 254, 306 to 309 | the API of the SLURM plug-in |
//! | 192, 193 | end dates: refused to providers in the recording |
//! | 267 to 270 | a service provider's other lists and settings |
//! | 280 to 287, 349 | writing projects and their members: seeded instead |
//! | 289 | shows a project that 283 made, and orders of a session before |
//! | 293, 294 | what roles allow, events |
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod replay;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::OnceLock,
};

use http::Method;
use replay::{Exchange, Replay};
use serde_json::{Value, json};
use waldur_sdk::testing::waldur::{OrderState, ResourceState};
use world::{id, token};

const PROVIDER: u32 = 0xa2;
const ALICE: u32 = 0xa4;

const RESOURCE: &str = "8afbde9e3fe84e098d44a692bdf71cca";

fn post(replay: &Replay, user: u32, path: &str, body: &Value) -> Value {
    replay.own(Method::POST, &token(user), path, body)
}

/// What happened between the recorded requests: done before the exchange of that number.
fn step(number: u32, replay: &mut Replay) {
    let waldur = replay.waldur.clone();
    let order = |name: &str| {
        let public = "http://127.0.0.1:8000/api/marketplace-public-offerings/000000e10000400080000000000000e1/";
        json!({
            "offering": public,
            "plan": format!("{public}plans/00000f10000040008000000000000f10/"),
            "project": "http://127.0.0.1:8000/api/projects/000000b10000400080000000000000b1/",
            "attributes": {"name": name},
            "limits": {"cpu": 5, "storage": 50},
        })
    };
    match number {
        // 059 and 060 renamed the component.
        61 => {
            let path = "marketplace-provider-offerings/000000e10000400080000000000000e1/update_offering_component/";
            let component = json!({
                "uuid": "00000f11000040008000000000000f11", "billing_type": "limit", "type": "cpu", "name": "CPU",
                "measured_unit": "k-core-hours", "limit_period": "month", "max_value": 100_000, "min_value": 1,
                "default_limit": 10,
            });
            post(replay, PROVIDER, path, &component);
        }
        // 064 and 065 set them.
        66 => waldur
            .change_offering(id(0xe1), |offering| offering.backend_id("cluster-1").backend_metadata(json!({"a": 1}))),
        // 097 and 103 ordered, too.
        98 | 104 => drop(post(replay, ALICE, "marketplace-orders/", &order("api-created"))),
        // 117 approved.
        118 => {
            let order = "8afdf13a85d64993b4953f3be5c5d148";
            post(replay, PROVIDER, &format!("marketplace-orders/{order}/approve_by_provider/"), &json!({}));
        }
        // 146 and 147: executing without approval, done.
        148 => {
            for action in ["set_state_executing", "set_state_done"] {
                let path = format!("marketplace-orders/bae5d86fd2b64665bbd2b689115af318/{action}/");
                post(replay, PROVIDER, &path, &json!({}));
            }
        }
        // 166 and 183 gave it its name back; the plug-in wrote into its metadata.
        167 => {
            let path = format!("marketplace-provider-resources/{RESOURCE}/set_backend_id/");
            post(replay, PROVIDER, &path, &json!({"backend_id": "hpc_alloc-pending"}));
        }
        188 => waldur.change_resource(RESOURCE.parse().unwrap(), |resource| {
            resource.backend_metadata(json!({
                "qos": "normal", "state": "OK", "action": null, "runtime_state": null, "action_details": null,
            }))
        }),
        // 234 named her again, after 233 had taken the name.
        235 => {
            let row = "74f54381173a42f786ebce319404b269";
            let path = format!("marketplace-offering-users/{row}/");
            replay.own(Method::PATCH, &token(PROVIDER), &path, &json!({"username": "carol_hpc"}));
        }
        // Something submitted a report.
        295 => waldur.change_resource(RESOURCE.parse().unwrap(), |resource| {
            resource.report(json!([{"body": "fine", "header": "State"}]))
        }),
        // 297 ordered other limits.
        298 => {
            let limits = json!({"limits": {"cpu": 20, "storage": 400}});
            let made = post(replay, ALICE, &format!("marketplace-resources/{RESOURCE}/update_limits/"), &limits);
            replay.learn("9e2f0d55abce4ce59e20a298920c25b0", &made["order_uuid"]);
        }
        // 306 made the plug-in's row erred, and with it the resource.
        310 => waldur.change_resource(RESOURCE.parse().unwrap(), |resource| resource.state(ResourceState::Erred)),
        // 351 locked her out.
        352 => waldur.change_user(id(0xa7), waldur_sdk::testing::waldur::UserSeed::inactive),
        _ => {}
    }
}

/// The number in front of a file's name.
fn number(file: &str) -> u32 {
    file.split('_').next().unwrap().parse().unwrap()
}

/// What differs, by the number of the exchange.
fn session() -> &'static BTreeMap<u32, Vec<String>> {
    static SESSION: OnceLock<BTreeMap<u32, Vec<String>>> = OnceLock::new();
    SESSION.get_or_init(|| {
        let mut replay = Replay::new(world::world());
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/waldur-2024.10")).unwrap();
        let files: BTreeSet<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| LOOKED_AT.iter().any(|range| range.contains(&number(name))))
            .collect();
        let mut differences = BTreeMap::new();
        for file in files {
            let number = number(&file);
            step(number, &mut replay);
            differences.insert(number, replay.run(&Exchange::read(&file)));
        }
        differences
    })
}

macro_rules! recorded {
    ($($name:ident: $($numbers:expr),+;)+) => {
        /// Which exchanges the tests look at.
        const LOOKED_AT: &[RangeInclusive<u32>] = &[$($($numbers),+),+];

        $(#[test]
        fn $name() {
            let session = session();
            let mut seen = 0;
            let mut differences = Vec::new();
            for number in [$($numbers),+].into_iter().flatten() {
                let Some(found) = session.get(&number) else { continue };
                seen += 1;
                differences.extend(found.iter().map(|difference| format!("{number:03}: {difference}")));
            }
            assert!(seen > 0, "no recording of these numbers");
            assert!(differences.is_empty(), "the fake is not the server:\n{}", differences.join("\n"));
        })+
    };
}

recorded! {
    recorded_authentication: 2..=12, 352..=352;
    recorded_paths_methods_and_media: 19..=27, 34..=34, 66..=66, 95..=95, 115..=116, 191..=191;
    recorded_bodies: 28..=33;
    recorded_offerings_and_plans: 36..=51, 177..=177;
    recorded_components: 53..=63;
    recorded_order_lists: 68..=87, 313..=313, 328..=335;
    recorded_orders: 91..=93, 118..=118, 139..=139, 145..=145, 299..=299, 302..=302, 317..=317;
    recorded_new_orders: 98..=108, 296..=298, 312..=312, 314..=314, 339..=339, 342..=342;
    recorded_order_transitions: 109..=113, 119..=122, 127..=131, 137..=138, 142..=144, 301..=301, 304..=304, 316..=316,
        319..=319, 326..=327, 343..=347;
    recorded_resource_lists: 148..=153, 323..=323, 336..=336;
    recorded_resources: 123..=123, 133..=133, 141..=141, 154..=157, 188..=190, 295..=295, 305..=305, 310..=310,
        320..=320, 325..=325;
    recorded_resource_writes: 125..=126, 159..=170, 178..=180, 324..=324;
    recorded_team_and_offering_users: 173..=174, 223..=241, 255..=255, 340..=341;
    recorded_limits_by_the_plugin: 181..=182;
    recorded_directory: 260..=262, 264..=264, 276..=277, 288..=288, 290..=292;
    recorded_usage: 175..=175, 195..=218, 311..=311, 322..=322;
    recorded_usage_of_users: 242..=248;
    recorded_providers_and_projects: 257..=258, 263..=263, 265..=265, 271..=275, 337..=337;
}

#[test]
fn every_recording_is_looked_at_once() {
    assert_eq!(session().len(), 231);
    for number in session().keys() {
        let times = LOOKED_AT.iter().filter(|range| range.contains(number)).count();
        assert_eq!(times, 1, "exchange {number:03}");
    }
}

/// Without this, a comparison that sees nothing would pass.
#[test]
fn a_wrong_answer_is_seen() {
    let mut replay = Replay::new(world::world());
    let list = Exchange::read("068_orders_list.json");
    assert_eq!(replay.run(&list), [""; 0]);
    replay.waldur.set_order_state("8afdf13a85d64993b4953f3be5c5d148".parse().unwrap(), OrderState::Executing);
    let wrong = "$[0].state: \"executing\" instead of \"pending-provider\"";
    assert_eq!(replay.run(&list), [wrong]);
}
