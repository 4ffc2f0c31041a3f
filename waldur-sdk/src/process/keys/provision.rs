//! Bringing the keys of one resource to their number.

use std::ops::ControlFlow;

use super::{
    Before, BlindKeys, KeyProvision, TARGET, grace, known, listed, prune,
    rotate::{Unreplaced, Work, is_stop},
};
use crate::{
    backend::{ApiKeys, CONSISTENCY, IssuedKey, MarketplaceResource, OpContext, read_back},
    client::{Feature, ResourceApiKey, WaldurClient},
    error::{Effect, Error, ErrorClass, ErrorKind, Result},
    process::{Warning, failure::shielded},
    rest::Complete,
    types::BackendId,
};

/// So many keys of a resource that Waldur does not list are enough.
const MANY: usize = 2 * TARGET;

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
    /// Whether keys that Waldur lists may be dead: those of a resource that had ended.
    pub(in crate::process) renews: bool,
    /// Whether what Waldur does not list stays: customers may have it from before there were API keys.
    pub(in crate::process) keeps: bool,
    pub(in crate::process) blind: &'a BlindKeys,
}

/// What Waldur says of the keys of a resource.
enum Sight {
    /// All of them, each with its first half.
    Known { names: Complete<String>, rows: Complete<ResourceApiKey> },
    /// There are none in its list.
    Empty,
    /// Nothing that could be relied on.
    Unknown,
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
        if let ControlFlow::Continue(sight) = self.look(&mut report).await {
            report.planned = self.missing(&sight);
        }
        report
    }

    /// # Errors
    /// Only for a passing reason: whoever called comes back.
    async fn bring_to_number(&self, report: &mut KeyProvision) -> Result<()> {
        let ControlFlow::Continue((before, sight)) = self.look_at_both(report).await else { return Ok(()) };
        if let Sight::Known { names, rows } = &sight {
            self.blind.forget(self.side.uuid);
            if let Some(before) = &before {
                self.prune(before, names, report).await;
            }
            if self.renews {
                self.renew(rows, report).await?;
            }
        }
        let is_blind = matches!(sight, Sight::Unknown);
        report.needs_review |= is_blind;
        let is_doubtful = self.keeps && matches!(sight, Sight::Empty);
        if is_doubtful && !self.lacks(report).await? {
            return Ok(());
        }
        for _missing in 0..self.missing(&sight) {
            self.cx.checkpoint()?;
            if !self.add(is_blind, report).await? {
                break;
            }
            // Of a list that is cut down to what a token may see, an empty one would call for more each time.
            if is_doubtful && report.reported.len() == 1 && !self.shows(report).await? {
                break;
            }
        }
        if !matches!(sight, Sight::Known { .. }) && self.resumes && !report.reported.is_empty() {
            if self.is_new {
                self.tidy(report).await;
            } else {
                // What the earlier attempt left and what customers have from before look alike.
                report.needs_review = true;
            }
        }
        Ok(())
    }

    /// How many are to be made.
    fn missing(&self, sight: &Sight) -> usize {
        TARGET.saturating_sub(match sight {
            Sight::Known { names, .. } => names.items().len(),
            Sight::Empty => 0,
            Sight::Unknown => self.blind.of(self.side.uuid),
        })
    }

    /// Replaces keys that may be dead.
    async fn renew(&self, rows: &Complete<ResourceApiKey>, report: &mut KeyProvision) -> Result<()> {
        let Self { waldur, keys, cx, side, id, .. } = *self;
        for row in rows.items() {
            let Some(client_id) = &row.client_id else { continue };
            cx.checkpoint()?;
            let work = Work { waldur, keys, cx, side, id, key: row.uuid };
            match work.replace(client_id, &mut report.warnings).await {
                Ok(client_id) => report.reported.push(client_id),
                Err(Unreplaced::Failed(error) | Unreplaced::Unknown(error)) => {
                    report.needs_review = true;
                    if error.is_passing() {
                        return Err(error);
                    }
                    report.warn("api keys", error);
                }
            }
        }
        Ok(())
    }

    /// What the back end had before Waldur was asked, and what Waldur said. Of a resource that was made a moment ago by this
    /// very run Waldur lists none, and nothing is pruned: the back end is asked only if it does.
    async fn look_at_both(&self, report: &mut KeyProvision) -> ControlFlow<(), (Option<Before>, Sight)> {
        if self.keeps {
            return ControlFlow::Continue((None, self.look(report).await?));
        }
        if self.is_new && !self.resumes {
            let sight = self.look(report).await?;
            if !matches!(sight, Sight::Known { .. }) {
                return ControlFlow::Continue((None, sight));
            }
        }
        let before = self.before().await;
        ControlFlow::Continue((Some(before), self.look(report).await?))
    }

    /// What is known of the keys, unless the server has none.
    async fn look(&self, report: &mut KeyProvision) -> ControlFlow<(), Sight> {
        if self.waldur.features().is_missing(Feature::ApiKeys) {
            return ControlFlow::Break(());
        }
        match self.sight().await {
            Ok(sight) => ControlFlow::Continue(sight),
            Err(error) if error.class() == ErrorClass::Unsupported => {
                // Nobody to hand keys over to.
                self.waldur.features().note(&error);
                report.warn("api keys", error);
                ControlFlow::Break(())
            }
            Err(error) => {
                report.warn("api keys", error);
                ControlFlow::Continue(Sight::Unknown)
            }
        }
    }

    async fn sight(&self) -> Result<Sight> {
        self.cx.step("api keys");
        let rows = listed(self.waldur, self.side.uuid).await?;
        Ok(match known(&rows) {
            Some(names) => Sight::Known { names, rows },
            None if rows.items().is_empty() => Sight::Empty,
            None => Sight::Unknown,
        })
    }

    /// Whether a resource of which Waldur lists no key has not got many, as far as the back end tells. Earlier runs may have
    /// made those, of which nothing is remembered. What is there and cannot be told is not known to be many.
    ///
    /// # Errors
    /// When the back end is down, or it was stopped.
    async fn lacks(&self, report: &mut KeyProvision) -> Result<bool> {
        let number = match self.before().await.0 {
            Ok(live) => live.map_or(0, |live| live.len()),
            Err(error) if is_down(&error) || is_stop(&error, self.cx, self.waldur) => return Err(error),
            // Whoever makes the first one learns more.
            Err(_unread) => 0,
        };
        if number >= MANY {
            let text = format!("there are {number} keys that Waldur does not list: no more are made");
            report.warn("api keys", Error::new(ErrorKind::Inconsistent, text));
            (report.is_hopeless, report.needs_review) = (true, true);
        }
        Ok(number < MANY)
    }

    /// Whether Waldur lists a key that it was handed a moment ago, as far as it says. A replica may lag.
    ///
    /// # Errors
    /// When it was stopped.
    async fn shows(&self, report: &mut KeyProvision) -> Result<bool> {
        let look = || async {
            match self.sight().await {
                Ok(Sight::Empty) => {
                    let text = "Waldur has taken a key and does not list it: no more are made, lest there be two more each \
                                time";
                    Err(Error::new(ErrorKind::Inconsistent, text))
                }
                _ => Ok(()),
            }
        };
        match read_back(self.cx, self.waldur.environment(), CONSISTENCY, look).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Inconsistent => {
                (report.is_unlisted, report.is_hopeless, report.needs_review) = (true, true, true);
                report.warn("api keys", error);
                Ok(false)
            }
            Err(stopped) => Err(stopped),
        }
    }

    async fn before(&self) -> Before {
        Before::look(self.keys, self.cx, self.side, self.id).await
    }

    async fn prune(&self, before: &Before, known: &Complete<String>, report: &mut KeyProvision) {
        match prune(self.keys, self.cx, self.side, self.id, before, known).await {
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
        let before = self.before().await;
        match self.sight().await {
            Ok(Sight::Known { names, .. }) => self.prune(&before, &names, report).await,
            // Keys without their first half: nobody can tell.
            Ok(_) => report.needs_review = true,
            Err(error) => {
                report.warn("api keys", error);
                report.needs_review = true;
            }
        }
    }

    /// Makes one key and hands it over; whether to go on.
    async fn add(&self, is_blind: bool, report: &mut KeyProvision) -> Result<bool> {
        let minted = shielded(self.keys.mint(self.cx, self.side, self.id)).await.and_then(whole);
        let failure = match minted {
            Ok(issued) => match self.hand_over(&issued, report).await {
                Ok(()) => {
                    if is_blind {
                        self.blind.one_more(self.side.uuid);
                    }
                    report.reported.push(issued.client_id);
                    return Ok(true);
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        if failure.is_passing() {
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
                    self.blind.one_more(self.side.uuid);
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

/// Whether the same would come of asking for anything else.
pub(super) fn is_down(error: &Error) -> bool {
    error.is_outage() || error.kind() == ErrorKind::Unauthenticated
}

/// Both halves, or nothing that could be handed over.
pub(super) fn whole(issued: IssuedKey) -> Result<IssuedKey> {
    use secrecy::ExposeSecret;

    if issued.client_id.trim().is_empty() || issued.secret.expose_secret().is_empty() {
        return Err(Error::new(ErrorKind::Inconsistent, "the back end made a key without one of its halves"));
    }
    Ok(issued)
}
