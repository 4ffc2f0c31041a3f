//! No secret leaves through `Debug` or an error, whatever the tree looks like.

use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::{Map, Value, json};
use waldur_sdk::settings::{AgentSettings, Components, WaldurComponent};

const CANARY: &str = "canary-7f3a";

fn shows_canary(text: &str) -> bool {
    text.to_lowercase().contains(CANARY)
}

/// A valid tree that has a canary in every place where a secret may stand.
fn full() -> Value {
    json!({
        "global_proxy": format!("http://user:{CANARY}@proxy:3128"),
        "elastic_apm_server_url": format!("https://apm.example/?key={CANARY}"),
        "sentry_dsn": format!("https://{CANARY}@sentry.example/1"),
        "offerings": [
            {
                "name": "token", "waldur_api_url": "https://waldur.example/api/", "waldur_api_token": CANARY,
                "waldur_offering_uuid": "713c299671a14f5db9723a793291bc78", "backend_type": "harbor",
                "order_processing_backend": "harbor",
                "backend_settings": {
                    "robot_password": CANARY, "nested": {"deep": [CANARY]},
                    "periodic_limits": {"enabled": true, "emulator_key": CANARY},
                },
                "backend_components": {
                    "storage": {"accounting_type": "limit", "label": "l", "measured_unit": "GB", "access_key": CANARY},
                },
            },
            {
                "name": "oidc", "waldur_api_url": "https://waldur.example/api/",
                "oidc_token_url": format!("https://idp.example/token?key={CANARY}"), "oidc_client_id": "agent", "oidc_client_secret": CANARY,
                "waldur_offering_uuid": "713c299671a14f5db9723a793291bc78", "backend_type": "harbor",
                "order_processing_backend": "harbor",
            },
        ],
    })
}

/// Replaces every leaf by what `leaf` makes of it, one at a time, and every leaf at once.
fn variants(tree: &Value, leaf: &dyn Fn(&Value) -> Value) -> Vec<Value> {
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), found));
            }
            _ => found.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    pointers(tree, "", &mut found);
    let mut all = tree.clone();
    let mut variants = Vec::new();
    for pointer in found {
        let mut one = tree.clone();
        let place = one.pointer_mut(&pointer).unwrap();
        *place = leaf(place);
        *all.pointer_mut(&pointer).unwrap() = place.clone();
        variants.push(one);
    }
    variants.push(all);
    variants
}

#[test]
fn c70_settings_never_show_a_secret_in_debug_or_in_an_error() {
    let (settings, warnings) = AgentSettings::from_value(&full()).unwrap();
    let (merged, _): (Components, _) =
        settings.offerings[0].components.merge_waldur(&[WaldurComponent::new("x", "usage")]);
    for shown in [
        format!("{settings:?}"),
        format!("{settings:#?}"),
        format!("{warnings:?}"),
        format!("{merged:#?}"),
        format!("{:?}", settings.offerings[0].backend_settings.raw),
    ] {
        assert!(!shows_canary(&shown), "{shown}");
    }
    assert!(format!("{settings:?}").contains("robot_password"), "the names of keys may be seen");

    let wrong: [&dyn Fn(&Value) -> Value; 4] =
        [&|_| json!(CANARY), &|_| json!({CANARY.replace("canary", "key"): CANARY}), &|_| json!([CANARY]), &|_| {
            json!(format!("http://{CANARY}:{CANARY}@{CANARY}:99999/?{CANARY}#{CANARY}"))
        }];
    let mut refused = 0;
    for leaf in wrong {
        for tree in variants(&full(), leaf) {
            let Err(error) = AgentSettings::from_value(&tree) else { continue };
            refused += 1;
            let shown = format!("{error} {error:?} {error:#?} {:?} {:?}", error.chain(), error.customer_message());
            assert!(!shows_canary(&shown), "{shown}");
        }
    }
    assert!(refused > 50, "only {refused} trees were refused");
}

const KNOWN: &str = "offerings timezone log_level reporting_periods global_proxy log_shipping sentry_dsn name \
    waldur_api_url waldur_api_token oidc_token_url oidc_client_secret waldur_offering_uuid backend_type verify_ssl \
    backend_settings backend_components homedir_quota provider default_homedir_umask accounting_type unit_factor limit \
    target_components factor";

/// Any tree at all, with keys that the reader knows as often as not, and a canary in every text.
fn any_tree() -> impl Strategy<Value = Value> {
    let known: Vec<_> = KNOWN.split_whitespace().collect();
    let key = prop_oneof![3 => proptest::sample::select(known).prop_map(str::to_owned), 1 => "\\PC{0,12}"];
    let text = prop_oneof![
        Just(CANARY.to_owned()),
        "\\PC{0,8}".prop_map(|rest| format!("{CANARY}{rest}")),
        "(https?|socks5|ftp)://".prop_map(|scheme| format!("{scheme}u:{CANARY}@{CANARY}.example/{CANARY}")),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(70), ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_read_or_refused_without_its_values(
        root in any_tree(),
        offering in any_tree(),
        place in 0_usize..3,
    ) {
        // Below the root, so that the deeper readers see as many trees as the first one.
        let tree = match place {
            0 => root,
            1 => json!({"offerings": [offering], "log_shipping": root}),
            _ => json!({"offerings": [{"name": "n", "backend_settings": root, "backend_components": {"c": offering}}]}),
        };
        if let Err(error) = AgentSettings::from_value(&tree) {
            let shown = format!("{error} {error:?} {:?}", error.chain());
            prop_assert!(!shows_canary(&shown), "{shown}");
        }
    }
}
