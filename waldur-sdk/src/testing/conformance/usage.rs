//! Usage, which is money.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{
    Outcome, Subject,
    checks::{cx, id_of, make},
    ensure,
};
use crate::{
    backend::{Period, Usage, UsageReport, UsageSource},
    types::{BackendId, Date},
};

fn month() -> Period {
    Period::containing(Date::constant(2026, 11, 22))
}

async fn ask(source: &dyn UsageSource, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
    source.usage(&cx(), ids, period).await
}

pub(super) async fn usage_answers_for_every_id(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(source) = backend.usage() else { return Ok(Some("no usage")) };
    let absent = id_of(&*backend, &subject.resource(36))?;
    let ids = [make(subject, 37).await?.backend_id, absent.clone(), make(subject, 38).await?.backend_id];
    let answer = ask(source, &ids, month()).await;
    for id in &ids {
        let usage = answer.get(id);
        ensure(usage.is_some(), || format!("{id} was asked about and is not in the answer"))?;
        if let Some(Usage::Measured(report)) = usage {
            plausible(report)?;
        }
    }
    let measured = matches!(answer.get(&absent), Some(Usage::Measured(_)));
    ensure(!measured, || format!("{absent} does not exist, and its usage was measured"))?;
    let none = ask(source, &[], month()).await;
    ensure(none.is_empty(), || "nothing was asked about, and something was answered".into())?;
    Ok(None)
}

pub(super) async fn measured_usage_is_what_was_used(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(source) = backend.usage() else { return Ok(Some("no usage")) };
    let id = make(subject, 39).await?.backend_id;
    if !subject.use_up(&id, month()).await {
        return Ok(Some("the subject cannot use anything up"));
    }
    let answer = ask(source, std::slice::from_ref(&id), month()).await;
    let Some(Usage::Measured(report)) = answer.get(&id) else {
        return Err(format!("{id} was used, and that was not measured"));
    };
    ensure(!is_nothing(report), || format!("{id} was used, and nothing was measured"))?;
    plausible(report)?;
    Ok(None)
}

pub(super) async fn usage_belongs_to_its_month(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(source) = backend.usage() else { return Ok(Some("no usage")) };
    let id = make(subject, 40).await?.backend_id;
    if !subject.use_up(&id, month()).await {
        return Ok(Some("the subject cannot use anything up"));
    }
    // Before there was the object, and after everything that can have happened.
    for date in [Date::constant(2001, 1, 1), Date::constant(2999, 1, 1)] {
        let answer = ask(source, std::slice::from_ref(&id), Period::containing(date)).await;
        let Some(Usage::Measured(report)) = answer.get(&id) else { continue };
        ensure(is_nothing(report), || format!("usage of another month was measured for {date}"))?;
    }
    Ok(None)
}

pub(super) async fn unreadable_usage_is_not_zero(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(source) = backend.usage() else { return Ok(Some("no usage")) };
    let request = make(subject, 35).await?;
    if !subject.set_outage(true) {
        return Ok(Some("the subject cannot arrange an outage"));
    }
    let answer = ask(source, std::slice::from_ref(&request.backend_id), month()).await;
    subject.set_outage(false);
    let measured = matches!(answer.get(&request.backend_id), Some(Usage::Measured(_)));
    ensure(!measured, || "usage was measured during an outage".into())?;
    Ok(None)
}

fn is_nothing(report: &UsageReport) -> bool {
    report.total.values().all(|amount| amount.decimal().is_zero())
}

/// Nothing is negative, and users have not used more than there was, but for a cent each of rounding.
fn plausible(report: &UsageReport) -> Result<(), String> {
    let mut sums = BTreeMap::<&str, Decimal>::new();
    for (component, amount) in report.per_user.values().flatten() {
        ensure(!amount.is_negative(), || format!("{component}: a user used less than nothing"))?;
        let sum = sums.entry(component).or_default();
        *sum = sum.checked_add(amount.decimal()).ok_or_else(|| format!("{component}: beyond all numbers"))?;
    }
    let rounding = Decimal::new(i64::try_from(report.per_user.len()).unwrap_or(i64::MAX), 2);
    for (component, total) in &report.total {
        ensure(!total.is_negative(), || format!("{component}: less than nothing was used"))?;
        let users = sums.get(component.as_str()).copied().unwrap_or_default();
        let most = total.decimal().checked_add(rounding).unwrap_or(Decimal::MAX);
        ensure(users <= most, || format!("{component}: users used {users} of {total}"))?;
    }
    Ok(())
}
