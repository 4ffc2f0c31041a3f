//! Replacing keys, one at a time.

use futures_util::{StreamExt, stream};
use jiff::SignedDuration;

use super::{
    Before, KeyProcessor, KeyRotation, RotationOutcome, StuckKeys, grace, known, listed, provision::whole, prune,
};
use crate::{
    backend::{ApiKeys, IssuedKey, MarketplaceResource, OpContext},
    client::{Feature, ResourceApiKey, ResourceApiKeyQuery, ResourceApiKeyState, WaldurClient},
    error::{Effect, Error, ErrorKind, Result},
    process::{
        Warning,
        failure::{describe, shielded},
    },
    types::{ApiKeyUuid, BackendId, ResourceUuid},
};

/// What the work on one key needs.
pub(super) struct Work<'a> {
    pub(super) waldur: &'a WaldurClient,
    pub(super) keys: &'a dyn ApiKeys,
    pub(super) cx: &'a OpContext,
    pub(super) side: &'a MarketplaceResource,
    pub(super) id: &'a BackendId,
    pub(super) key: ApiKeyUuid,
}

impl KeyProcessor {
    /// Replaces a key and hands the new one over, as the event `resource_api_key_rotation` asks (core.md §2.11). The
    /// event is a hint: whether the key has to be replaced, and its first half, are read again. Only if this account
    /// may never read them, what the event says counts.
    ///
    /// | what goes wrong | what happens |
    /// |---|---|
    /// | Waldur does not say now what is wanted, or whether it has got the new key | the key goes on waiting |
    /// | the resource is not one of this offering, or is not in use | nothing is done on either side |
    /// | anything else | the key becomes `Erred`, so that the customer sees it |
    pub async fn rotate(
        &self,
        cx: &OpContext,
        key: ApiKeyUuid,
        resource: ResourceUuid,
        client_id: Option<&str>,
    ) -> KeyRotation {
        let (this, cx, client_id) = (self.clone(), cx.child(key.hex()), client_id.map(str::to_owned));
        let work = async move {
            let mut warnings = Vec::new();
            let outcome = this.rotate_alone(&cx, key, resource, client_id, &mut warnings).await;
            KeyRotation { key, resource, outcome, warnings }
        };
        self.0.served.lanes.run(resource, work).await
    }

    /// Looks for keys that have waited to be replaced for too long, because an event was lost or a process died, and
    /// replaces them. Rows without a first half or a back-end id are passed over.
    ///
    /// # Errors
    /// When the keys cannot be listed. A server that has none has none that are stuck.
    pub async fn reconcile_stuck(&self, cx: &OpContext) -> Result<StuckKeys> {
        let mut report = StuckKeys::default();
        let waldur = self.waldur(cx);
        if self.backend().keys().is_none() || waldur.features().is_missing(Feature::ApiKeys) {
            return Ok(report);
        }
        let age = SignedDuration::try_from(self.policy().stuck_after).unwrap_or(SignedDuration::MAX);
        let Ok(before) = waldur.environment().now().checked_sub(age) else { return Ok(report) };
        let query = ResourceApiKeyQuery::offering(self.offering())
            .states([ResourceApiKeyState::Updating])
            .modified_before(before);
        let listing = match waldur.api_keys().list(&query).collect().await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                waldur.features().note(&error);
                return Ok(report);
            }
            listing => listing?,
        };
        let (rows, unreadable, gap) = listing.into_parts();
        report.unreadable = unreadable;
        report.listing_gap = gap;
        let mut stuck = Vec::new();
        for row in rows {
            match reason_to_skip(&row, before) {
                Some(why) => report.skipped.push((row.uuid, why)),
                None => stuck.extend(row.resource_uuid.map(|resource| (row.uuid, resource, row.client_id))),
            }
        }
        report.rotations = stream::iter(stuck)
            .map(|(key, resource, client_id)| async move { self.rotate(cx, key, resource, client_id.as_deref()).await })
            .buffer_unordered(self.policy().concurrency.max(1))
            .collect()
            .await;
        Ok(report)
    }

    async fn rotate_alone(
        &self,
        cx: &OpContext,
        key: ApiKeyUuid,
        resource: ResourceUuid,
        client_id: Option<String>,
        warnings: &mut Vec<Warning>,
    ) -> RotationOutcome {
        if let Err(error) = cx.checkpoint() {
            return RotationOutcome::Deferred(error);
        }
        let Some(keys) = self.backend().keys() else { return RotationOutcome::Unsupported };
        let waldur = self.waldur(cx);
        let outcome = async {
            let row = match waldur.provider_resources().get(resource).await {
                Ok(row) => row,
                // Whose it is, nobody can tell.
                Err(error) if error.is_not_found() => return Ok(RotationOutcome::Refused(error)),
                Err(error) => return Err(error),
            };
            if let Some(refusal) = self.refusal(&row) {
                return Ok(RotationOutcome::Refused(refusal));
            }
            if self.policy().dry_run {
                return Ok(RotationOutcome::DryRun);
            }
            let (side, id) = self.subject(&row)?;
            Work { waldur: &waldur, keys, cx, side: &side, id: &id, key }.carry_out(client_id, warnings).await
        };
        match outcome.await {
            Ok(outcome) => outcome,
            // We were stopped; nothing is wrong with the key.
            Err(error) if is_stop(&error, cx, &waldur) => RotationOutcome::Deferred(error),
            Err(error) => {
                if self.policy().dry_run {
                    return RotationOutcome::Deferred(error);
                }
                let text = describe(&error, self.policy().expose_error_details);
                let (_, waldur) = grace(cx, &waldur);
                match waldur.api_keys().set_erred(key, text.message()).await {
                    Ok(()) => RotationOutcome::Erred(error),
                    Err(cause) => RotationOutcome::NotReported(error, cause),
                }
            }
        }
    }
}

impl Work<'_> {
    async fn carry_out(self, client_id: Option<String>, warnings: &mut Vec<Warning>) -> Result<RotationOutcome> {
        let mut client_id = client_id.filter(|text| !text.trim().is_empty());
        let before = Before::look(self.keys, self.cx, self.side, self.id).await;
        match listed(self.waldur, self.side.uuid).await {
            Ok(rows) => {
                match rows.items().iter().find(|row| row.uuid == self.key) {
                    Some(row) if is_wanted(row) => client_id = row.client_id.clone().or(client_id),
                    _ => return Ok(RotationOutcome::NotWanted),
                }
                // What an earlier replacement minted before it was cut short is not among them.
                if let Some(known) = known(&rows)
                    && let Err(error) = prune(self.keys, self.cx, self.side, self.id, &before, &known).await
                {
                    warnings.push(Warning { step: "prune api keys", error });
                }
            }
            // The event may be an old one: it would replace a key that nobody wants replaced. The key goes on waiting, and
            // whoever looks for those that wait finds it.
            Err(error) if !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                return Ok(RotationOutcome::Deferred(error));
            }
            // No look will ever tell more.
            Err(error) => warnings.push(Warning { step: "api keys", error }),
        }
        let Some(client_id) = client_id else {
            return Err(Error::new(ErrorKind::InvalidRequest, "nobody knows which key of the back end this is"));
        };
        self.cx.step("rotate api key");
        match self.replace(&client_id, warnings).await {
            Ok(_) => Ok(RotationOutcome::Rotated),
            Err(Unreplaced::Unknown(error)) => Ok(RotationOutcome::Deferred(error)),
            Err(Unreplaced::Failed(error)) => Err(error),
        }
    }

    /// Replaces the key on the back end and hands the new one over: its first half.
    pub(super) async fn replace(
        &self,
        client_id: &str,
        warnings: &mut Vec<Warning>,
    ) -> std::result::Result<String, Unreplaced> {
        let issued = shielded(self.keys.rotate(self.cx, self.side, self.id, client_id)).await.and_then(whole)?;
        let error = match self.hand_over(&issued, client_id, warnings).await {
            Err(Unreplaced::Failed(error)) => error,
            Err(unknown) => return Err(unknown),
            Ok(()) => return Ok(issued.client_id),
        };
        // The old key is gone and the new one is nobody's.
        if issued.client_id != client_id {
            let (cx, _) = grace(self.cx, self.waldur);
            let back = self.keys.revoke(&cx, self.side, self.id, &issued.client_id);
            if let Err(error) = shielded(back).await {
                warnings.push(Warning { step: "revoke api key", error });
            }
        }
        Err(Unreplaced::Failed(error))
    }

    async fn hand_over(
        &self,
        issued: &IssuedKey,
        old: &str,
        warnings: &mut Vec<Warning>,
    ) -> std::result::Result<(), Unreplaced> {
        let client_id = Some(issued.client_id.as_str()).filter(|client_id| *client_id != old);
        let (_, waldur) = grace(self.cx, self.waldur);
        let Err(error) = waldur.api_keys().set_key(self.key, client_id, &issued.secret).await else {
            return Ok(());
        };
        if error.effect() != Effect::Unknown {
            return Err(Unreplaced::Failed(error));
        }
        // The answer may be all that got lost.
        let (_, waldur) = grace(self.cx, self.waldur);
        match listed(&waldur, self.side.uuid).await {
            Ok(rows) => {
                // Where the state is not said, a new first half says as much.
                let has_ended = |row: &ResourceApiKey| {
                    row.state.as_ref().map_or(client_id.is_some(), |state| *state != ResourceApiKeyState::Updating)
                };
                let is_there = rows.items().iter().any(|row| {
                    row.uuid == self.key && has_ended(row) && row.client_id.as_deref() == Some(&issued.client_id)
                });
                if is_there { Ok(()) } else { Err(Unreplaced::Failed(error)) }
            }
            // It may be handed over, so it stays. Whoever comes back sees.
            Err(cause) => {
                warnings.push(Warning { step: "api keys", error: cause });
                Err(Unreplaced::Unknown(error))
            }
        }
    }
}

/// Why a key was not replaced.
pub(super) enum Unreplaced {
    /// The new key may have been handed over, and nobody can tell.
    Unknown(Error),
    /// It was not.
    Failed(Error),
}

impl From<Error> for Unreplaced {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Whether the caller's word or the end of the time stopped it, and not a failure.
pub(super) fn is_stop(error: &Error, cx: &OpContext, waldur: &WaldurClient) -> bool {
    let is_over = || cx.deadline.is_some_and(|deadline| waldur.environment().instant() >= deadline);
    match error.kind() {
        ErrorKind::Cancelled | ErrorKind::DeadlineExceeded => true,
        ErrorKind::Timeout => is_over(),
        _ => false,
    }
}

fn is_wanted(row: &ResourceApiKey) -> bool {
    row.state.as_ref().is_none_or(|state| *state == ResourceApiKeyState::Updating)
}

fn reason_to_skip(row: &ResourceApiKey, before: jiff::Timestamp) -> Option<&'static str> {
    if row.client_id.is_none() {
        Some("it has no client id")
    } else if row.resource_backend_id.is_none() {
        Some("its resource has no back-end id")
    } else if row.resource_uuid.is_none() {
        Some("its resource is not named")
    } else if row.modified.is_none_or(|modified| modified >= before) || !is_wanted(row) {
        // A filter that the server does not know is ignored.
        Some("it has not waited for long")
    } else {
        None
    }
}
