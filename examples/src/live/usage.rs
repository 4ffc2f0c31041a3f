//! What is reported against what was uploaded.

use bytes::Bytes;
use waldur_sdk::{
    testing::waldur::OrderState,
    types::{Decimal, ResourceUuid},
};

use super::{
    Failure, ensure,
    gateway::{Gateway, MB, process, run},
};

fn blocks(number: u64) -> Result<Bytes, Failure> {
    Ok(Bytes::from(vec![5; usize::try_from(number * MB)?]))
}

/// Plain objects, one in parts, one in versions, and one whose upload never ended: all of it takes place, and all of it is
/// billed.
pub(super) async fn measured(gateway: &mut Gateway) -> Result<String, Failure> {
    let order = gateway.order(3, 100, 1_000);
    process(&gateway.waldur, &mut gateway.careful, &[order], OrderState::Done).await?;
    let resource = gateway.waldur.resource_of(order);
    // Two buckets that never held anything: the report has a true zero.
    let customer = gateway.customer(resource)?;
    let (plain, kept) =
        (format!("live-plain-{:x}", gateway.run_number()), format!("live-kept-{:x}", gateway.run_number()));
    customer.make_bucket(&plain).await?;
    customer.make_bucket(&kept).await?;
    reported(gateway, resource, 0, 0).await?;
    customer.put(&plain, "whole", blocks(3)?).await?;
    customer.put_in_parts(&plain, "in-parts", &[blocks(5)?, blocks(1)?], true).await?;
    customer.put_in_parts(&plain, "never-ended", &[blocks(5)?], false).await?;
    customer.keep_versions(&kept).await?;
    customer.put(&kept, "twice", blocks(1)?).await?;
    customer.put(&kept, "twice", blocks(2)?).await?;
    // The part of an upload that never ended counts as an object; so does each version.
    reported(gateway, resource, 17, 5).await?;
    customer.delete(&plain, "whole").await?;
    reported(gateway, resource, 14, 4).await?;
    Ok("17 MB in 5 objects, versions and a part that nobody ended among them; 14 MB after a deletion".to_owned())
}

async fn reported(gateway: &mut Gateway, resource: ResourceUuid, size: u64, objects: u64) -> Result<(), Failure> {
    run(&mut gateway.reporting).await?;
    let rows = gateway.waldur.usage_of(resource);
    let of = |component: &str| rows.iter().filter(|row| row.component == component).map(|row| row.amount).collect();
    let (sizes, counts): (Vec<Decimal>, Vec<Decimal>) = (of("s3_storage"), of("s3_objects"));
    ensure(sizes == [Decimal::from(size)] && counts == [Decimal::from(objects)], || {
        format!("{sizes:?} MB and {counts:?} objects were reported, not {size} and {objects}")
    })
}
