//! Components: Waldur's added to the file's, and amounts converted.

use waldur_sdk::{
    ErrorKind,
    settings::{AccountingType, BackendLimit, Component, Components, WaldurComponent, Warning},
    types::{BackendAmount, BillingType, Decimal, Limit, Limits, UnitFactor, WaldurAmount},
};

fn component(name: &str, accounting_type: AccountingType, factor: &str) -> Component {
    let mut component = Component::new(name, accounting_type);
    component.unit_factor = UnitFactor::new(decimal(factor)).unwrap();
    component
}

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn at(amount: &str) -> Limit {
    Limit::At(WaldurAmount::new(decimal(amount)))
}

fn backend(amount: &str) -> BackendLimit {
    BackendLimit::At(BackendAmount::new(decimal(amount)))
}

fn slurm() -> Components {
    [component("cpu", AccountingType::Limit, "60000"), component("mem", AccountingType::Limit, "61440")]
        .into_iter()
        .collect()
}

#[test]
fn c68_fixed_component_of_waldur_is_merged_and_ignored() {
    let waldur = [
        WaldurComponent::new("setup", "fixed"),
        WaldurComponent::new("switch", "few"),
        WaldurComponent::new("cpu", "usage"),
        WaldurComponent::new("future", "per-moon"),
    ];
    let (merged, warnings) = slurm().merge_waldur(&waldur);
    for name in ["setup", "switch", "future"] {
        assert!(merged.get(name).unwrap().is_fixed(), "{name}");
    }
    let cpu = merged.get("cpu").unwrap();
    assert_eq!(
        (cpu.accounting_type, &cpu.billing_type),
        (AccountingType::Limit, &Some(BillingType::Usage)),
        "the file wins"
    );
    assert_eq!(merged.get("mem").unwrap().billing_type, None, "Waldur does not have it");
    let warnings: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "component cpu: is billed by \"usage\" in Waldur, and by \"limit\" in the file, which counts here",
            "component future: Waldur's billing type \"per-moon\" is unknown; its limits and usage are ignored"
        ]
    );
    let limits = Limits::from([("cpu".into(), at("1")), ("setup".into(), at("5")), ("future".into(), at("5"))]);
    let converted = merged.limits_to_backend(&limits).unwrap();
    assert_eq!(converted.into_iter().collect::<Vec<_>>(), [("cpu".to_owned(), backend("60000"))]);
}

#[test]
fn the_merge_takes_factor_limit_and_accounting_from_waldur() {
    let mut gpu = WaldurComponent::new("gpu", "limit");
    gpu.name = "GPUs".into();
    gpu.measured_unit = "hours".into();
    gpu.unit_factor = Some(60.into());
    gpu.limit_amount = Some(8.into());
    let before = slurm();
    let (merged, warnings) = before.merge_waldur(&[gpu, WaldurComponent::new("licence", "one")]);
    assert!(warnings.is_empty());
    assert_eq!((before.len(), merged.len()), (2, 4), "the configured snapshot stays as it was");
    let gpu = merged.get("gpu").unwrap();
    assert_eq!((gpu.label.as_str(), gpu.measured_unit.as_str()), ("GPUs", "hours"));
    assert_eq!(gpu.accounting_type, AccountingType::Limit);
    assert_eq!(gpu.unit_factor.decimal(), 60.into());
    assert_eq!(gpu.limit, Some(at("8")));
    let licence = merged.get("licence").unwrap();
    assert_eq!((licence.accounting_type, licence.is_prepaid), (AccountingType::One, Some(true)));
    assert_eq!(licence.unit_factor, UnitFactor::ONE);
}

#[test]
fn nonsense_from_waldur_is_warned_of_and_kills_nothing() {
    let mut odd = WaldurComponent::new("odd", waldur_sdk::types::BillingType::Usage);
    odd.unit_factor = Some(0.into());
    odd.limit_amount = Some((-7).into());
    let (merged, warnings) = Components::default().merge_waldur(&[odd]);
    let odd = merged.get("odd").unwrap();
    assert_eq!((odd.unit_factor, odd.limit), (UnitFactor::ONE, None));
    let warnings: Vec<_> = warnings.iter().map(Warning::text).collect();
    assert_eq!(
        warnings,
        ["Waldur's unit_factor is not greater than 0; 1 is used", "Waldur's limit_amount is negative; it is ignored"]
    );
}

#[test]
fn c47_what_either_side_calls_prepaid_is() {
    for (ours, theirs, merged_to, warned) in [
        (None, Some(true), Some(true), false),
        (Some(false), Some(true), Some(true), true),
        (Some(true), Some(false), Some(true), false),
        (Some(false), Some(false), Some(false), false),
        (None, None, None, false),
    ] {
        let mut file = component("cpu", AccountingType::Limit, "1");
        file.is_prepaid = ours;
        let mut waldur = WaldurComponent::new("cpu", "limit");
        waldur.is_prepaid = theirs;
        let (merged, warnings) = Components::from_iter([file]).merge_waldur(&[waldur.clone()]);
        assert_eq!((merged.get("cpu").unwrap().is_prepaid, warnings.len()), (merged_to, usize::from(warned)));
        let (adopted, _) = Components::default().merge_waldur(&[waldur]);
        assert_eq!(adopted.get("cpu").unwrap().is_prepaid, theirs);
    }
}

/// The numbers of case 26, without its order.
#[test]
fn limits_are_multiplied_by_the_unit_factor() {
    let components = slurm();
    for (name, limit, expected) in [
        ("cpu", at("101"), backend("6060000")),
        ("mem", at("301"), backend("18493440")),
        ("cpu", at("0"), backend("0")),
        ("cpu", at("0.5"), backend("30000")),
        ("mem", Limit::Unlimited, BackendLimit::Unlimited),
    ] {
        assert_eq!(components.limit_to_backend(name, limit).unwrap(), expected, "{name} {limit}");
    }
    let thirds: Components = [component("x", AccountingType::Limit, "0.3")].into_iter().collect();
    let BackendLimit::At(amount) = thirds.limit_to_backend("x", at("3")).unwrap() else { panic!("has a ceiling") };
    assert_eq!((amount.decimal(), amount.whole().unwrap()), (decimal("0.9"), 0), "whole units truncate");
}

#[test]
fn amounts_of_the_back_end_are_divided() {
    let mut cpu = component("cpu", AccountingType::Usage, "60000");
    let waldur = |components: &Components, amount: u64| components.to_waldur("cpu", amount.into()).unwrap().decimal();
    let components: Components = [cpu.clone()].into_iter().collect();
    assert_eq!(waldur(&components, 6_060_000), 101.into());
    assert_eq!(waldur(&components, 30_000), decimal("0.5"));
    assert_eq!(components.usage_to_waldur("cpu", 30_000.into()).unwrap().decimal(), decimal("0.5"));
    cpu.unit_factor_reporting = Some(UnitFactor::new(1000.into()).unwrap());
    let components: Components = [cpu].into_iter().collect();
    assert_eq!(components.usage_to_waldur("cpu", 30_000.into()).unwrap().decimal(), 30.into());
    assert_eq!(waldur(&components, 30_000), decimal("0.5"), "limits keep their own factor");
}

#[test]
fn a_component_billed_by_usage_brings_its_static_limit() {
    let mut storage = component("storage", AccountingType::Usage, "1024");
    storage.limit = Some(at("2"));
    let mut licence = component("licence", AccountingType::Limit, "1");
    licence.limit = Some(at("9"));
    let components: Components = [storage, licence].into_iter().collect();
    let converted = components.limits_to_backend(&Limits::new()).unwrap();
    assert_eq!(converted.into_iter().collect::<Vec<_>>(), [("storage".to_owned(), backend("2048"))]);
    let own = components.limits_to_backend(&Limits::from([("storage".into(), at("1"))])).unwrap();
    assert_eq!(own["storage"], backend("1024"), "the resource's own limit wins");
}

#[test]
fn unknown_components_and_overflows_are_clear_errors() {
    let components = slurm();
    for error in [
        components.limit_to_backend("gpu", at("1")).unwrap_err(),
        components.limits_to_backend(&Limits::from([("gpu".into(), at("1"))])).unwrap_err(),
        components.to_waldur("gpu", 1_u64.into()).unwrap_err(),
        components.usage_to_waldur("gpu", 1_u64.into()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), "component \"gpu\" is neither configured nor in Waldur; known: cpu, mem");
    }
    let error = Components::default().require("gpu").unwrap_err();
    assert_eq!(error.to_string(), "component \"gpu\" is neither configured nor in Waldur; known: none");
    let largest = Limit::At(WaldurAmount::new(Decimal::MAX));
    assert_eq!(components.limit_to_backend("cpu", largest).unwrap_err().kind(), ErrorKind::InvalidRequest);
}
