//! Sending what each user used (core.md §4.3, last row).

use std::collections::BTreeMap;

use super::{
    UsageReporter,
    compare::{Stored, StoredRow},
    gather::{People, Share},
    report::UsersReport,
};
use crate::{
    backend::{OpContext, Period},
    client::{Feature, UserUsage},
    error::{Error, ErrorKind, Result},
    types::{ComponentUsageUuid, Decimal, Timestamp, WaldurAmount},
};

/// The longest user name that Waldur stores (`maxLength: 100` in its schema), in characters.
const LONGEST_NAME: usize = 100;

/// The most shares that one request carries: it is all or none, and takes the longer the more there are.
const MOST_SHARES: usize = 200;

/// The users of one component, and what they used.
type Users = BTreeMap<String, WaldurAmount>;

impl UsageReporter {
    /// Sends the shares that Waldur does not have: one request for each 200 of a component, or on a server of 2024 one for each
    /// share. A name that cannot be stored would spoil the whole request, so it is left out.
    pub(super) async fn send_users(
        &self,
        cx: &OpContext,
        users: &BTreeMap<String, Users>,
        stored: &Stored,
        people: &People,
        (period, date): (Period, Timestamp),
    ) -> UsersReport {
        let mut report = UsersReport::default();
        for (component, users) in users {
            if let Err(error) = cx.checkpoint() {
                report.failed = Some(error);
                break;
            }
            let row = stored.rows(component).last().map(|row| row.uuid);
            if row.is_none() && !self.policy().dry_run {
                report.failed = Some(Error::not_ready(format!("{component}: Waldur has no total yet")));
                continue;
            }
            let rows = stored.rows(component);
            if let Some(error) = unknown_before(component, users, rows, people, period) {
                report.failed = Some(error);
                continue;
            }
            let shares = changed(users, rows, people, date, &mut report);
            if shares.is_empty() {
                continue;
            }
            if self.policy().dry_run {
                report.sent += shares.len();
            } else if let Some(row) = row
                && let Err(error) = self.send_shares(cx, row, &shares, &mut report.sent).await
            {
                report.failed = Some(error);
            }
        }
        report
    }

    /// Counts in `sent` what has got there, up to what did not.
    async fn send_shares(
        &self,
        cx: &OpContext,
        row: ComponentUsageUuid,
        shares: &[UserUsage],
        sent: &mut usize,
    ) -> Result<()> {
        let waldur = self.waldur(cx);
        for some in shares.chunks(MOST_SHARES) {
            cx.checkpoint()?;
            if !waldur.features().is_missing(Feature::BulkUserUsage) {
                match waldur.component_usages().set_user_usages(row, some).await {
                    Err(error) if error.kind() == ErrorKind::Unsupported => drop(waldur.features().note(&error)),
                    Err(error) => return Err(error),
                    Ok(()) => {
                        *sent += some.len();
                        continue;
                    }
                }
            }
            // One after the other: other resources are under way beside this one.
            for share in some {
                cx.checkpoint()?;
                waldur.component_usages().set_user_usage(row, share).await?;
                *sent += 1;
            }
        }
        Ok(())
    }
}

/// Why it cannot be told what the last of several rows is to get, if so: what the earlier ones hold is not known.
fn unknown_before(
    component: &str,
    users: &Users,
    rows: &[StoredRow],
    people: &People,
    period: Period,
) -> Option<Error> {
    let (_, earlier) = rows.split_last().filter(|(_, earlier)| !earlier.is_empty())?;
    if let Some(gap) = people.gap(period) {
        return Some(gap.clone());
    }
    let is_unsaid =
        |row: &StoredRow| users.keys().any(|name| people.share(row, name).is_some_and(|share| share.amount.is_none()));
    earlier.iter().any(is_unsaid).then(|| {
        let text = format!("{component}: Waldur does not say what a user's share was before the plan changed");
        Error::new(ErrorKind::Inconsistent, text)
    })
}

/// The shares that differ from what Waldur has. Of several rows, in the order of their plans, the last one is that of the plan which reports go to: it
/// gets what the others do not hold, as with the total.
fn changed(
    users: &Users,
    rows: &[StoredRow],
    people: &People,
    date: Timestamp,
    report: &mut UsersReport,
) -> Vec<UserUsage> {
    let (last, earlier) = rows.split_last().map_or((None, rows), |(last, earlier)| (Some(last), earlier));
    let mut shares = Vec::new();
    for (name, amount) in users {
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            report.unnameable += 1;
            continue;
        }
        let mut held = earlier.iter().filter_map(|row| people.share(row, name)?.amount);
        let held = held.try_fold(Decimal::ZERO, Decimal::checked_add).unwrap_or(Decimal::MAX);
        let rest = amount.decimal().checked_sub(held).unwrap_or_default();
        let rest = WaldurAmount::new(rest.max(Decimal::ZERO));
        let known = last.and_then(|row| people.share(row, name));
        // Without an account Waldur would forget the one that it has.
        let account = people.accounts.get(name).or_else(|| known?.user.as_ref());
        let same = |share: &Share| {
            let linked = account.is_none() || last_segment(share.user.as_ref()) == last_segment(account);
            share.amount == Some(rest.decimal()) && linked
        };
        let held_whole = known.is_none() && rest.decimal().is_zero() && !held.is_zero();
        if held_whole || known.is_some_and(same) {
            report.unchanged += 1;
            continue;
        }
        let share = UserUsage::new(name.as_str(), rest).date(date);
        shares.push(match account {
            Some(account) => share.user(account),
            None => share,
        });
    }
    shares
}

/// Which account an address names: servers differ in how they write the rest.
fn last_segment(url: Option<&String>) -> Option<&str> {
    url?.trim_end_matches('/').rsplit('/').next()
}
