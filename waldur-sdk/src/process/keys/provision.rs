//! Bringing the keys of one resource to their number.

use std::ops::ControlFlow;

use super::{KeyProvision, TARGET, grace, known, listed, prune};
use crate::{
    backend::{ApiKeys, IssuedKey, MarketplaceResource, OpContext},
    client::{Feature, WaldurClient},
    error::{Effect, Error, ErrorClass, ErrorKind, Result},
    process::{Warning, failure::shielded},
    rest::Complete,
    types::BackendId,
};

/// The keys of one resource. Whoever runs it has the resource's lane.
pub(in crate::process) struct Provision<'a> {
    pub(in crate::process) waldur: &'a WaldurClient,
    pub(in crate::process) keys: &'a dyn ApiKeys,
    pub(in crate::process) cx: &'a OpContext,
    pub(in crate::process) side: &'a MarketplaceResource,
    pub(in crate::process) id: &'a BackendId,
    /// Whether an earlier attempt at this order may have minted keys already.
    pub(in crate::process) resumes: bool,
    /// Whether this order makes the resource, so that no key of it can be older.
    pub(in crate::process) is_new: bool,
}

impl Provision<'_> {
    /// Everything that goes wrong is in the report: what passes is why it stopped, and the rest are warnings.
    pub(in crate::process) async fn run(self) -> KeyProvision {
        let mut report = KeyProvision::default();
        if let Err(error) = self.bring_to_number(&mut report).await {
            report.deferred = Some(error);
        }
        report
    }

    /// What [`Self::run`] would make.
    pub(in crate::process) async fn plan(self) -> KeyProvision {
        let mut report = KeyProvision::default();
        if let ControlFlow::Continue(known) = self.look(&mut report).await {
            report.planned = missing(known.as_ref());
        }
        report
    }

    /// # Errors
    /// Only for a passing reason: whoever called comes back.
    async fn bring_to_number(&self, report: &mut KeyProvision) -> Result<()> {
        let ControlFlow::Continue(known) = self.look(report).await else { return Ok(()) };
        if let Some(known) = &known {
            self.prune(known, report).await;
        }
        for _missing in 0..missing(known.as_ref()) {
            self.cx.checkpoint()?;
            if !self.add(report).await? {
                break;
            }
        }
        if known.is_none() && self.resumes && !report.reported.is_empty() {
            if self.is_new {
                self.tidy(report).await;
            } else {
                // What the earlier attempt left and what customers have from before look alike.
                report.needs_review = true;
            }
        }
        Ok(())
    }

    /// What is known of the keys, unless the server has none.
    async fn look(&self, report: &mut KeyProvision) -> ControlFlow<(), Option<Complete<String>>> {
        if self.waldur.features().is_missing(Feature::ApiKeys) {
            return ControlFlow::Break(());
        }
        match self.known().await {
            Ok(known) => ControlFlow::Continue(known),
            Err(error) if error.class() == ErrorClass::Unsupported => {
                // Nobody to hand keys over to.
                self.waldur.features().note(&error);
                report.warn("api keys", error);
                ControlFlow::Break(())
            }
            Err(error) => {
                report.warn("api keys", error);
                report.needs_review = true;
                ControlFlow::Continue(None)
            }
        }
    }

    async fn known(&self) -> Result<Option<Complete<String>>> {
        self.cx.step("api keys");
        listed(self.waldur, self.side.uuid).await.map(known)
    }

    async fn prune(&self, known: &Complete<String>, report: &mut KeyProvision) {
        match prune(self.keys, self.cx, self.side, self.id, known).await {
            Ok(pruned) => report.pruned += pruned,
            Err(error) => {
                report.warn("prune api keys", error);
                report.needs_review = true;
            }
        }
    }

    /// Removes what an earlier attempt minted and did not report. When that cannot be done now, nobody comes back for
    /// it: coming back would mint again while the list cannot be had.
    async fn tidy(&self, report: &mut KeyProvision) {
        match self.known().await {
            Ok(Some(known)) => self.prune(&known, report).await,
            // Keys without their first half: nobody can tell.
            Ok(None) => report.needs_review = true,
            Err(error) => {
                report.warn("api keys", error);
                report.needs_review = true;
            }
        }
    }

    /// Makes one key and hands it over; whether to go on.
    async fn add(&self, report: &mut KeyProvision) -> Result<bool> {
        let minted = shielded(self.keys.mint(self.cx, self.side, self.id)).await.and_then(whole);
        let failure = match minted {
            Ok(issued) => match self.hand_over(&issued, report).await {
                Ok(()) => {
                    report.reported.push(issued.client_id);
                    return Ok(true);
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        if passes(&failure) {
            // Something may have been made all the same.
            report.needs_review |= failure.effect() == Effect::Unknown;
            return Err(failure);
        }
        report.warn("api keys", failure);
        report.needs_review = true;
        Ok(false)
    }

    /// Reports a key. One that Waldur does not take is taken back, lest it live on unknown (faults.md row 122).
    async fn hand_over(&self, issued: &IssuedKey, report: &mut KeyProvision) -> Result<()> {
        let (_, waldur) = grace(self.cx, self.waldur);
        let Err(error) = waldur.api_keys().report_created(self.side.uuid, &issued.client_id, &issued.secret).await
        else {
            return Ok(());
        };
        if error.effect() == Effect::Unknown || error.kind() == ErrorKind::Conflict {
            // The answer may be all that got lost.
            let (_, waldur) = grace(self.cx, self.waldur);
            match listed(&waldur, self.side.uuid).await {
                Ok(rows) if rows.items().iter().any(|row| row.client_id.as_deref() == Some(&issued.client_id)) => {
                    return Ok(());
                }
                Ok(_) => {}
                // It may be handed over, so it stays. Whoever comes back sees.
                Err(cause) => {
                    report.warn("api keys", cause);
                    report.needs_review = true;
                    return Err(error);
                }
            }
        }
        let (cx, _) = grace(self.cx, self.waldur);
        let back = self.keys.revoke(&cx, self.side, self.id, &issued.client_id);
        if let Err(cause) = shielded(back).await {
            report.warn("revoke api key", cause);
            report.needs_review = true;
        }
        Err(error)
    }
}

impl KeyProvision {
    fn warn(&mut self, step: &'static str, error: Error) {
        self.warnings.push(Warning { step, error });
    }
}

/// How many are to be made.
fn missing(known: Option<&Complete<String>>) -> usize {
    TARGET.saturating_sub(known.map_or(0, |known| known.items().len()))
}

/// Whether it is worth coming back.
fn passes(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::Transient | ErrorClass::NotReady)
}

/// Both halves, or nothing that could be handed over.
pub(super) fn whole(issued: IssuedKey) -> Result<IssuedKey> {
    use secrecy::ExposeSecret;

    if issued.client_id.trim().is_empty() || issued.secret.expose_secret().is_empty() {
        return Err(Error::new(ErrorKind::Inconsistent, "the back end made a key without one of its halves"));
    }
    Ok(issued)
}
