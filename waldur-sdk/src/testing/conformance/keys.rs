//! Keys of customers, for back ends that make them.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::{
    Outcome, Subject,
    checks::{cx, id_of, make},
    ensure, must,
};
use crate::{
    backend::{ApiKeys, CreateRequest, IssuedKey},
    rest::Complete,
    testing::complete,
};

/// The facet and the object that it is tried on.
struct Bench<'a> {
    keys: &'a dyn ApiKeys,
    request: CreateRequest,
}

impl Bench<'_> {
    async fn mint(&self) -> Result<IssuedKey, String> {
        let key = must("mint", self.keys.mint(&cx(), &self.request.resource, &self.request.backend_id).await)?;
        ensure(!key.client_id.trim().is_empty(), || "a key was minted without its first half".into())?;
        ensure(!key.secret.expose_secret().is_empty(), || "a key was minted without its secret half".into())?;
        Ok(key)
    }

    async fn revoke(&self, client_id: &str) -> Result<(), String> {
        let (resource, id) = (&self.request.resource, &self.request.backend_id);
        must("revoke", self.keys.revoke(&cx(), resource, id, client_id).await)
    }

    async fn rotate(&self, client_id: &str) -> Result<IssuedKey, String> {
        let (resource, id) = (&self.request.resource, &self.request.backend_id);
        must("rotate", self.keys.rotate(&cx(), resource, id, client_id).await)
    }

    /// How many keys were live beside these.
    async fn prune(&self, known: &[&str]) -> Result<u32, String> {
        let (resource, id) = (&self.request.resource, &self.request.backend_id);
        must("prune", self.keys.prune(&cx(), resource, id, &whole(known)).await)
    }
}

fn whole(names: &[&str]) -> Complete<String> {
    complete(names.iter().map(|name| (*name).to_owned()).collect())
}

pub(super) async fn keys_are_different_and_can_be_taken_back(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(keys) = backend.keys() else { return Ok(Some("no keys")) };
    let bench = Bench { keys, request: make(subject, 50).await? };
    let (one, two) = (bench.mint().await?, bench.mint().await?);
    let names = BTreeSet::from([&one.client_id, &two.client_id]);
    ensure(names.len() == 2, || "two keys have the same first half".into())?;
    ensure(one.secret.expose_secret() != two.secret.expose_secret(), || "two keys have the same secret".into())?;
    let shown = format!("{one:?} {two:?}");
    let silent = !shown.contains(one.secret.expose_secret()) && !shown.contains(two.secret.expose_secret());
    ensure(silent, || "a secret shows in Debug".into())?;
    for _twice in 0..2 {
        bench.revoke(&one.client_id).await?;
    }
    let others = bench.prune(&[&two.client_id]).await?;
    ensure(others == 0, || format!("a key was taken back, and {others} unknown keys are live"))?;
    Ok(None)
}

pub(super) async fn what_nobody_knows_is_pruned(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(keys) = backend.keys() else { return Ok(Some("no keys")) };
    let bench = Bench { keys, request: make(subject, 51).await? };
    let (one, _unknown) = (bench.mint().await?, bench.mint().await?);
    let pruned = bench.prune(&[&one.client_id]).await?;
    ensure(pruned == 1, || format!("one key of two is known, and {pruned} were pruned"))?;
    let pruned = bench.prune(&[&one.client_id]).await?;
    ensure(pruned == 0, || format!("{pruned} keys were pruned where all are known"))?;
    Ok(None)
}

pub(super) async fn a_replaced_key_leaves_its_sibling(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(keys) = backend.keys() else { return Ok(Some("no keys")) };
    let bench = Bench { keys, request: make(subject, 52).await? };
    let (old, sibling) = (bench.mint().await?, bench.mint().await?);
    let new = bench.rotate(&old.client_id).await?;
    ensure(new.secret.expose_secret() != old.secret.expose_secret(), || "the replaced key has its old secret".into())?;
    ensure(new.client_id != sibling.client_id, || "the sibling was handed out as the replacement".into())?;
    let others = bench.prune(&[&new.client_id, &sibling.client_id]).await?;
    ensure(others == 0, || format!("after a replacement {others} unknown keys are live: is the old one?"))?;
    // The sibling is still there, or this would find one key less.
    let sibling_is_live = bench.prune(&[&new.client_id]).await?;
    ensure(sibling_is_live == 1, || "a replacement took the sibling along".into())?;
    Ok(None)
}

pub(super) async fn a_key_that_is_gone_is_replaced(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(keys) = backend.keys() else { return Ok(Some("no keys")) };
    let bench = Bench { keys, request: make(subject, 53).await? };
    let old = bench.mint().await?;
    bench.revoke(&old.client_id).await?;
    let new = bench.rotate(&old.client_id).await?;
    let others = bench.prune(&[&new.client_id]).await?;
    ensure(others == 0, || format!("{others} unknown keys are live"))?;
    Ok(None)
}

pub(super) async fn a_foreign_object_gets_no_key(subject: &dyn Subject) -> Outcome {
    let backend = subject.backend();
    let Some(keys) = backend.keys() else { return Ok(Some("no keys")) };
    let resource = subject.resource(54);
    let id = id_of(&*backend, &resource)?;
    if !subject.plant(&id, true).await {
        return Ok(Some("the subject cannot plant an object"));
    }
    let minted = keys.mint(&cx(), &resource, &id).await;
    ensure(minted.is_err(), || "a stranger's object got a key".into())?;
    Ok(None)
}
