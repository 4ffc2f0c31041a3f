//! Components that stand for others on the back end (core.md §4.8).

use waldur_sdk::{
    ErrorKind,
    backend::OpContext,
    settings::{AccountingType, Component, ComponentMapping, Components, WaldurComponent},
    testing::waldur::{Billing, Generation},
    types::{Amounts, Decimal, Limit, Limits, WaldurAmount},
};

use crate::usage::{NOVEMBER, World, month, november, rows};

fn component(name: &str, targets: &[(&str, &str)]) -> Component {
    let mut component = Component::new(name, AccountingType::Usage);
    component.target_components =
        targets.iter().map(|(target, factor)| ((*target).to_owned(), factor.parse().unwrap())).collect();
    component
}

fn components<const N: usize>(all: [(&str, &[(&str, &str)]); N]) -> Components {
    all.into_iter().map(|(name, targets)| component(name, targets)).collect()
}

fn amounts<const N: usize>(all: [(&str, &str); N]) -> Amounts {
    all.map(|(name, amount)| (name.to_owned(), WaldurAmount::new(amount.parse().unwrap()))).into()
}

fn limits<const N: usize>(all: [(&str, &str); N]) -> Limits {
    all.map(|(name, amount)| (name.to_owned(), Limit::At(WaldurAmount::new(amount.parse::<Decimal>().unwrap())))).into()
}

#[test]
fn c55_node_hours_of_gpus_and_storage() {
    let mapping = ComponentMapping::new(&components([("node_hours", &[("gpu", "5"), ("storage", "10")])])).unwrap();
    let usage = mapping.usage_from_targets(&amounts([("gpu", "500"), ("storage", "800")])).unwrap();
    assert_eq!(usage, amounts([("node_hours", "180")]));
    let there = mapping.limits_to_targets(&limits([("node_hours", "100")])).unwrap();
    assert_eq!(there, limits([("gpu", "500"), ("storage", "1000")]));
    assert_eq!(mapping.limits_from_targets(&there).unwrap(), limits([("node_hours", "100")]));
    assert!(!mapping.is_passthrough());
}

#[test]
fn c55_limits_are_whole_the_least_target_counts_and_no_ceiling_stays_none() {
    let mapping = ComponentMapping::new(&components([("a", &[("x", "0.3"), ("y", "2")]), ("b", &[])])).unwrap();
    assert_eq!(
        mapping.limits_to_targets(&limits([("a", "3"), ("b", "7")])).unwrap(),
        limits([("x", "0"), ("y", "6"), ("b", "7"),])
    );
    let back = mapping.limits_from_targets(&limits([("x", "3"), ("y", "10"), ("c", "1")])).unwrap();
    assert_eq!(back, limits([("a", "5"), ("c", "1")]));
    let unlimited: Limits = [("a".to_owned(), Limit::Unlimited)].into();
    let there = mapping.limits_to_targets(&unlimited).unwrap();
    assert_eq!(there.values().collect::<Vec<_>>(), [&Limit::Unlimited, &Limit::Unlimited]);
    assert_eq!(mapping.limits_from_targets(&there).unwrap(), unlimited);
    // What one target does not say is not known.
    assert!(mapping.limits_from_targets(&limits([("x", "3")])).unwrap().is_empty());
}

#[test]
fn c55_usage_of_one_target_alone_is_no_measurement() {
    let mapping = ComponentMapping::new(&components([("a", &[("x", "2"), ("y", "2")]), ("b", &[])])).unwrap();
    let usage = mapping.usage_from_targets(&amounts([("x", "500"), ("b", "1"), ("z", "3")])).unwrap();
    assert_eq!(usage, amounts([("b", "1"), ("z", "3")]));
    let everything = ComponentMapping::new(&components([("b", &[])])).unwrap();
    assert!(everything.is_passthrough());
    assert_eq!(everything.usage_from_targets(&usage).unwrap(), usage);
}

#[tokio::test(start_paused = true)]
async fn c55_a_target_of_two_components_is_refused_before_anything_is_sent() {
    let shared: [Components; 2] = [
        components([("a", &[("x", "1")]), ("b", &[("x", "2")])]),
        // One that stands for itself, and one that stands for it.
        components([("x", &[]), ("b", &[("x", "2")])]),
    ];
    for components in shared {
        let world = World::new(Generation::V8);
        world.resource("res");
        let reporter = world.agent().components(components).build();
        let error = reporter.mapping().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("target_components: x already stands for"), "{error}");
        assert_eq!(reporter.run_once(&OpContext::new("run")).await.unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(world.waldur.requests().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn c55_what_is_measured_of_targets_is_reported_as_what_was_sold() {
    let world = World::selling(Generation::V8, |offering| offering.component("node_hours", Billing::Usage));
    let resource = world.resource("res");
    for (component, amount) in [("gpu", "500"), ("storage", "800"), ("mem", "1")] {
        world.used("res", component, amount);
        world.user_used("res", "ann", component, amount);
    }
    let mapped = components([("node_hours", &[("gpu", "5"), ("storage", "10")]), ("mem", &[])]);
    let report = world.agent().components(mapped).run().await;
    assert_eq!(november(&report), "submitted");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("mem", "1.00"), ("node_hours", "180.00")]));
    assert_eq!(world.shares(resource, "node_hours")["ann"], "180.00");
}

#[tokio::test(start_paused = true)]
async fn c55_a_target_that_was_counted_but_not_for_a_user_is_one_that_they_did_not_use() {
    let world = World::selling(Generation::V8, |offering| offering.component("node_hours", Billing::Usage));
    let resource = world.resource("res");
    for (component, amount) in [("gpu", "500"), ("storage", "800")] {
        world.used("res", component, amount);
    }
    world.user_used("res", "ann", "gpu", "500");
    world.user_used("res", "bob", "storage", "800");
    let report = world.agent().components(components([("node_hours", &[("gpu", "5"), ("storage", "10")])])).run().await;
    assert_eq!(month(&report, NOVEMBER).unequal, [""; 0]);
    let shares = world.shares(resource, "node_hours");
    assert_eq!((shares["ann"].as_str(), shares["bob"].as_str()), ("100.00", "80.00"));
}

#[test]
fn c55_a_target_of_two_components_is_refused_when_the_file_is_read_if_usage_is_reported() {
    let tree = |reporting: &str| {
        let component = |factor: u32| {
            serde_json::json!({
                "label": "c", "measured_unit": "h", "accounting_type": "usage",
                "target_components": { "x": { "factor": factor } },
            })
        };
        serde_json::json!({ "offerings": [{
            "name": "o", "waldur_api_url": "https://waldur.example.org/api/", "waldur_api_token": "t",
            "waldur_offering_uuid": "000000e1-0000-4000-8000-0000000000e1", "backend_type": "memory",
            "reporting_backend": reporting, "backend_components": { "a": component(1), "b": component(2) },
        }] })
    };
    let error = waldur_sdk::settings::AgentSettings::from_value(&tree("memory")).unwrap_err();
    let problems = waldur_sdk::settings::problems(&error);
    assert_eq!(problems.len(), 1, "{error}");
    assert!(error.to_string().contains("billed twice") || problems[0].to_string().contains("billed twice"), "{error}");
    assert!(waldur_sdk::settings::AgentSettings::from_value(&tree("")).is_ok());
}

#[test]
fn c55_a_sources_own_name_among_what_was_measured_is_not_what_was_sold() {
    let mapping = ComponentMapping::new(&components([("a", &[("x", "2"), ("y", "2")])])).unwrap();
    // One target was not measured, so the component was not, whatever the back end says under its name.
    assert_eq!(mapping.usage_from_targets(&amounts([("a", "7"), ("x", "4")])).unwrap(), amounts([]));
    let whole = mapping.usage_from_targets(&amounts([("a", "7"), ("x", "4"), ("y", "4")])).unwrap();
    assert_eq!(whole, amounts([("a", "4")]));
    assert_eq!(mapping.limits_from_targets(&limits([("a", "7"), ("x", "4")])).unwrap(), limits([]));
    // One that is its own target is measured under its name.
    let own = ComponentMapping::new(&components([("a", &[("a", "2")])])).unwrap();
    assert_eq!(own.usage_from_targets(&amounts([("a", "4")])).unwrap(), amounts([("a", "2")]));
}

/// Somebody adds a component to the offering by the name of what one of the file stands for.
#[tokio::test(start_paused = true)]
async fn c68_a_component_that_only_waldur_has_does_not_end_the_reports_of_the_others() {
    for (billing, word) in [(Billing::Fixed, "fixed"), (Billing::Usage, "usage"), (Billing::Limit, "limit")] {
        let world = World::selling(Generation::V8, |offering| {
            offering.component("node_hours", Billing::Usage).component("gpu", billing)
        });
        let resource = world.resource("res");
        for (component, amount) in [("gpu", "500"), ("storage", "800"), ("mem", "1")] {
            world.used("res", component, amount);
        }
        let file = components([("node_hours", &[("gpu", "5"), ("storage", "10")]), ("mem", &[])]);
        let (merged, _) = file.merge_waldur(&[WaldurComponent::new("gpu", word)]);
        let report = world.agent().components(merged).run().await;
        assert_eq!(november(&report), "submitted", "{word}");
        if word == "fixed" {
            assert_eq!(world.stored(resource, NOVEMBER), rows([("mem", "1.00"), ("node_hours", "180.00")]));
            assert!(month(&report, NOVEMBER).losses().is_empty());
        } else {
            // It is either's; nobody can tell.
            assert_eq!(world.stored(resource, NOVEMBER), rows([("mem", "1.00")]), "{word}");
            assert_eq!(month(&report, NOVEMBER).ambiguous, ["gpu", "node_hours"]);
            assert_eq!(month(&report, NOVEMBER).losses().len(), 2, "{:?}", report.losses());
        }
    }
}
