//! `/admin/bucket` (radosgw-api.md §5; quotas of one bucket, links and order measured on 16.2.15).

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;

use super::{
    placement::{BUCKETS, position},
    quotas,
    records::{Quota, Totals, UserId},
    refused::Refused,
    state::{Place, State},
    wire::{Arguments, Exchange, Node, Reply, UNINITIALISED, decode},
};

const ZONE: &str = "9640a823-2b04-4846-b4e0-fd8a7e2471ee";
const ZONE_GROUP: &str = "32a314ae-d1cc-41c2-a6e9-0c5725041c8f";
const SHARDS: u32 = 11;

/// A bucket and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) owner: String,
    /// The owner's display name when it got the bucket, as written in the bucket's ACL.
    pub(super) owner_name: String,
    /// Is it in its owner's list? Unlinking takes it out; the owner stays written in the bucket.
    pub(super) linked: bool,
    pub(super) objects: BTreeMap<String, u64>,
    pub(super) quota: Quota,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    number: u64,
    /// Writes per shard of the index. Empty buckets that held something show zeroes, new ones nothing.
    writes: BTreeMap<u32, u64>,
}

impl Bucket {
    pub(super) fn new(owner: String, owner_name: String, number: u64, now: Timestamp) -> Self {
        Self {
            owner,
            owner_name,
            linked: true,
            objects: BTreeMap::new(),
            quota: Quota::default(),
            created: now,
            modified: now,
            number,
            writes: BTreeMap::new(),
        }
    }

    pub(super) fn belongs_to(&self, uid: &str) -> bool {
        self.linked && self.owner == uid
    }

    pub(super) fn totals(&self) -> Totals {
        Totals::of(self.objects.values().copied())
    }

    pub(super) fn put(&mut self, key: &str, size: u64) {
        self.objects.insert(key.to_owned(), size);
        self.count(key);
    }

    /// Was it there?
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let removed = self.objects.remove(key).is_some();
        if removed {
            self.count(key);
        }
        removed
    }

    fn count(&mut self, key: &str) {
        *self.writes.entry(position("", key) % SHARDS).or_default() += 1;
    }

    fn usage(&self) -> Node {
        let main = (!self.writes.is_empty()).then(|| ("rgw.main", self.totals().node(true)));
        Node::Map(main.into_iter().collect())
    }

    fn node(&self, (tenant, name): &Place) -> Node {
        let shards = |value: &dyn Fn(u32) -> String| {
            (0..SHARDS).map(|shard| format!("{shard}#{}", value(shard))).collect::<Vec<_>>().join(",")
        };
        let versions = shards(&|shard| (self.writes.get(&shard).copied().unwrap_or_default() + 1).to_string());
        let id = format!("{ZONE}.4110.{}", self.number);
        let pools = ["data_pool", "data_extra_pool", "index_pool"].map(|pool| (pool, Node::text("")));
        Node::Map(vec![
            ("bucket", Node::text(name)),
            ("num_shards", Node::Number(i64::from(SHARDS))),
            ("tenant", Node::text(tenant)),
            ("zonegroup", Node::text(ZONE_GROUP)),
            ("placement_rule", Node::text("default-placement")),
            ("explicit_placement", Node::Map(pools.into())),
            ("id", Node::text(&id)),
            ("marker", Node::text(&id)),
            ("index_type", Node::text("Normal")),
            ("owner", Node::text(&self.owner)),
            ("ver", Node::Text(versions)),
            ("master_ver", Node::Text(shards(&|_| "0".to_owned()))),
            ("mtime", Node::Text(format!("{:.6}", self.modified))),
            ("creation_time", Node::Text(format!("{:.6}", self.created))),
            ("max_marker", Node::Text(shards(&|_| String::new()))),
            ("usage", self.usage()),
            ("bucket_quota", self.quota.node()),
        ])
    }
}

/// `name`, or `tenant/name`.
fn place(bucket: &str) -> Place {
    let (tenant, name) = bucket.split_once('/').unwrap_or(("", bucket));
    (tenant.to_owned(), name.to_owned())
}

fn full_name((tenant, name): &Place) -> String {
    if tenant.is_empty() { name.clone() } else { format!("{tenant}/{name}") }
}

impl State {
    pub(super) fn get_bucket(&self, arguments: &Arguments) -> Result<Reply, Refused> {
        let (uid, bucket) = (arguments.text("uid"), arguments.text("bucket"));
        if uid.is_empty() && !bucket.is_empty() {
            let place = place(bucket);
            let found = self.buckets.get(&place).ok_or(Refused::NO_SUCH_BUCKET)?;
            return Ok(Reply::Tree("stats", found.node(&place)));
        }
        let found = if uid.is_empty() { self.all_buckets() } else { self.buckets_of(uid, bucket)? };
        let stats = arguments.flag("stats", false);
        let list = found.into_iter().map(|(place, found)| match stats {
            true => found.node(place),
            // A tenant is only told where there may be several.
            false if uid.is_empty() => Node::Text(full_name(place)),
            false => Node::text(&place.1),
        });
        Ok(Reply::Tree("buckets", Node::List("bucket", list.collect())))
    }

    fn all_buckets(&self) -> Vec<(&Place, &Bucket)> {
        let mut all: Vec<_> = self.buckets.iter().collect();
        all.sort_by_cached_key(|(place, _)| (position(BUCKETS, &full_name(place)), *place));
        all
    }

    /// Those of one user, by name; with `bucket` that one alone, or nothing when it is somebody else's.
    fn buckets_of(&self, uid: &str, bucket: &str) -> Result<Vec<(&Place, &Bucket)>, Refused> {
        let id = UserId::parse(uid);
        let owner = id.to_string();
        let wanted = (id.tenant, bucket.to_owned());
        if !bucket.is_empty() {
            let named_with_tenant = bucket.contains('/');
            if !self.users.contains_key(&owner) || !(named_with_tenant || self.buckets.contains_key(&wanted)) {
                return Err(Refused::NO_SUCH_BUCKET);
            }
        }
        let mine = self.buckets.iter().filter(|(_, found)| found.belongs_to(&owner));
        let mut mine: Vec<_> = mine.filter(|(place, _)| bucket.is_empty() || **place == wanted).collect();
        mine.sort_by_key(|(place, _)| &place.1);
        Ok(mine)
    }

    pub(super) fn check_bucket(&self, arguments: &Arguments) -> Result<Reply, Refused> {
        let bucket = self.buckets.get(&place(arguments.text("bucket"))).ok_or(Refused::NO_SUCH_KEY)?;
        let header = || Node::Map(vec![("usage", bucket.usage())]);
        let result = Node::Map(vec![("existing_header", header()), ("calculated_header", header())]);
        let entries = Node::List("object", Vec::new());
        let check = Node::Map(vec![("invalid_multipart_entries", entries), ("check_result", result)]);
        Ok(Reply::Tree("bucket", check))
    }

    /// A user or bucket that is not there is `NoSuchKey` in what follows.
    fn bucket_for_user(&mut self, arguments: &Arguments) -> Result<(String, &mut Bucket), Refused> {
        let (uid, bucket) = (arguments.text("uid"), arguments.text("bucket"));
        if uid.is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let id = UserId::parse(uid);
        let uid = id.to_string();
        if !self.users.contains_key(&uid) {
            return Err(Refused::NO_SUCH_KEY);
        }
        if bucket.is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let mut place = place(bucket);
        if place.0.is_empty() {
            place.0 = id.tenant;
        }
        self.buckets.get_mut(&place).map(|found| (uid, found)).ok_or(Refused::NO_SUCH_KEY)
    }

    pub(super) fn link_bucket(&mut self, arguments: &Arguments) -> Result<Reply, Refused> {
        let now = self.now();
        let user = self.users.get(&UserId::parse(arguments.text("uid")).to_string());
        let name = user.map(|user| user.display_name.clone()).unwrap_or_default();
        let (uid, bucket) = self.bucket_for_user(arguments)?;
        if UserId::parse(&bucket.owner).tenant != UserId::parse(&uid).tenant {
            // Moves the bucket to another tenant.
            return Err(Refused::NOT_MODELLED);
        }
        bucket.owner.clone_from(&uid);
        bucket.owner_name = name;
        bucket.linked = true;
        bucket.modified = now;
        self.remember_bucket_list(&uid);
        Ok(Reply::Empty)
    }

    pub(super) fn unlink_bucket(&mut self, arguments: &Arguments) -> Result<Reply, Refused> {
        let (uid, bucket) = self.bucket_for_user(arguments)?;
        if bucket.owner != uid {
            return Err(Refused::INVALID_ARGUMENT);
        }
        bucket.linked = false;
        Ok(Reply::Empty)
    }

    /// Whose bucket it is does not matter, only that the user exists. By query, `max-size` is ignored altogether:
    /// without `max-size-kb` the stored size is rounded up to KiB, so -1 becomes 0 and nothing can be written.
    pub(super) fn set_bucket_quota(&mut self, arguments: &Arguments, body: &[u8]) -> Result<Reply, Refused> {
        let sent = if body.is_empty() { None } else { Some(quotas::from_json(&quotas::json(body)?)?) };
        let now = self.now();
        let (_, bucket) = self.bucket_for_user(arguments)?;
        let stored = bucket.quota;
        let kb = arguments.number("max-size-kb", UNINITIALISED).unwrap_or(stored.size_kb());
        bucket.quota = sent.unwrap_or(Quota {
            enabled: arguments.flag("enabled", stored.enabled),
            max_size: kb.wrapping_mul(1024),
            max_objects: arguments.number("max-objects", -1).unwrap_or(stored.max_objects),
        });
        bucket.modified = now;
        Ok(Reply::Empty)
    }

    pub(super) fn delete_bucket(&mut self, arguments: &Arguments) -> Result<Reply, Refused> {
        if arguments.text("bucket").is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let place = place(arguments.text("bucket"));
        let bucket = self.buckets.get(&place).ok_or(Refused::NO_SUCH_BUCKET)?;
        if !bucket.objects.is_empty() && !arguments.flag("purge-objects", false) {
            return Err(Refused::BUCKET_NOT_EMPTY);
        }
        self.buckets.remove(&place);
        Ok(Reply::Empty)
    }

    pub(super) fn delete_object(&mut self, arguments: &Arguments) -> Result<Reply, Refused> {
        if arguments.text("bucket").is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let bucket = self.buckets.get_mut(&place(arguments.text("bucket"))).ok_or(Refused::NO_SUCH_KEY)?;
        match arguments.text("object") {
            "" => Err(Refused::INVALID_ARGUMENT),
            key if bucket.remove(key) => Ok(Reply::Empty),
            _ => Err(Refused::NO_SUCH_KEY),
        }
    }

    /// Anything outside `/admin` is a bucket to the gateway. The fake knows those that are not there.
    pub(super) fn s3(&self, exchange: &Exchange) -> Reply {
        let path = decode(exchange.path.as_bytes()).unwrap_or_default();
        let path = String::from_utf8_lossy(&path);
        let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let doubled = path.starts_with("//");
        let known = self.buckets.contains_key(&(String::new(), name.to_owned()));
        if exchange.method == Method::PUT || name.is_empty() || (known && !doubled) {
            return Refused::NOT_MODELLED.into();
        }
        let bucket = (!doubled).then(|| name.to_owned());
        Reply::Error { refused: Refused::NO_SUCH_BUCKET, bucket, begun: None }
    }
}
