//! The back end's side, which it looks at itself.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use waldur_sdk::{
    backend::{Finding, OfferingFacts, OpContext, Outcome},
    process::OfferingContext,
    rest::TracingObserver,
    settings::{AgentSettings, OfferingSettings},
};

use super::PATIENCE;
use crate::{
    config,
    site::{Draft, Site},
};

/// What a back end finds out about itself.
pub(super) async fn findings(
    site: &Site,
    settings: &AgentSettings,
    offering: &OfferingSettings,
    backend_type: &str,
    context: Option<&OfferingContext>,
) -> Vec<Finding> {
    let named = |check: &str| format!("{backend_type}: {check}");
    let components = context.map_or(&offering.components, |context| &context.components);
    let draft = Draft { components, facts: context.map_or_else(OfferingFacts::default, OfferingContext::facts) };
    let backend = match site.backend(settings, offering, backend_type, draft, TracingObserver) {
        Ok((backend, _)) => backend,
        Err(error) => {
            let problems = config::lines(&error);
            return problems.iter().map(|problem| Finding::new(named("settings"), Outcome::Failed, problem)).collect();
        }
    };
    let cx = OpContext::new("diagnose").with_deadline(site.environment().instant().checked_add(PATIENCE));
    let looking = AssertUnwindSafe(backend.diagnose(&cx)).catch_unwind();
    let mut findings = match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(_)) => vec![Finding::new("diagnosis", Outcome::Failed, "a defect of the back end ended it")],
        Err(_) => vec![Finding::new("diagnosis", Outcome::Failed, format!("no answer in {} s", PATIENCE.as_secs()))],
    };
    for finding in &mut findings {
        finding.check = named(&finding.check);
    }
    findings
}
