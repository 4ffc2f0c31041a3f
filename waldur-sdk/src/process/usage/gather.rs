//! What Waldur has: read for all resources at once, and for one again when its report has to be repeated.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, future::join, stream};

use super::{
    UsageReporter,
    compare::{Stored, StoredRow},
};
use crate::{
    backend::{OpContext, Period},
    client::{ComponentUsage, ComponentUserUsage, OfferingUserQuery, UsageQuery},
    error::{Error, ErrorKind, Result},
    types::{Amounts, ComponentUsageUuid, Decimal, ResourceUuid, WaldurAmount},
};

/// Whose usage is read: that of all resources of the offering, or of one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    Offering,
    Resource(ResourceUuid),
}

/// What Waldur has of one month.
#[derive(Debug)]
pub(super) struct Month {
    rows: HashMap<ResourceUuid, Stored>,
    /// Why something may be missing. What is missing is unknown then, and not absent.
    gap: Option<Error>,
}

impl Month {
    fn new(rows: Vec<ComponentUsage>, gap: Option<Error>, scope: Scope) -> Self {
        let mut month = Self { rows: HashMap::new(), gap };
        for row in rows {
            let only = if let Scope::Resource(resource) = scope { Some(resource) } else { None };
            match row.resource_uuid.or(only) {
                Some(resource) => month.rows.entry(resource).or_default().add(&row),
                None => month.gap = Some(Error::not_ready("a row of usage names no resource")),
            }
        }
        month
    }
}

/// The shares of users that Waldur has, and where their accounts are.
#[derive(Default)]
pub(super) struct People {
    shares: HashMap<ComponentUsageUuid, HashMap<String, Share>>,
    /// Addresses of accounts by user name at the offering.
    pub(super) accounts: HashMap<String, String>,
    /// Why shares of a month may be missing. What is missing is unknown then, and not absent.
    gaps: BTreeMap<Period, Error>,
}

pub(super) struct Share {
    pub(super) amount: Option<Decimal>,
    pub(super) user: Option<String>,
}

impl UsageReporter {
    /// What Waldur has of each month: one listing each, side by side.
    pub(super) async fn months(
        &self,
        cx: &OpContext,
        scope: Scope,
        periods: &[Period],
    ) -> BTreeMap<Period, Result<Month>> {
        // Collected first: a stream that still maps references could not be sent to another thread.
        let reads: Vec<_> =
            periods.iter().map(|period| async move { (*period, self.month(cx, scope, *period).await) }).collect();
        stream::iter(reads).buffer_unordered(self.policy().concurrency.max(1)).collect().await
    }

    async fn month(&self, cx: &OpContext, scope: Scope, period: Period) -> Result<Month> {
        let query = self.query(scope).billing_period(period.first_day());
        let (rows, _, gap) = self.waldur(cx).component_usages().list(&query).collect().await?.into_parts();
        Ok(Month::new(rows, gap, scope))
    }

    fn query(&self, scope: Scope) -> UsageQuery {
        match scope {
            Scope::Offering => UsageQuery::offering(self.offering()),
            Scope::Resource(resource) => UsageQuery::resource(resource),
        }
    }

    /// What Waldur has of one resource in one month, read anew.
    ///
    /// # Errors
    /// When it cannot be read whole.
    pub(super) async fn stored(&self, cx: &OpContext, resource: ResourceUuid, period: Period) -> Result<Stored> {
        let mut month = self.month(cx, Scope::Resource(resource), period).await?;
        match month.gap {
            None => Ok(month.rows.remove(&resource).unwrap_or_default()),
            // The list changed while it was read.
            Some(gap) if gap.kind() == ErrorKind::Inconsistent => Err(gap.with_retryable(true)),
            Some(gap) => Err(gap),
        }
    }

    /// The same from the reading of all. One row that cannot be read, and may be anybody's, is no reason to know nothing
    /// of the others: each is then read by itself.
    pub(super) async fn stored_in(
        &self,
        cx: &OpContext,
        month: Option<&Month>,
        resource: ResourceUuid,
        period: Period,
    ) -> Result<Stored> {
        match month {
            Some(Month { rows, gap: None }) => Ok(rows.get(&resource).cloned().unwrap_or_default()),
            _ => self.stored(cx, resource, period).await,
        }
    }

    /// What Waldur has of the users: one listing for each month and one of their accounts.
    ///
    /// # Errors
    /// When a listing cannot be had. A row that cannot be read is one whose amount is not known: it is written again,
    /// unless others are reckoned by it.
    pub(super) async fn people(&self, cx: &OpContext, scope: Scope, periods: &[Period]) -> Result<People> {
        let mut people = People::default();
        if periods.is_empty() {
            return Ok(people);
        }
        let waldur = self.waldur(cx);
        let usages = waldur.component_usages();
        let accounts = waldur.offering_users().summaries(&OfferingUserQuery::offering(self.offering())).collect();
        let shares = periods.iter().map(|period| {
            let query = self.query(scope).billing_period(period.first_day());
            let (period, shares) = (*period, usages.list_of_users(&query).collect());
            async move { (period, shares.await) }
        });
        let shares: Vec<_> = shares.collect();
        let shares = stream::iter(shares).buffer_unordered(self.policy().concurrency.max(1)).collect::<Vec<_>>();
        let (accounts, shares) = join(accounts, shares).await;
        for account in accounts?.into_items() {
            if let (Some(name), Some(url)) = (account.username, account.url) {
                people.accounts.insert(name.into_string(), url);
            }
        }
        for (period, month) in shares {
            let (rows, _, gap) = month?.into_parts();
            people.gaps.extend(gap.map(|gap| (period, gap)));
            for row in rows {
                people.add(row);
            }
        }
        Ok(people)
    }
}

impl People {
    /// Adds whom Waldur knows shares of and nothing was measured of, with nothing: where users were told apart, or where
    /// nobody can have used anything.
    pub(super) fn add_stale(
        &self,
        users: &mut BTreeMap<String, BTreeMap<String, WaldurAmount>>,
        reported: &Amounts,
        stored: &Stored,
    ) {
        for (component, total) in reported {
            if !users.contains_key(component) && !total.decimal().is_zero() {
                continue;
            }
            let shares = stored.rows(component).last().and_then(|row| self.shares.get(&row.uuid));
            for name in shares.into_iter().flat_map(HashMap::keys) {
                users.entry(component.clone()).or_default().entry(name.clone()).or_default();
            }
        }
    }

    /// Why shares of a month may be missing, if they may.
    pub(super) fn gap(&self, period: Period) -> Option<&Error> {
        self.gaps.get(&period)
    }

    pub(super) fn share(&self, row: &StoredRow, name: &str) -> Option<&Share> {
        self.shares.get(&row.uuid)?.get(name)
    }

    fn add(&mut self, row: ComponentUserUsage) {
        if let (Some(usage), Some(name)) = (row.component_usage, row.username) {
            let share = Share { amount: row.usage, user: row.user };
            self.shares.entry(usage).or_default().insert(name.into_string(), share);
        }
    }
}
