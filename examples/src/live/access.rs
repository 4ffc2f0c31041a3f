//! Who gets in: paused customers, and those whose keys are replaced.

use std::{cell::Cell, sync::Arc};

use bytes::Bytes;
use futures_util::future::join;
use waldur_backend_croit::radosgw::{Quota, Quotas, S3Key};
use waldur_sdk::{
    backend::OpContext,
    client::ResourceApiKeyQuery,
    process::{KeyProcessor, RotationOutcome},
    testing::waldur::OrderState,
};

use super::{
    Failure, ensure,
    gateway::{Gateway, process, run, told},
    s3::S3,
};

const BUCKET: &str = "live-door";

async fn can_read(customer: &S3) -> Result<bool, Failure> {
    match customer.get(BUCKET, "note.txt").await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("UserSuspended") => Ok(false),
        Err(error) => Err(told(&error)),
    }
}

/// A paused resource cannot even be read; a restored one can, by the same keys.
pub(super) async fn paused(gateway: &mut Gateway) -> Result<String, Failure> {
    let order = gateway.order(4, 10, 100);
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    let resource = gateway.waldur.resource_of(order);
    let customer = gateway.customer(resource)?;
    customer.make_bucket(BUCKET).await?;
    customer.put(BUCKET, "note.txt", Bytes::from_static(b"Are you there?")).await?;
    for paused in [true, false] {
        gateway.waldur.change_resource(resource, |resource| resource.paused(paused));
        run(&mut gateway.keeping).await?;
        ensure(can_read(&customer).await? != paused, || format!("paused: {paused}, and it can be read: {paused}"))?;
    }
    // A suspension that is not Waldur's is not lifted.
    let uid = gateway.uid(resource)?;
    gateway.admin.users().set_suspended(&uid, true).await?;
    run(&mut gateway.keeping).await?;
    ensure(!can_read(&customer).await?, || "the operator's suspension was lifted".to_owned())?;
    gateway.admin.users().set_suspended(&uid, false).await?;
    // A quota that was changed by hand is what it was.
    let user = gateway.user(resource).await?.ok_or("the user is not there")?;
    let quotas = gateway.admin.quotas();
    quotas.set(&uid, Quotas::both(Quota::UNLIMITED)).await?;
    run(&mut gateway.keeping).await?;
    let mended = gateway.user(resource).await?.ok_or("the user is not there")?;
    ensure(mended.user_quota == user.user_quota && mended.bucket_quota == user.bucket_quota, || {
        format!("the quotas are {:?} and {:?}", mended.user_quota, mended.bucket_quota)
    })?;
    Ok("and the operator's suspension stays; a quota changed by hand is mended".to_owned())
}

/// Replaces one key of two, while a client reads with the other without a pause.
pub(super) async fn rotated(gateway: &mut Gateway) -> Result<String, Failure> {
    let order = gateway.order(5, 10, 100);
    process(&gateway.waldur, &mut gateway.issuing, &[order], OrderState::Done).await?;
    let resource = gateway.waldur.resource_of(order);
    let uid = gateway.uid(resource)?;
    let keys = gateway.admin.keys().list(&uid).await?.ok_or("the user is not there")?;
    let known: Vec<String> = gateway.waldur.api_keys(resource).into_iter().map(|(key, _)| key).collect();
    let is_known = |key: &S3Key| known.contains(&key.access_key);
    ensure(keys.len() == 2 && keys.iter().all(is_known), || {
        format!("there are {} keys, Waldur knows {}", keys.len(), known.len())
    })?;
    let [old, sibling] = keys.as_slice() else { return Err("there are not two keys".into()) };
    let (with_old, with_sibling) = (gateway.customer_with(old)?, gateway.customer_with(sibling)?);
    with_sibling.make_bucket(&format!("{BUCKET}-2")).await?;
    let waldur = gateway.waldur_client()?;
    let listed = waldur.api_keys().list(&ResourceApiKeyQuery::resource(resource)).all().await?;
    let row = listed.iter().find(|row| row.client_id.as_deref() == Some(&old.access_key));
    let key = row.ok_or("Waldur does not know the key")?.uuid;
    gateway.waldur.request_rotation(key);
    let processor = KeyProcessor::new(waldur, Arc::new(gateway.backend()?), gateway.offering());
    let (is_over, reads) = (Cell::new(false), Cell::new(0_u32));
    let rotation = async {
        let rotation = processor.rotate(&OpContext::new("live"), key, resource, Some(&old.access_key)).await;
        is_over.set(true);
        (rotation, reads.get())
    };
    let reading = async {
        while !is_over.get() {
            with_sibling.list(&format!("{BUCKET}-2")).await?;
            reads.set(reads.get() + 1);
        }
        // The old key is gone.
        with_sibling.list(&format!("{BUCKET}-2")).await
    };
    let ((rotation, meanwhile), reading) = join(rotation, reading).await;
    reading.map_err(|error| told(&error))?;
    ensure(matches!(rotation.outcome, RotationOutcome::Rotated), || format!("{:?}", rotation.outcome))?;
    ensure(meanwhile > 1, || format!("{meanwhile} reads were answered while the key was replaced"))?;
    match with_old.list(&format!("{BUCKET}-2")).await {
        Err(error) if error.code() == Some("InvalidAccessKeyId") => {}
        Err(error) => return Err(told(&error)),
        Ok(_) => return Err("the old key still opens the data".into()),
    }
    let live: Vec<String> = gateway
        .admin
        .keys()
        .list(&uid)
        .await?
        .ok_or("the user is not there")?
        .into_iter()
        .map(|key| key.access_key)
        .collect();
    let mut reported: Vec<String> = gateway.waldur.api_keys(resource).into_iter().map(|(key, _)| key).collect();
    reported.sort();
    ensure(live == reported, || "live and known keys differ".to_owned())?;
    Ok(format!("{meanwhile} reads with the sibling meanwhile and one afterwards, none refused"))
}
