//! The live run against a RadosGW.

use std::{env, time::Duration};

use bytes::Bytes;
use futures_util::{
    future::try_join_all,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use serde_json::json;
use waldur_backend_croit::radosgw::{
    AccessKeyId, ListedUid, PageSize, Quota, QuotaObjects, QuotaSize, RadosGwClient, Uid,
};
use waldur_sdk::{
    ErrorKind, Result,
    rest::{Environment, PollPolicy, PollStep, poll_until},
    testing::waldur::{OrderOnResource, OrderState},
    types::ResourceUuid,
};

use super::{
    Failure, Steps, access, ensure,
    gateway::{Access, Gateway, MB, process, told},
    many,
    s3::S3,
    say, usage,
};
use crate::exit::Exit;

/// How long the gateway may take until a change of a quota counts.
const QUOTA_LAG: Duration = Duration::from_secs(20);

/// Runs everything against the gateway that the environment names, and prints a line for each step.
pub async fn radosgw() -> Exit {
    let access = match Access::from_environment() {
        Ok(access) => access,
        Err(why) => return skipped(&why),
    };
    let mut gateway = match Gateway::new(&access) {
        Ok(gateway) => gateway,
        Err(why) => return skipped(&why.to_string()),
    };
    if let Err(error) = reachable(&gateway.admin).await
        && error.kind() == ErrorKind::Connect
    {
        return skipped(&told(&error).to_string());
    }
    let mut steps = Steps::default();
    let ended = all(&mut gateway, &mut steps).await;
    steps.run("nothing is left behind", clean(&gateway)).await;
    say(&format!("{} steps passed, {} failed, {} left out", steps.passed, steps.failed, steps.skipped));
    if ended.is_some() && steps.failed == 0 { Exit::Done } else { Exit::Failed }
}

fn skipped(why: &str) -> Exit {
    say(&format!("SKIPPED: there is no gateway to run against: {why}"));
    Exit::Skipped
}

async fn reachable(admin: &RadosGwClient) -> Result<()> {
    admin.users().get(&Uid::new("admin")?).await.map(drop)
}

/// The steps that build on each other; `None` when one failed.
async fn all(gateway: &mut Gateway, steps: &mut Steps) -> Option<()> {
    let order = gateway.order(1, 4, 100);
    let resource = gateway.waldur.resource_of(order);
    steps.run("an order makes a user with quotas", made(gateway, order)).await?;
    let customer = gateway.customer(resource).ok()?;
    steps.run("its keys put, list and get an object", keys_work(&customer)).await?;
    steps.run("a full quota refuses", full(&customer)).await?;
    steps.run("larger limits are there and count", larger(gateway, resource, &customer)).await?;
    steps.run("with data in it, it is not terminated", refused(gateway, resource, &customer)).await?;
    steps.run("with leave to purge, it is", purged(gateway, resource, &customer)).await?;
    steps.run("an empty one is terminated, and restored", ended_and_restored(gateway)).await?;
    steps.run("what is reported is what was uploaded", usage::measured(gateway)).await?;
    steps.run("a paused one is closed to reading, and open again", access::paused(gateway)).await?;
    steps.run("a key is replaced while its sibling is in use", access::rotated(gateway)).await?;
    steps.run("8 orders at once", eight_orders(gateway)).await?;
    steps.run("8 writes to one user at once", eight_writes(gateway, 20, Writers::OneProcess)).await?;
    steps.run("8 more, each of another process", eight_writes(gateway, 21, Writers::EachItsOwn)).await?;
    let restarts = "the gateway restarts amid a run";
    match env::var("RADOSGW_RESTART") {
        Ok(restart) => steps.run(restarts, many::restarted(gateway, &restart)).await?,
        Err(_) => steps.skip(restarts, "RADOSGW_RESTART is not set"),
    }
    steps.run("2,000 users are paged and measured", many::paged(gateway)).await?;
    Some(())
}

async fn made(gateway: &mut Gateway, order: waldur_sdk::types::OrderUuid) -> Result<String, Failure> {
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    let resource = gateway.waldur.resource_of(order);
    has_quotas(gateway, resource, 4, 100).await
}

/// The user is there, is stamped, and has both quotas.
pub(super) async fn has_quotas(
    gateway: &Gateway,
    resource: ResourceUuid,
    size: u64,
    objects: u64,
) -> Result<String, Failure> {
    let user = gateway.user(resource).await?.ok_or("the user is not there")?;
    let wanted = Quota::new(QuotaSize::at_most(size * MB)?, QuotaObjects::at_most(objects)?);
    ensure(user.user_quota == Some(wanted) && user.bucket_quota == Some(wanted), || {
        format!("the quotas are {:?} and {:?}", user.user_quota, user.bucket_quota)
    })?;
    let email = user.email.as_deref().unwrap_or_default();
    ensure(email.contains(&resource.hex()), || "the user does not carry the stamp".to_owned())?;
    Ok(format!("{}, {size} MB, {objects} objects", user.user_id))
}

async fn keys_work(customer: &S3) -> Result<String, Failure> {
    let content = Bytes::from_static(b"It is there.");
    customer.make_bucket("live-data").await?;
    customer.put("live-data", "note.txt", content.clone()).await?;
    let listed = customer.list("live-data").await?;
    ensure(listed == ["note.txt"], || format!("the bucket lists {listed:?}"))?;
    let read = customer.get("live-data", "note.txt").await?;
    ensure(read == content, || "another content came back".to_owned())?;
    Ok(format!("{} bytes came back as they went", read.len()))
}

/// Fills the bucket until the gateway refuses. It counts with a delay, so more than the quota may go in.
async fn full(customer: &S3) -> Result<String, Failure> {
    let block = Bytes::from(vec![7; usize::try_from(MB)?]);
    for number in 0..32 {
        match customer.put("live-data", &format!("block-{number}"), block.clone()).await {
            Ok(()) => {}
            Err(error) if error.code() == Some("QuotaExceeded") => {
                return Ok(format!("QuotaExceeded after {number} MB of 4"));
            }
            Err(error) => return Err(told(&error)),
        }
    }
    Err("32 MB went in, the quota is 4".into())
}

async fn larger(gateway: &mut Gateway, resource: ResourceUuid, customer: &S3) -> Result<String, Failure> {
    let options = json!({ "storage_limit": 64, "object_limit": 200 });
    let order = gateway.order_on(resource, |order| order.update_options(&options));
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    let seen = has_quotas(gateway, resource, 64, 200).await?;
    let block = Bytes::from(vec![8; usize::try_from(MB)?]);
    let policy = PollPolicy::within(QUOTA_LAG).with_pauses(Duration::from_millis(100), Duration::from_secs(1));
    let environment = Environment::default().with_timer(tokio::time::sleep);
    let put = async || match customer.put("live-data", "one-more", block.clone()).await {
        Ok(()) => Ok(PollStep::Done(())),
        Err(error) if error.code() == Some("QuotaExceeded") => Ok(PollStep::Waiting("the old quota".to_owned())),
        Err(error) => Err(error),
    };
    poll_until(&environment, &policy, put, |_| ()).await.map_err(|error| told(&error))?;
    Ok(seen)
}

async fn refused(gateway: &mut Gateway, resource: ResourceUuid, customer: &S3) -> Result<String, Failure> {
    let order = gateway.order_on(resource, OrderOnResource::terminate);
    let told = process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Erred).await?;
    ensure(told.contains("still owns 1 bucket"), || format!("the customer is told: {told}"))?;
    customer.get("live-data", "note.txt").await?;
    Ok(format!("{told:?}, and the data is there"))
}

async fn purged(gateway: &mut Gateway, resource: ResourceUuid, customer: &S3) -> Result<String, Failure> {
    let order = gateway.order_on(resource, OrderOnResource::terminate);
    process(&gateway.waldur, &mut gateway.purging, &[order], OrderState::Done).await?;
    ensure(gateway.user(resource).await?.is_none(), || "the user is still there".to_owned())?;
    match customer.get("live-data", "note.txt").await {
        Err(error) if error.code() == Some("InvalidAccessKeyId") => {
            Ok("the user is gone, its keys open nothing".into())
        }
        Err(error) => Err(told(&error)),
        Ok(_) => Err("the old keys still open the data".into()),
    }
}

async fn ended_and_restored(gateway: &mut Gateway) -> Result<String, Failure> {
    let order = gateway.order(2, 5, 50);
    let resource = gateway.waldur.resource_of(order);
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    let uid = gateway.uid(resource)?;
    let order = gateway.order_on(resource, OrderOnResource::terminate);
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    ensure(gateway.user(resource).await?.is_none(), || "the user is still there".to_owned())?;
    let order = gateway.order_on(resource, OrderOnResource::restore);
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    ensure(gateway.uid(resource)? == uid, || "it has another name now".to_owned())?;
    let seen = has_quotas(gateway, resource, 5, 50).await?;
    gateway.customer(resource)?.make_bucket("live-again").await?;
    Ok(seen)
}

async fn eight_orders(gateway: &mut Gateway) -> Result<String, Failure> {
    let orders: Vec<_> = (10..18).map(|number| gateway.order(number, 10, 1_000)).collect();
    process(&gateway.waldur, &mut gateway.careful, &orders, OrderState::Done).await?;
    let gateway = &*gateway;
    let users = orders.iter().enumerate().map(|(number, order)| async move {
        let resource = gateway.waldur.resource_of(*order);
        has_quotas(gateway, resource, 10, 1_000).await?;
        gateway.customer(resource)?.make_bucket(&format!("live-{number}")).await?;
        Ok::<_, Failure>(())
    });
    let users = try_join_all(users).await?;
    Ok(format!("{} users, each with its quotas and its keys", users.len()))
}

/// Whether writers know of each other.
#[derive(Clone, Copy)]
enum Writers {
    /// The client lets their writes pass one by one.
    OneProcess,
    /// The gateway answers 500 to the loser of two writes, and the loser repeats.
    EachItsOwn,
}

async fn eight_writes(gateway: &mut Gateway, number: u8, writers: Writers) -> Result<String, Failure> {
    let order = gateway.order(number, 10, 1_000);
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    let uid = gateway.uid(gateway.waldur.resource_of(order))?;
    let run = gateway.run_number();
    let ids = (0..8).map(|key| AccessKeyId::new(format!("LIVEKEY{run:08X}{number:02}{key:03}")));
    let ids = ids.collect::<Result<Vec<_>>>()?;
    let clients = ids.iter().map(|_| match writers {
        Writers::OneProcess => Ok(gateway.admin.clone()),
        Writers::EachItsOwn => gateway.another_client(),
    });
    let clients = clients.collect::<Result<Vec<_>>>()?;
    let mut missing: Vec<_> = clients.into_iter().zip(ids).collect();
    for round in 0..ROUNDS {
        let calls = missing.iter().map(|(client, id)| {
            let (client, id, uid) = (client.clone(), id.clone(), uid.clone());
            async move { client.keys().create(&uid, &id).await }
        });
        try_join_all(calls).await.map_err(|error| told(&error))?;
        let held = gateway.admin.keys().list(&uid).await?.ok_or("the user is not there")?;
        missing.retain(|(_, id)| !held.iter().any(|held| held.access_key == id.as_str()));
        if missing.is_empty() {
            ensure(held.len() == 9, || format!("there are {} keys", held.len()))?;
            let again = if round == 0 { String::new() } else { format!(", some after {round} more") };
            return Ok(format!("8 keys beside the first, all there{again}"));
        }
        if let Writers::OneProcess = writers {
            break;
        }
    }
    Err(format!("{} keys are lost", missing.len()).into())
}

/// How often writes of processes that do not know of each other are looked after. About one run in twenty, the gateway
/// acknowledges one of them and then has it not: what was written must be read back, as the back end does.
const ROUNDS: usize = 4;

/// Removes every user of this run, and proves that there is none. Those of other runs are theirs.
async fn clean(gateway: &Gateway) -> Result<String, Failure> {
    let ours = async || -> Result<Vec<Uid>> {
        let listing = gateway.admin.users().list(PageSize::default()).all().await?;
        listing.iter().filter(|user| gateway.is_of_this_run(user.as_str())).map(ListedUid::to_uid).collect()
    };
    let left = ours().await?;
    let removed = left.len();
    let removals = left.into_iter().map(|uid| async move { gateway.admin.users().delete_with_data(&uid).await });
    stream::iter(removals).buffer_unordered(many::AT_A_TIME).try_collect::<()>().await.map_err(|error| told(&error))?;
    let left = ours().await?;
    ensure(left.is_empty(), || format!("{left:?} are still there"))?;
    Ok(format!("{removed} users removed with their data"))
}
