//! Reading both sides in bulk.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use futures_util::{
    StreamExt,
    future::{join, join3, join4},
    stream,
};

use super::{
    MembershipSync, guard,
    listed::{self, Accounts, ProjectAccounts, UserLimitTable},
    pass::{Pass, Scope, sharers, team_key},
    report::MembershipReport,
    team::Roster,
};
use crate::{
    backend::{Aspects, ById, LimitsAuthority, OpContext, ResourceState},
    client::{
        AttributeExposure, Feature, OfferingUser, OfferingUserQuery, OfferingUserState, ProjectAccount, Resource,
        UserUsageLimitQuery,
    },
    error::{Error, Result},
    naming::NamedBy,
    process::{
        Warning,
        failure::shielded,
        usernames::{NameGiver, UsernameReport, request},
    },
    rest::{Complete, Pager},
    types::{BackendId, Limits, Personal, Uuid},
};

impl MembershipSync {
    /// Reads everything that the resources need, and gives names to people on the way.
    pub(super) async fn gather(
        &self,
        cx: &OpContext,
        rows: &[Arc<Resource>],
        scope: Scope,
        report: &mut MembershipReport,
    ) -> Pass {
        let ids = Self::resource_ids(rows);
        let (accounts, project_accounts, user_limits, on_backend) = join4(
            self.accounts(cx),
            self.project_accounts(cx),
            self.user_limits(cx, scope),
            self.look(cx, &ids, scope),
        )
        .await;
        let (accounts, usernames, warnings) = accounts;
        report.usernames = usernames;
        report.warnings.extend(warnings);
        let (project_accounts, account_warnings) = project_accounts;
        report.warnings.extend(account_warnings);
        let user_limits = user_limits.unwrap_or_else(|error| {
            report.warnings.push(Warning { step: "user limits", error });
            None
        });
        let (states, members, backend_user_limits) = on_backend;
        let (teams, elsewhere) = join(self.teams(cx, &accounts, rows), self.elsewhere(cx, rows)).await;
        let shared = sharers(rows);
        let mut pass = Pass {
            cx: cx.clone(),
            scope,
            accounts,
            project_accounts,
            teams,
            states,
            members,
            user_limits,
            backend_user_limits,
            shared,
            elsewhere,
            accounts_again: Mutex::default(),
            doubtful: false,
        };
        pass.doubtful = self.doubts(&pass, rows);
        pass
    }

    /// Whether so many would lose access to anything at all that something must be wrong.
    fn doubts(&self, pass: &Pass, rows: &[Arc<Resource>]) -> bool {
        let (mut removals, mut present) = (0_usize, 0_usize);
        for row in rows {
            let Some(Ok(Some(sight))) = row.backend_id.as_ref().map(|id| pass.sight(row, id)) else { continue };
            present += sight.present.map_or(0, |present| present.items().len());
            // Whoever is locked out by the resource itself is meant to be.
            if row.restrict_member_access != Some(true) {
                removals += self.plan(pass, &sight).members.remove.len();
            }
        }
        guard::exceeds(removals, present, &self.policy().removals)
    }

    /// The accounts of people at the offering, with their names as far as they can be given now.
    pub(super) async fn accounts(&self, cx: &OpContext) -> (Accounts, UsernameReport, Vec<Warning>) {
        let mut report = UsernameReport::default();
        let backend = self.backend();
        if backend.members().is_none() && backend.user_limits().is_none() && self.0.usernames.is_none() {
            return (Accounts::default(), report, Vec::new());
        }
        let mut warnings = Vec::new();
        let query = OfferingUserQuery::offering(self.offering());
        let (listing, named_by) = join(self.list_accounts(cx, query), self.named_by(cx)).await;
        let (mut rows, gap) = match listing {
            Ok(listing) => listing,
            Err(error) => {
                warnings.push(Warning { step: "accounts", error: error.clone() });
                return (Accounts::unread(error), report, warnings);
            }
        };
        if let Some(gap) = &gap {
            warnings.push(Warning { step: "accounts", error: gap.clone() });
        }
        match named_by {
            Ok(named_by) => report.named_by = named_by,
            Err(error) => report.warnings.push(Warning { step: "username policy", error }),
        }
        if let Some(usernames) = self.0.usernames.clone() {
            let (waldur, refused) = (self.waldur(cx), self.remember(|memory| memory.refused()));
            let giver = NameGiver {
                waldur: &waldur,
                backend: &*usernames,
                cx,
                concurrency: self.concurrency(),
                dry_run: self.policy().dry_run,
                refused: &refused,
            };
            if report.named_by == Some(NamedBy::Provider) {
                // A name that is on no list may be somebody's all the same.
                report.accounts = match &gap {
                    None => giver.refresh(&mut rows).await,
                    Some(gap) => NameGiver::put_off(&rows, gap),
                };
            }
            if self.policy().drive_deletion {
                report.accounts.extend(giver.begin_deletions(&mut rows).await);
            }
        }
        let accounts = Accounts::new(rows, gap);
        self.learn(&accounts);
        self.tell_profiles(cx, &accounts, &mut report).await;
        (accounts, report, warnings)
    }

    /// Accounts with the attributes that the offering is told. While the configuration cannot be read, the one that was
    /// read last holds; without any, no attribute is asked for.
    pub(super) async fn list_accounts(
        &self,
        cx: &OpContext,
        query: OfferingUserQuery,
    ) -> Result<(Vec<OfferingUser>, Option<Error>)> {
        let exposure = match self.exposure(cx).await {
            Ok(exposure) => exposure,
            Err(_) => self.remember(|memory| memory.last_attributes()).unwrap_or_else(AttributeExposure::none),
        };
        let query = query.attributes(exposure);
        let (mut rows, _, gap) = self.waldur(cx).offering_users().list(&query).collect().await?.into_parts();
        // A filter that a server does not know is ignored; an account elsewhere says nothing about one here.
        rows.retain(|row| row.offering_uuid.is_none_or(|offering| offering == self.offering()));
        Ok((rows, gap))
    }

    pub(super) fn learn(&self, accounts: &Accounts) {
        let bridged = self.backend().capabilities().identity_bridge;
        let now = self.environment().instant();
        self.remember(|memory| {
            for account in &accounts.rows {
                let key = if bridged { account.user_username.as_ref() } else { account.username.as_ref() };
                memory.learn_account(account, key, now);
            }
        });
    }

    /// Whose part it is to name people, where there is anybody here who could (core.md §3.3): one call in a pass.
    async fn named_by(&self, cx: &OpContext) -> Result<Option<NamedBy>> {
        if self.0.usernames.is_none() {
            return Ok(None);
        }
        let options = self.waldur(cx).provider_offerings().username_options(self.offering()).await?;
        Ok(Some(options.named_by()))
    }

    /// What the offering is told of people. A server that has no such configuration tells what it always did.
    async fn exposure(&self, cx: &OpContext) -> Result<AttributeExposure> {
        let now = self.environment().instant();
        if let Some(exposure) = self.remember(|memory| memory.attributes(now)) {
            return Ok(exposure);
        }
        if self.lacks(Feature::UserAttributeConfig) {
            return Ok(AttributeExposure::default());
        }
        match self.waldur(cx).provider_offerings().exposed_attributes(self.offering()).await {
            Ok(exposure) => {
                self.remember(|memory| memory.learn_attributes(now, exposure.clone()));
                Ok(exposure)
            }
            Err(error) if self.is_missing(&error) => Ok(AttributeExposure::default()),
            Err(error) => Err(error),
        }
    }

    /// Whether it was ever found out what the offering is told of people.
    fn knows_exposure(&self) -> bool {
        self.lacks(Feature::UserAttributeConfig) || self.remember(|memory| memory.last_attributes()).is_some()
    }

    async fn tell_profiles(&self, cx: &OpContext, accounts: &Accounts, report: &mut UsernameReport) {
        let Some(usernames) = self.0.usernames.clone() else { return };
        // Profiles without anything in them, since nobody knows what may be told, would wipe out what is known there.
        if self.policy().dry_run || accounts.gap.is_some() || !self.knows_exposure() {
            return;
        }
        let profiles: Vec<_> = accounts.rows.iter().filter(|account| is_active(account)).map(request).collect();
        if let Err(error) = shielded(usernames.sync_profiles(cx, &profiles)).await {
            report.warnings.push(Warning { step: "profiles", error });
        }
    }

    /// Tells the username back end of names whose people have no account any more. If so many are gone at once that
    /// the list may be wrong, it is told when they still are a while later.
    pub(super) async fn deactivate_departed(&self, cx: &OpContext, accounts: &Accounts, report: &mut UsernameReport) {
        let Some(usernames) = self.0.usernames.clone() else { return };
        if accounts.gap.is_some() || self.policy().dry_run {
            return;
        }
        let active: BTreeSet<Personal> = accounts
            .rows
            .iter()
            .filter(|account| is_active(account))
            .filter_map(|account| account.username.clone())
            .collect();
        let (now, guard, left) = (self.environment().instant(), &self.policy().removals, active.len());
        let departed = self.remember(|memory| memory.departed(&active, now));
        let doubtful = left == 0 || guard::exceeds(departed.len(), departed.len() + left, guard);
        let believed = departed
            .into_iter()
            .filter(|(_, since)| !doubtful || now.saturating_duration_since(*since) >= guard.confirm_after)
            .map(|(name, _)| name);
        let names: Vec<Personal> = believed.collect();
        if names.is_empty() {
            return;
        }
        let texts: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
        match shielded(usernames.deactivate(cx, &texts)).await {
            Ok(()) => {
                self.remember(|memory| memory.deactivated(&names));
                report.deactivated = names.len();
            }
            Err(error) => report.warnings.push(Warning { step: "deactivate", error }),
        }
    }

    /// The accounts that no person has. Without members nobody asks for them.
    pub(super) async fn project_accounts(&self, cx: &OpContext) -> (ProjectAccounts, Vec<Warning>) {
        let mut accounts = ProjectAccounts::default();
        let mut warnings = Vec::new();
        if self.backend().members().is_none() {
            return (accounts, warnings);
        }
        let waldur = self.waldur(cx);
        let offerings = waldur.provider_offerings();
        let service = self.account_list(Feature::ServiceAccounts, offerings.service_accounts(self.offering()));
        let course = self.account_list(Feature::CourseAccounts, offerings.course_accounts(self.offering()));
        let (service, course) = join(service, course).await;
        for (step, list) in [("service accounts", service), ("course accounts", course)] {
            let (rows, gap) = list;
            if let Some(error) = &gap {
                warnings.push(Warning { step, error: error.clone() });
            }
            accounts.add(rows, gap);
        }
        (accounts, warnings)
    }

    /// A server that has no such accounts has none; any other failure leaves a gap.
    async fn account_list(
        &self,
        feature: Feature,
        pager: Pager<ProjectAccount>,
    ) -> (Vec<ProjectAccount>, Option<Error>) {
        if self.lacks(feature) {
            return (Vec::new(), None);
        }
        match pager.collect().await {
            Ok(listing) => {
                let (rows, _, gap) = listing.into_parts();
                (rows, gap)
            }
            Err(error) if self.is_missing(&error) => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error)),
        }
    }

    /// The limits of single users in Waldur, all in one list, if the back end has such a thing.
    async fn user_limits(&self, cx: &OpContext, scope: Scope) -> Result<Option<UserLimitTable>> {
        if scope == Scope::Members || self.backend().user_limits().is_none() || self.lacks(Feature::UserLimits) {
            return Ok(None);
        }
        let query = UserUsageLimitQuery::offering(self.offering());
        match self.waldur(cx).user_usage_limits().list(&query).collect().await {
            Ok(listing) => Ok(Some(listed::user_limits(listing.complete()?.into_items(), None)?)),
            Err(error) if self.is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the back end has, all in one look.
    #[allow(clippy::type_complexity, reason = "three answers of the back end, as its facets give them")]
    async fn look(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        scope: Scope,
    ) -> (ById<Option<ResourceState>>, ById<Complete<String>>, ById<BTreeMap<String, Limits>>) {
        if ids.is_empty() {
            return (ById::new(), ById::new(), ById::new());
        }
        let aspects = self.aspects(scope);
        let members = async {
            match self.backend().members() {
                Some(members) => by_id(ids, shielded(async { Ok(members.list(cx, ids).await) }).await),
                None => ById::new(),
            }
        };
        let limits = async {
            match self.backend().user_limits().filter(|_| scope == Scope::Whole) {
                Some(limits) => by_id(ids, shielded(async { Ok(limits.list(cx, ids).await) }).await),
                None => ById::new(),
            }
        };
        let states = async { by_id(ids, shielded(async { Ok(self.backend().inspect(cx, ids, aspects).await) }).await) };
        join3(states, members, limits).await
    }

    /// One object, read again.
    pub(super) async fn look_at(
        &self,
        cx: &OpContext,
        id: &BackendId,
        scope: Scope,
    ) -> (ById<Option<ResourceState>>, ById<Complete<String>>) {
        let (states, members, _) = self.look(cx, std::slice::from_ref(id), scope).await;
        (states, members)
    }

    fn aspects(&self, scope: Scope) -> Aspects {
        let whole = scope == Scope::Whole;
        let mut aspects = Aspects::EXISTENCE;
        aspects.limits = whole && self.authority() != LimitsAuthority::None;
        aspects.metadata = whole;
        aspects
    }

    /// One team for each project, if the back end cares for members or for the limits of single users.
    pub(super) async fn teams(
        &self,
        cx: &OpContext,
        accounts: &Accounts,
        rows: &[Arc<Resource>],
    ) -> HashMap<Uuid, Arc<Roster>> {
        if self.backend().members().is_none() && self.backend().user_limits().is_none() {
            return HashMap::new();
        }
        let mut first: BTreeMap<Uuid, &Resource> = BTreeMap::new();
        for row in rows {
            first.entry(team_key(row)).or_insert(row);
        }
        // Collected first: a stream that still maps references could not be sent to another thread.
        let reads: Vec<_> =
            first.into_iter().map(|(key, row)| async move { (key, self.team(cx, accounts, row).await) }).collect();
        let teams: HashMap<Uuid, Arc<Roster>> =
            stream::iter(reads).buffer_unordered(self.concurrency()).collect().await;
        let now = self.environment().instant();
        self.remember(|memory| {
            for candidate in teams.values().flat_map(|team| &team.candidates) {
                memory.learn_name(candidate.user, &candidate.grant.username, now);
            }
        });
        teams
    }
}

fn is_active(account: &OfferingUser) -> bool {
    !account.state.as_ref().is_some_and(OfferingUserState::is_leaving)
}

fn by_id<T>(ids: &[BackendId], answers: Result<ById<T>>) -> ById<T> {
    answers.unwrap_or_else(|error| ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect())
}
