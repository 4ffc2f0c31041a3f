//! Components on both sides.

use waldur_sdk::{
    backend::{Finding, Outcome},
    client::OfferingComponent,
    process::OfferingContext,
    settings::{AccountingType, Component, OfferingSettings},
};

/// What the file and Waldur do not agree on.
pub(super) fn findings(offering: &OfferingSettings, context: &OfferingContext) -> Vec<Finding> {
    let theirs = &context.offering.components;
    let mut findings = Vec::new();
    let missing = context.unknown_to_waldur();
    if !missing.is_empty() {
        let detail = format!("Waldur does not have {}: nothing of it can be ordered or reported", missing.join(", "));
        let remedy = "waldur-agent load-components, or correct the names in backend_components";
        findings.push(Finding::new("components", Outcome::Failed, detail).with_remedy(remedy));
    }
    let ours = |kind: &str| offering.components.get(kind);
    let unknown: Vec<_> = theirs.iter().map(|one| one.kind.as_str()).filter(|kind| ours(kind).is_none()).collect();
    if !unknown.is_empty() {
        let detail = format!("the settings do not have {}; Waldur's units are taken for it", unknown.join(", "));
        findings.push(Finding::new("components", Outcome::Warning, detail));
    }
    for one in theirs {
        let Some(component) = ours(&one.kind) else { continue };
        let differences = differences(component, one);
        if !differences.is_empty() {
            let detail = format!("{}: {}", one.kind, differences.join("; "));
            let remedy = "waldur-agent load-components, or correct backend_components";
            findings.push(Finding::new("components", Outcome::Warning, detail).with_remedy(remedy));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::passed("components", format!("{} on both sides", theirs.len())));
    }
    findings
}

fn differences(ours: &Component, theirs: &OfferingComponent) -> Vec<String> {
    let mut differences = Vec::new();
    if let Some(billing) = &theirs.billing_type
        && AccountingType::from(billing) != ours.accounting_type
    {
        let accounting = format!("{:?}", ours.accounting_type).to_lowercase();
        differences.push(format!("accounted by {accounting} here, by {billing} in Waldur"));
    }
    let unit = theirs.measured_unit.as_deref().unwrap_or_default();
    if unit != ours.measured_unit {
        differences.push(format!("measured in {:?} here, in {unit:?} in Waldur", ours.measured_unit));
    }
    differences
}
