//! Waldur back end for S3 storage by Ceph RadosGW.

pub mod client;
pub mod names;
