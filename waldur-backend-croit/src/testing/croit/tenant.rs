//! What tenants leave behind beside objects: old versions, and uploads that were never finished.

use std::collections::BTreeMap;

use super::FakeCroit;
use crate::testing::records::Totals;

/// Old versions and unfinished uploads of one bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Leftovers {
    /// By key and version; a marker of a deletion has no size.
    pub(super) versions: BTreeMap<(String, String), Option<u64>>,
    /// By key and upload: the bytes of its parts.
    pub(super) uploads: BTreeMap<(String, String), u64>,
}

impl Leftovers {
    pub(super) fn totals(&self) -> Totals {
        Totals::of(self.versions.values().flatten().chain(self.uploads.values()).copied())
    }
}

impl FakeCroit {
    /// Leaves an old version of an object in a bucket; without a size it is the mark of a deletion.
    pub fn leave_version(&self, bucket: &str, key: &str, version: &str, size: Option<u64>) {
        let mut state = self.state();
        let left = state.leftovers.entry(bucket.to_owned()).or_default();
        left.versions.insert((key.to_owned(), version.to_owned()), size);
    }

    /// Leaves an upload of several parts unfinished in a bucket.
    pub fn leave_upload(&self, bucket: &str, key: &str, upload: &str, size: u64) {
        let mut state = self.state();
        let left = state.leftovers.entry(bucket.to_owned()).or_default();
        left.uploads.insert((key.to_owned(), upload.to_owned()), size);
    }

    /// Locks the object of that key, wherever it is: S3 does not delete it.
    pub fn lock(&self, key: &str) {
        self.state().locked.insert(key.to_owned());
    }

    /// How many old versions and unfinished uploads there are, in all buckets.
    pub fn leftovers(&self) -> usize {
        self.state().leftovers.values().map(|left| left.versions.len() + left.uploads.len()).sum()
    }
}
