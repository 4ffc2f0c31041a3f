//! Many users, and a gateway that goes away.

use std::{env, process::Stdio, time::Duration};

use futures_util::{
    future::join,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use tokio::process::Command;
use waldur_backend_croit::radosgw::{NewUser, PageSize, Uid};
use waldur_sdk::{
    backend::{OpContext, Period, ResourceBackend as _, Usage},
    testing::waldur::OrderState,
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
    let run = gateway.run_number();
    let uids = (0..USERS).map(|number| Uid::new(format!("live_many_{run:08x}_{number}")));
    let uids = uids.collect::<waldur_sdk::Result<Vec<_>>>()?;
    let creations = uids.iter().map(|uid| async move {
        gateway.admin.users().create(&NewUser::new(uid.clone(), "One of many")?).await.map(drop)
    });
    stream::iter(creations).buffer_unordered(AT_A_TIME).try_collect::<()>().await.map_err(|error| told(&error))?;
    let mut list = gateway.admin.users().list(PageSize::default());
    let (mut pages, mut listed) = (0, 0);
    while let Some(page) = list.next_page().await? {
        pages += 1;
        listed += page.items.iter().filter(|user| user.as_str().starts_with("live_many_")).count();
    }
    ensure(pages >= 3 && listed == USERS, || format!("{listed} users in {pages} pages"))?;
    let ids = uids.iter().map(|uid| BackendId::new(uid.name())).collect::<waldur_sdk::Result<Vec<_>>>()?;
    let backend = gateway.backend()?;
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
    Ok(format!("{pages} pages, and all measured in {} ms", elapsed.as_millis()))
}

/// Orders are in work while the gateway's process is replaced. Afterwards each is done, once.
pub(super) async fn restarted(gateway: &mut Gateway) -> Result<String, Failure> {
    let Ok(restart) = env::var("RADOSGW_RESTART") else { return Ok("left out: RADOSGW_RESTART is not set".to_owned()) };
    let orders: Vec<_> = (30..54).map(|number| gateway.order(number, 10, 1_000)).collect();
    let waldur = gateway.waldur.clone();
    let done = || orders.iter().filter(|order| waldur.order_view(**order).state == OrderState::Done).count();
    let replaced = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let begun = Command::new("sh").arg("-c").arg(&restart).stdin(Stdio::null()).status();
        (done(), begun.await)
    };
    // What this pass comes to does not matter; some of its calls met nobody.
    let (_first, (before, replaced)) = join(run(&mut gateway.careful), replaced).await;
    ensure(replaced?.success(), || format!("`{restart}` failed"))?;
    ensure(before < orders.len(), || "the orders were done before the gateway went away".to_owned())?;
    let mut passes = 1;
    while done() < orders.len() && passes < 5 {
        passes += 1;
        run(&mut gateway.careful).await?;
    }
    process(&gateway.waldur, &mut gateway.careful, &orders, OrderState::Done).await?;
    for order in &orders {
        has_quotas(gateway, gateway.waldur.resource_of(*order), 10, 1_000).await?;
    }
    Ok(format!("{before} of {} orders were done when it went away, all after pass {passes}", orders.len()))
}
