//! Many users, and a gateway that goes away.

use std::{
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::{
    future::join3,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use tokio::{
    process::Command,
    sync::oneshot::{self, error::TryRecvError},
};
use waldur_backend_croit::radosgw::{NewUser, PageSize, Uid};
use waldur_sdk::{
    backend::{OpContext, Period, ResourceBackend as _, Usage},
    rest::{Http, HttpOptions, ReqwestTransport},
    testing::{Counting, waldur::OrderState},
    types::BackendId,
};

use super::{
    Failure, ensure,
    gateway::{Gateway, process, run, told},
    radosgw::has_quotas,
};

/// So many calls on different users are made at once.
pub(super) const AT_A_TIME: usize = 16;

const USERS: usize = 2_000;

/// Users of the gateway, listed in pages and measured without asking for each.
pub(super) async fn paged(gateway: &Gateway) -> Result<String, Failure> {
    let prefix = format!("live_many_{:08x}_", gateway.run_number());
    let uids = (0..USERS).map(|number| Uid::new(format!("{prefix}{number}")));
    let uids = uids.collect::<waldur_sdk::Result<Vec<_>>>()?;
    let creations = uids.iter().map(|uid| async move {
        gateway.admin.users().create(&NewUser::new(uid.clone(), "One of many")?).await.map(drop)
    });
    stream::iter(creations).buffer_unordered(AT_A_TIME).try_collect::<()>().await.map_err(|error| told(&error))?;
    let mut list = gateway.admin.users().list(PageSize::default());
    let (mut pages, mut listed) = (0, 0);
    while let Some(page) = list.next_page().await? {
        pages += 1;
        listed += page.items.iter().filter(|user| user.as_str().starts_with(&prefix)).count();
    }
    ensure(pages >= 3 && listed == USERS, || format!("{listed} users in {pages} pages"))?;
    let ids = uids.iter().map(|uid| BackendId::new(uid.name())).collect::<waldur_sdk::Result<Vec<_>>>()?;
    let calls = Counting::new(ReqwestTransport::new(&HttpOptions::default())?);
    let backend = gateway.backend_over(Http::new(calls.clone()))?;
    let usage = backend.usage().ok_or("nothing is measured")?;
    let month = Period::containing(jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date());
    let begin = tokio::time::Instant::now();
    let usage = usage.usage(&OpContext::new("live"), &ids, month).await;
    let elapsed = begin.elapsed();
    let idle = |usage: &Usage| match usage {
        Usage::Measured(report) => report.total.values().all(|amount| amount.decimal().is_zero()),
        _ => false,
    };
    let nothing = usage.values().filter(|usage| idle(usage)).count();
    ensure(nothing == USERS, || format!("{nothing} of {USERS} users are known to store nothing"))?;
    // A listing of buckets, the pages once more, and a few whom others' pages left over.
    let calls = calls.counts().total;
    ensure(calls <= 1 + pages + AT_A_TIME as u64, || format!("{calls} calls, where {pages} pages tell of all"))?;
    Ok(format!("{pages} pages, and all measured by {calls} calls in {} ms", elapsed.as_millis()))
}

/// Orders are in work while the gateway's process is replaced by the command `restart`, and for a while nobody listens.
/// Afterwards each is done, once.
pub(super) async fn restarted(gateway: &mut Gateway, restart: &str) -> Result<String, Failure> {
    let orders: Vec<_> = (30..54).map(|number| gateway.order(number, 10, 1_000)).collect();
    let waldur = gateway.waldur.clone();
    let done = || orders.iter().filter(|order| waldur.order_view(**order).state == OrderState::Done).count();
    let away = AtomicU32::new(0);
    let mut careful = std::mem::take(&mut gateway.careful);
    let there: &Gateway = gateway;
    let (is_over, mut over) = oneshot::channel::<()>();
    let watched = async {
        while over.try_recv() == Err(TryRecvError::Empty) {
            if !there.listens().await {
                away.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let replaced = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let before = done();
        let ended = Command::new("sh").arg("-c").arg(restart).stdin(Stdio::null()).status().await;
        drop(is_over);
        (before, done(), ended)
    };
    // What this pass comes to does not matter; some of its calls met nobody.
    let (_first, (before, meanwhile, replaced), ()) = join3(run(&mut careful), replaced, watched).await;
    gateway.careful = careful;
    ensure(replaced?.success(), || format!("`{restart}` failed"))?;
    ensure(before < orders.len(), || "the orders were done before the gateway went away".to_owned())?;
    let away = away.into_inner();
    ensure(away > 0, || "the gateway never went away".to_owned())?;
    let mut passes = 1;
    while done() < orders.len() && passes < 5 {
        passes += 1;
        run(&mut gateway.careful).await?;
    }
    process(&gateway.waldur, &mut gateway.careful, &orders, OrderState::Done).await?;
    for order in &orders {
        has_quotas(gateway, gateway.waldur.resource_of(*order), 10, 1_000).await?;
    }
    let all = orders.len();
    Ok(format!(
        "{before} of {all} orders were done when it went away, {meanwhile} when it was back after {away} looks in vain, all \
         after pass {passes}"
    ))
}
