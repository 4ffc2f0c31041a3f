//! `/quotas`.

use super::{
    access::Call,
    body::Body,
    pages::Page,
    query::sort,
    records::Quota,
    refused::Refused,
    state::State,
    wire::{Outcome, Reply},
};

/// 1024 TiB.
const MOST: i64 = 1 << 50;

/// Whether something can be a limit, and if not, why.
pub(super) fn checked_limit(limit: i64) -> Result<(), String> {
    match limit {
        -1 | 1..=MOST => Ok(()),
        ..=0 => Err(format!("invalid non-positive value for quota limit, value={limit}")),
        _ => Err(format!("exceeded 1024TB, which is {MOST} Bytes, value={limit}")),
    }
}

/// A new limit, and what it was decided upon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    id: i64,
    hard: i64,
    version: u64,
}

impl State {
    /// The newest first.
    pub(super) fn list_quotas(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        self.require(call, "quota", "list")?;
        let given = |name| asked.parameter(name).filter(|value| !value.is_empty());
        let (reference, project) = (given("reference"), given("reference_id"));
        let wanted = |quota: &&Quota| {
            reference.is_none_or(|reference| reference == "project")
                && project.is_none_or(|id| id == quota.project.to_string())
        };
        let mut found: Vec<&Quota> = self.quotas.values().filter(wanted).collect();
        sort(
            asked,
            &mut found,
            |one, other| (other.created, other.id).cmp(&(one.created, one.id)),
            |key, one, other| match key {
                "id" => Some(one.id.cmp(&other.id)),
                "creation_time" => Some(one.created.cmp(&other.created)),
                "update_time" => Some(one.counted.cmp(&other.counted)),
                "hard.storage" => Some(one.hard.cmp(&other.hard)),
                "used.storage" => Some(one.used.cmp(&other.used)),
                _ => None,
            },
        )?;
        Ok(page.reply(asked, &found, |quota| quota.render_in_list()))
    }

    pub(super) fn get_quota(&self, call: &Call<'_>) -> Outcome {
        let id = call.number(0, "id")?;
        self.require(call, "quota", "read")?;
        Ok(Reply::Json(self.quotas.get(&id).ok_or_else(|| missing(id))?.render()))
    }

    /// The first half of a change: reads what is there. Whatever project it is of.
    pub(super) fn begin_quota(&self, call: &Call<'_>) -> Result<Change, Refused> {
        let id = call.number(0, "id")?;
        let body = Body::read(call.asked, "hard", "QuotaUpdateReq")?;
        let limits = body.amounts("hard")?;
        self.require(call, "quota", "update")?;
        if limits.is_empty() {
            return Err(Refused::bad("hard required in body"));
        }
        let version = self.quotas.get(&id).ok_or_else(|| missing(id))?.version;
        if let Some((other, _)) = limits.iter().find(|(name, _)| name != "storage") {
            return Err(Refused::bad(format!("resource {other} not support")));
        }
        let hard = limits.first().map(|(_, limit)| *limit).unwrap_or_default();
        checked_limit(hard).map_err(Refused::bad)?;
        Ok(Change { id, hard, version })
    }

    /// The second half. Whoever was overtaken fails, and nothing of it is kept.
    pub(super) fn commit_quota(&mut self, change: Change) -> Outcome {
        let ignored = self.ignored_quota_writes > 0;
        let quota = self.quotas.get_mut(&change.id).ok_or_else(Refused::internal)?;
        if quota.version != change.version {
            return Err(Refused::internal());
        }
        if ignored {
            self.ignored_quota_writes -= 1;
        } else {
            quota.hard = change.hard;
            quota.version += 1;
        }
        Ok(Reply::Empty)
    }
}

fn missing(id: i64) -> Refused {
    Refused::missing(format!("quota {id} not found"))
}

/// What a push that does not fit is told.
pub(super) fn exceeded(adding: u64, used: i64, hard: i64) -> Refused {
    let size = |bytes: i64| display(u64::try_from(bytes).unwrap_or_default());
    Refused::denied(format!(
        "adding {} of storage resource, which when updated to current usage of {} will exceed the configured upper limit \
         of {}.",
        display(adding),
        size(used),
        size(hard)
    ))
}

/// With one digit behind the point, rounded; whole bytes below 1 KiB.
fn display(bytes: u64) -> String {
    let mut unit: u128 = 1024;
    if u128::from(bytes) < unit {
        return format!("{bytes} B");
    }
    let mut prefixes = "KMGTPE".chars();
    let mut prefix = prefixes.next().unwrap_or_default();
    for next in prefixes {
        if u128::from(bytes) < unit * 1024 {
            break;
        }
        unit *= 1024;
        prefix = next;
    }
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    format!("{}.{} {prefix}iB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::display;

    #[test]
    fn sizes_are_displayed_as_the_server_does() {
        for (bytes, text) in
            [(10, "10 B"), (22_402, "21.9 KiB"), (100_000, "97.7 KiB"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(display(bytes), text);
        }
    }
}
