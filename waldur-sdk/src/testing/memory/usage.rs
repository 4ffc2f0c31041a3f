//! Usage, measured by the service: one question for all objects.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::backend::MemoryBackend;
use crate::{
    backend::{OpContext, Period, Stamp, Usage, UsageReport, UsageSource},
    error::{Error, ErrorKind, Result},
    types::{Amounts, BackendAmount, BackendId, ResourceUuid, lenient},
};

/// One object. Unlike the service's own type this one knows what was not said.
#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default, deserialize_with = "lenient::uuid")]
    stamp: Option<ResourceUuid>,
    usage: Option<Counted>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    total: Option<Numbers>,
    #[serde(default)]
    users: BTreeMap<String, Numbers>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Numbers(#[serde(deserialize_with = "lenient::decimals")] BTreeMap<String, Decimal>);

#[async_trait]
impl UsageSource for MemoryBackend {
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        let call = self.api().get("usage.list", "/usage", &[]).query("month", period).deadline(cx.deadline);
        // It names users.
        let call = call.secret_answer();
        let rows = match call.send_rows::<Row>("id").await {
            Ok((rows, _)) => rows,
            Err(error) => return ids.iter().map(|id| (id.clone(), Usage::Unreadable(error.clone()))).collect(),
        };
        let broken: BTreeMap<_, _> = rows.bad.into_iter().filter_map(|row| Some((row.id?, row.error))).collect();
        let found: BTreeMap<_, _> = rows.items.into_iter().map(|row| (row.id, (row.stamp, row.usage))).collect();
        let usage = |id: &BackendId| match (found.get(id.as_str()), broken.get(id.as_str())) {
            (Some((stamp, Some(counted))), _) => self.counted(*stamp, counted).unwrap_or_else(Usage::Unreadable),
            (Some((_, None)), _) => unreadable(ErrorKind::Unavailable, "the service cannot tell"),
            (None, Some(error)) => Usage::Unreadable(error.clone()),
            (None, None) => unreadable(ErrorKind::NotFound, "the service says nothing of it"),
        };
        ids.iter().map(|id| (id.clone(), usage(id))).collect()
    }
}

impl MemoryBackend {
    fn counted(&self, stamp: Option<ResourceUuid>, counted: &Counted) -> Result<Usage> {
        let Some(total) = &counted.total else { return Ok(Usage::NotYet) };
        let users = counted.users.iter().map(|(user, amounts)| Ok((user.clone(), self.sold(amounts)?)));
        let report = UsageReport::new(self.sold(total)?).with_users(users.collect::<Result<_>>()?);
        Ok(Usage::Measured(report.with_stamp(stamp.map(Stamp))))
    }

    fn sold(&self, Numbers(amounts): &Numbers) -> Result<Amounts> {
        let convert = |(component, amount): (&String, &Decimal)| {
            let sold = self.factor(component).to_waldur(BackendAmount::new(*amount))?;
            Ok((component.clone(), sold))
        };
        amounts.iter().map(convert).collect()
    }
}

fn unreadable(kind: ErrorKind, text: &str) -> Usage {
    Usage::Unreadable(Error::new(kind, text))
}
