//! Reading both sides in bulk.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    StreamExt,
    future::{join, join3, join4},
    stream,
};

use super::{
    MembershipSync, guard,
    listed::{self, Accounts, Again, ProjectAccounts, UserLimitTable},
    pass::{Pass, Portion, Reading, Scope, Teams, sharers},
    report::MembershipReport,
    row::{Owner, RecordsOf, Row},
    team::Roster,
};
use crate::{
    backend::{Aspects, ById, Inspection, LimitsAuthority, OpContext, PassIds},
    client::{
        AttributeExposure, Feature, OfferingUser, OfferingUserQuery, OfferingUserState, ProjectAccount,
        UserUsageLimitQuery,
    },
    error::{Error, Result},
    naming::NamedBy,
    process::{
        Warning,
        failure::shielded,
        usernames::{NameGiver, NameTeller, UsernameReport, request},
    },
    rest::Pager,
    types::{BackendId, Personal, UserUuid},
};

impl MembershipSync {
    /// Reads what the pass as a whole goes by, and gives names to people on the way. With it comes what the back end has,
    /// where it answers for all from one listing.
    pub(super) async fn gather(
        &self,
        cx: &OpContext,
        rows: &[Arc<Row>],
        scope: Scope,
        report: &mut MembershipReport,
    ) -> (Pass, Reading) {
        let accounts_asked = self.environment().instant();
        let all = PassIds::new(Self::resource_ids(rows));
        let (rows_now, ids) = if self.in_portions() { (&[][..], &[][..]) } else { (rows, all.ids()) };
        let records = RecordsOf::new(rows_now, self.offering());
        let inspection = Inspection::of(ids, self.aspects(scope)).with_records(&records);
        let (accounts, project_accounts, user_limits, bulk) = join4(
            self.accounts(cx, scope),
            self.project_accounts(cx),
            self.user_limits(cx, scope),
            self.look(cx, scope, &inspection),
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
        let shared = sharers(rows);
        let sharing: Vec<Owner> = shared.values().flatten().map(|row| row.owner()).collect();
        let teams = self.teams(cx, &accounts, sharing, &[]);
        let (teams, elsewhere) = join(teams, self.elsewhere(cx, rows)).await;
        let pass = Pass {
            cx: cx.clone(),
            scope,
            all,
            accounts,
            accounts_asked,
            locked_out: Mutex::default(),
            project_accounts,
            teams,
            user_limits,
            shared,
            elsewhere,
            accounts_again: Mutex::default(),
            backend: self.breaker(),
            projects: Mutex::default(),
        };
        (pass, bulk)
    }

    /// Reads what the next resources need, as far as it is not there yet. A stop is noticed here as well.
    pub(super) async fn portion(
        &self,
        pass: &Pass,
        bulk: &mut Reading,
        rows: &[Arc<Row>],
        before: &Portion,
    ) -> Portion {
        if pass.cx.is_cancelled() {
            return Portion::default();
        }
        let ids = Self::resource_ids(rows);
        if let Some(down) = pass.backend.cause() {
            return Portion { reading: Reading::failed(&ids, &down), ..Portion::default() };
        }
        let owners = rows.iter().map(|row| row.owner()).collect();
        let known = [&pass.teams, &before.teams];
        let teams = self.teams(&pass.cx, &pass.accounts, owners, &known);
        let projects = self.source_projects(pass, rows);
        if !self.in_portions() {
            let (teams, ()) = join(teams, projects).await;
            let reading = bulk.take(&ids, |id| pass.shared.contains_key(id));
            return Portion { teams, reading };
        }
        let records = RecordsOf::new(rows, self.offering());
        let inspection = Inspection::of(&ids, self.aspects(pass.scope)).with_records(&records).in_pass(&pass.all);
        let look = self.look(&pass.cx, pass.scope, &inspection);
        let (reading, teams, ()) = join3(look, teams, projects).await;
        Portion { teams, reading }
    }

    /// Whether the back end is asked about a portion of its objects at a time.
    fn in_portions(&self) -> bool {
        self.backend().capabilities().in_portions
    }

    /// The accounts of people at the offering, with their names as far as they can be given now.
    pub(super) async fn accounts(&self, cx: &OpContext, scope: Scope) -> (Accounts, UsernameReport, Vec<Warning>) {
        let mut report = UsernameReport::default();
        let backend = self.backend();
        if backend.members().is_none() && backend.user_limits().is_none() && self.0.usernames.is_none() {
            return (Accounts::default(), report, Vec::new());
        }
        let mut warnings = Vec::new();
        let query = OfferingUserQuery::offering(self.offering());
        let named_by = async { if scope == Scope::Again { Ok(None) } else { self.named_by(cx).await } };
        let (listing, named_by) = join(self.list_accounts(cx, query), named_by).await;
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
        if scope == Scope::Again {
            let accounts = Accounts::new(rows, gap);
            self.learn(&accounts);
            return (accounts, report, warnings);
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
        if gap.is_none() && self.policy().reconcile_usernames {
            self.take_assigned_names(cx, &mut rows, &mut report).await;
        }
        let accounts = Accounts::new(rows, gap);
        self.learn(&accounts);
        self.tell_profiles(cx, &accounts, &mut report).await;
        (accounts, report, warnings)
    }

    /// Takes over the names that the back end itself gave to people.
    async fn take_assigned_names(&self, cx: &OpContext, rows: &mut [OfferingUser], report: &mut UsernameReport) {
        let Some(members) = self.backend().members() else { return };
        let people: Vec<_> = rows.iter().filter(|account| is_active(account)).map(request).collect();
        let assigned = match shielded(members.assigned_names(cx, &people)).await {
            Ok(assigned) => assigned,
            Err(error) => return report.warnings.push(Warning { step: "assigned names", error }),
        };
        let (waldur, refused) = (self.waldur(cx), self.remember(|memory| memory.refused()));
        let teller = NameTeller { waldur: &waldur, dry_run: self.policy().dry_run, refused: &refused };
        let told = teller.tell(rows, &assigned).await;
        report.accounts.retain(|given| !told.iter().any(|told| told.account == given.account));
        report.accounts.extend(told);
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
        if scope != Scope::Whole || self.backend().user_limits().is_none() || self.lacks(Feature::UserLimits) {
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
    pub(super) async fn look(&self, cx: &OpContext, scope: Scope, inspection: &Inspection<'_>) -> Reading {
        let ids = inspection.ids;
        if ids.is_empty() {
            return Reading::default();
        }
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
        let states = async { by_id(ids, shielded(async { Ok(self.backend().inspect(cx, inspection).await) }).await) };
        let (states, members, user_limits) = join3(states, members, limits).await;
        Reading { states, members, user_limits }
    }

    pub(super) fn aspects(&self, scope: Scope) -> Aspects {
        let whole = scope == Scope::Whole;
        let mut aspects = Aspects::EXISTENCE;
        aspects.limits = whole && self.authority() != LimitsAuthority::None;
        aspects.metadata = whole;
        aspects
    }

    /// One team for each project, if the back end cares for members or for the limits of single users. Those that are
    /// among the `known` ones are taken from there.
    pub(super) async fn teams(
        &self,
        cx: &OpContext,
        accounts: &Accounts,
        owners: Vec<Owner>,
        known: &[&Teams],
    ) -> Teams {
        if !self.reads_teams() {
            return Teams::new();
        }
        let (mut teams, mut unknown) = (Teams::new(), BTreeMap::new());
        for owner in owners {
            let key = owner.key();
            match known.iter().find_map(|teams| teams.get(&key)) {
                Some(team) => drop(teams.insert(key, team.clone())),
                None => drop(unknown.entry(key).or_insert(owner)),
            }
        }
        // Collected first: a stream that still maps references could not be sent to another thread.
        let reads: Vec<_> = unknown
            .into_iter()
            .map(|(key, owner)| async move { (key, self.team(cx, accounts, owner).await) })
            .collect();
        let read: Teams = stream::iter(reads).buffer_unordered(self.concurrency()).collect().await;
        let now = self.environment().instant();
        self.remember(|memory| {
            for candidate in read.values().flat_map(|team| &team.candidates) {
                memory.learn_name(candidate.user, &candidate.grant.username, now);
            }
        });
        teams.extend(read);
        teams
    }

    /// The accounts that have these names, read again.
    pub(super) async fn accounts_in_question(&self, cx: &OpContext, listed: &Accounts, names: &[String]) -> Again {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let bridged = self.backend().capabilities().identity_bridge;
        let is_meant = |account: &&OfferingUser| {
            let key = if bridged { account.user_username.as_ref() } else { account.username.as_ref() };
            key.is_some_and(|key| names.contains(key.as_str()))
        };
        let users = listed.rows.iter().filter(is_meant).filter_map(|account| account.user_uuid);
        let asked: HashSet<UserUuid> = users.collect();
        let all = OfferingUserQuery::offering(self.offering()).consent(self.wants_consent());
        let queries = match asked.len() {
            0 => return Again::default(),
            1..=ONE_BY_ONE => asked.iter().map(|user| all.clone().user(*user)).collect(),
            _ => vec![all],
        };
        let reads: Vec<_> = queries.into_iter().map(|query| self.list_accounts(cx, query)).collect();
        let read: Vec<_> = stream::iter(reads).buffer_unordered(self.concurrency()).collect().await;
        let (mut rows, mut gap) = (Vec::new(), None);
        for listing in read {
            let (more, missing) = listing.unwrap_or_else(|error| (Vec::new(), Some(error)));
            rows.extend(more);
            gap = gap.or(missing);
        }
        Again { asked, accounts: Accounts::new(rows, gap), locked_out: Arc::default() }
    }

    /// Who is locked out of the offering by now: few, so they are one list. What another resource of the pass has just
    /// read will do.
    ///
    /// # Errors
    /// When the list cannot be read whole.
    pub(super) async fn locked_out(&self, cx: &OpContext, pass: &Pass) -> Result<Arc<HashSet<UserUuid>>> {
        let now = self.environment().instant();
        let known = pass.locked_out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, users)) = known.filter(|(asked, _)| now.saturating_duration_since(*asked) < Roster::FRESH) {
            return Ok(users);
        }
        let query = OfferingUserQuery::offering(self.offering()).restricted(true).attributes(AttributeExposure::none());
        let rows = self.waldur(cx).offering_users().list(&query).all().await?;
        let ours = |row: &OfferingUser| row.offering_uuid.is_none_or(|offering| offering == self.offering());
        let users = rows.into_iter().filter(|row| ours(row) && row.is_restricted == Some(true));
        let users: Arc<HashSet<UserUuid>> = Arc::new(users.filter_map(|row| row.user_uuid).collect());
        *pass.locked_out.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, users.clone()));
        Ok(users)
    }
}

/// Of so many accounts each is read by itself, of more the list.
const ONE_BY_ONE: usize = 16;

fn is_active(account: &OfferingUser) -> bool {
    !account.state.as_ref().is_some_and(OfferingUserState::is_leaving)
}

fn by_id<T>(ids: &[BackendId], answers: Result<ById<T>>) -> ById<T> {
    answers.unwrap_or_else(|error| ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect())
}
