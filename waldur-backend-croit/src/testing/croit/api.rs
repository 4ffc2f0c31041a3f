//! The calls below `/api/s3` (croit-api.md §2).

use bytes::Bytes;
use http::{Method, Request, Response};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    FakeCroit,
    answer::{Outcome, Refusal, done, with},
    tenant::Leftovers,
};
use crate::testing::{
    FakeRadosGw,
    placement::position,
    records::{Key, Quota, User, UserId},
    refused::Refused,
    state::State,
    wire::decode,
};

/// The body of a creation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewUser {
    uid: String,
    name: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    default_placement: Option<String>,
    #[serde(default)]
    default_storage_class: Option<String>,
}

/// The body of a quota. A size of 0 would mean that nothing is allowed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewQuota {
    enabled: bool,
    #[serde(default)]
    max_size: Option<u64>,
    #[serde(default)]
    max_objects: Option<u64>,
}

impl FakeCroit {
    /// Answers a request to the path `path` below `/api`.
    pub(super) fn manage(&self, path: &str, request: &Request<Bytes>) -> Response<Bytes> {
        self.dispatch(path, request).unwrap_or_else(Response::from)
    }

    fn dispatch(&self, path: &str, request: &Request<Bytes>) -> Outcome {
        if !self.admits(request) {
            let mut gateway = self.gateway().state();
            if request.headers().contains_key(http::header::AUTHORIZATION) {
                gateway.requests.rejected += 1;
            } else {
                gateway.requests.unsigned += 1;
            }
            return Err(Refusal::new(401, "Not authenticated."));
        }
        let segments: Vec<_> = path.trim_start_matches('/').split('/').map(plain).collect();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match (request.method().as_str(), segments.as_slice()) {
            ("GET", ["s3", "users"]) => Ok(self.list_users()),
            ("POST", ["s3", "users"]) => self.create_user(request),
            ("DELETE", ["s3", "users", uid]) => self.delete_user(uid),
            ("GET", ["s3", "users", uid, "keys"]) => self.list_keys(uid),
            ("GET", ["s3", "users", uid, "key"]) => self.first_key(uid),
            ("PUT", ["s3", "users", uid, "keys", key]) => self.put_key(uid, key, request),
            ("DELETE", ["s3", "users", uid, "keys", key]) => self.delete_key(uid, key),
            ("PUT", ["s3", "users", uid, "quota"]) => self.set_quota(uid, request, |user| &mut user.user_quota),
            ("PUT", ["s3", "users", uid, "bucket-quota"]) => {
                self.set_quota(uid, request, |user| &mut user.bucket_quota)
            }
            ("GET", ["s3", "users", uid, "buckets"]) => self.list_buckets(uid),
            ("GET", ["stats"]) => self.draw(request.uri().query().unwrap_or_default()),
            _ => {
                let line = format!("{} /api{path}", request.method());
                self.gateway().state().requests.unmodelled.push(line);
                Err(Refusal::new(501, "This fake does not know the call."))
            }
        }
    }

    /// Counts a call, under the gateway's name for the same thing where there is one.
    pub(super) fn count(&self, operation: &'static str) {
        *self.gateway().state().requests.by_operation.entry(operation).or_default() += 1;
    }

    fn list_users(&self) -> Response<Bytes> {
        self.count("user.list");
        let state = self.gateway().state();
        let mut users: Vec<_> = state.users.values().filter(|user| user.id.id != FakeRadosGw::ADMIN).collect();
        users.sort_by_cached_key(|user| position("users.uid", &user.id.to_string()));
        with(200, &users.into_iter().map(|user| self.shown(user)).collect())
    }

    fn shown(&self, user: &User) -> Value {
        let full = user.id.to_string();
        shown(user, if self.config().tenants_in_names { &full } else { &user.id.id })
    }

    fn create_user(&self, request: &Request<Bytes>) -> Outcome {
        self.count("user.create");
        let new: NewUser = body(request)?;
        let mut state = self.gateway().state();
        let mut id = UserId::parse(&new.uid);
        id.tenant = new.tenant.unwrap_or_default();
        let email = new.email.unwrap_or_default().to_ascii_lowercase();
        if id.is_nobody() || new.name.is_empty() {
            return Err(Refusal::new(400, "uid and name are required."));
        }
        state.refuse_taken(&id, &email, "").map_err(|refused| {
            let is_name = refused == Refused::USER_ALREADY_EXISTS;
            let status = if is_name && !self.config().conflicts_are_faults { 409 } else { 500 };
            let what = if is_name { "User" } else { "A user with this email address" };
            Refusal::new(status, format!("{what} already exists."))
        })?;
        let mut user = User::new(id, &new.name);
        user.by_request = true;
        user.email = email;
        user.default_placement = new.default_placement.unwrap_or_default();
        user.default_storage_class = new.default_storage_class.unwrap_or_default();
        let (access_key, secret) = state.mint.pair("", "");
        user.keys.insert(access_key, Key { secret, subuser: None });
        let answer = self.shown(&user);
        if !is_lost(&mut state, "user.create") {
            state.write(None, user);
        }
        Ok(if self.config().silent_creates { done() } else { with(201, &answer) })
    }

    fn delete_user(&self, uid: &str) -> Outcome {
        self.count("user.delete");
        let mut state = self.gateway().state();
        let user = find(&state, uid)?.clone();
        let owner = user.id.to_string();
        if state.buckets.values().any(|bucket| bucket.belongs_to(&owner)) {
            return Err(Refusal::new(500, "Unable to remove user with buckets."));
        }
        if !is_lost(&mut state, "user.delete") {
            state.erase(&user);
        }
        Ok(done())
    }

    fn list_keys(&self, uid: &str) -> Outcome {
        self.count("key.list");
        let state = self.gateway().state();
        let keys: Vec<_> = keys(find(&state, uid)?).collect();
        Ok(with(200, &keys.into()))
    }

    fn first_key(&self, uid: &str) -> Outcome {
        self.count("key.first");
        let state = self.gateway().state();
        let first = keys(find(&state, uid)?).next();
        first.map(|key| with(200, &key)).ok_or_else(|| Refusal::new(404, "The user has no key."))
    }

    fn put_key(&self, uid: &str, access_key: &str, request: &Request<Bytes>) -> Outcome {
        self.count("key.create");
        let query = request.uri().query().unwrap_or_default();
        let secret = argument(query, "secretKey").filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| Refusal::new(400, "secretKey is required."))?;
        let mut state = self.gateway().state();
        let read = find(&state, uid)?.clone();
        if state.owner_of_key(access_key).is_some() {
            return Err(Refusal::new(409, "KeyExists"));
        }
        let mut user = read.clone();
        user.keys.insert(access_key.to_owned(), Key { secret: secret.into(), subuser: None });
        if !is_lost(&mut state, "key.create") {
            state.write(Some(&read), user);
        }
        Ok(done())
    }

    fn delete_key(&self, uid: &str, access_key: &str) -> Outcome {
        self.count("key.delete");
        let mut state = self.gateway().state();
        let read = find(&state, uid)?.clone();
        let mut user = read.clone();
        if user.keys.remove(access_key).is_none() {
            return Err(Refusal::new(500, format!("unable to find access key {access_key}")));
        }
        if !is_lost(&mut state, "key.delete") {
            state.write(Some(&read), user);
        }
        Ok(done())
    }

    fn set_quota(&self, uid: &str, request: &Request<Bytes>, of: fn(&mut User) -> &mut Quota) -> Outcome {
        self.count("quota.set");
        let new: NewQuota = body(request)?;
        let mut state = self.gateway().state();
        let read = find(&state, uid)?.clone();
        let mut user = read.clone();
        let ceiling = |ceiling: Option<u64>| ceiling.map_or(-1, |ceiling| i64::try_from(ceiling).unwrap_or(i64::MAX));
        *of(&mut user) = Quota {
            enabled: new.enabled,
            max_size: ceiling(new.max_size.map(|size| size.div_ceil(1024).saturating_mul(1024))),
            max_objects: ceiling(new.max_objects),
        };
        if !is_lost(&mut state, "quota.set") {
            state.write(Some(&read), user);
        }
        Ok(done())
    }

    fn list_buckets(&self, uid: &str) -> Outcome {
        self.count("bucket.get");
        let (croit, gateway) = (self.state(), self.gateway().state());
        let owner = find(&gateway, uid)?.id.to_string();
        let mine = gateway.buckets.iter().filter(|(_, bucket)| bucket.belongs_to(&owner));
        let rows: Vec<_> = mine
            .map(|((_, name), bucket)| {
                let hidden = croit.leftovers.get(name).map(Leftovers::totals).unwrap_or_default();
                let totals = bucket.totals().plus(hidden);
                let sum = json!({ "size": totals.bytes, "numObjects": number_with_a_point(totals.objects) });
                let sum = if croit.unmeasured.contains(name) { Value::Null } else { sum };
                json!({ "bucket": name, "owner": owner, "usageSum": sum })
            })
            .collect();
        Ok(with(200, &rows.into()))
    }
}

/// The same number, printed as `5.0`.
fn number_with_a_point(number: u64) -> Value {
    serde_json::from_str(&format!("{number}.0")).unwrap_or_default()
}

/// The user of that name, in whatever tenant: croit's paths know no tenants.
fn find<'a>(state: &'a State, uid: &str) -> Result<&'a User, Refusal> {
    let mut found = state.users.values().filter(|user| user.id.id == uid);
    found.next().ok_or_else(|| Refusal::no_such_user(uid))
}

fn is_lost(state: &mut State, operation: &str) -> bool {
    let Some(left) = state.losses.get_mut(operation).filter(|left| **left > 0) else { return false };
    *left -= 1;
    true
}

fn keys(user: &User) -> impl Iterator<Item = Value> {
    user.keys.iter().map(|(access_key, key)| {
        let holder = user.holder(key.subuser.as_deref());
        json!({ "user": holder, "access_key": access_key, "secret_key": key.secret.expose_secret() })
    })
}

fn shown(user: &User, uid: &str) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "uid": uid,
        "name": user.display_name,
        "email": text(&user.email),
        "tenant": text(&user.id.tenant),
        "suspended": user.suspended,
        "defaultPlacement": text(&user.default_placement),
        "defaultStorageClass": text(&user.default_storage_class),
        "keys": keys(user).collect::<Vec<_>>(),
        "userQuota": quota(user.user_quota),
        "bucketQuota": quota(user.bucket_quota),
    })
}

fn quota(quota: Quota) -> Value {
    if quota == Quota::default() {
        return Value::Null;
    }
    let ceiling = |ceiling: i64| if ceiling < 0 { Value::Null } else { ceiling.into() };
    json!({ "enabled": quota.enabled, "maxSize": ceiling(quota.max_size), "maxObjects": ceiling(quota.max_objects) })
}

fn body<T: for<'de> Deserialize<'de>>(request: &Request<Bytes>) -> Result<T, Refusal> {
    let is_write = matches!(*request.method(), Method::POST | Method::PUT);
    let read = serde_json::from_slice(request.body());
    read.map_err(|_| Refusal::new(if is_write { 400 } else { 500 }, "The body cannot be read."))
}

fn plain(text: &str) -> String {
    String::from_utf8_lossy(&decode(text.as_bytes()).unwrap_or_default()).into_owned()
}

/// A parameter of a query, decoded.
pub(super) fn argument(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plain(key) == name).then(|| plain(&value.replace('+', " ")))
    })
}
