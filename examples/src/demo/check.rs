//! Looks behind the stage: is everything as it was ordered?

use secrecy::ExposeSecret as _;
use serde_json::Value;
use waldur_backend_croit::testing::UserView;
use waldur_sdk::testing::waldur::{OrderView, ResourceView};

use super::{
    stories::{Story, There, stranger_is_untouched},
    world::World,
};

/// What was found of one order.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) story: Story,
    /// What the customer sees.
    pub(super) outcome: String,
    /// What is on the gateway.
    pub(super) found: String,
    /// What is not as it was ordered.
    pub(super) differences: Vec<String>,
}

/// Holds an order against Waldur and the gateway.
pub(super) fn story(world: &World, story: &Story) -> Checked {
    let order = world.waldur.order_view(story.order);
    let resource = world.waldur.resource_view(story.resource);
    let told = told(&order);
    let expected = &story.expected;
    let mut differences = Vec::new();
    let mut hold = |what: &str, found: &str, wanted: &str| {
        if found != wanted {
            differences.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    hold("the order", order.state.as_str(), expected.order.as_str());
    hold("the resource", resource.state.as_str(), expected.resource.as_str());
    if !told.contains(expected.told) {
        differences.push(format!("the customer is told {told:?}, not {:?}", expected.told));
    }
    let user = world.gateway.user(&resource.backend_id).filter(|_| !resource.backend_id.is_empty());
    let found = match (expected.there, &user) {
        (There::Nothing, None) => "none".to_owned(),
        (There::Stranger, _) if stranger_is_untouched(world) => "a stranger's, untouched".to_owned(),
        (There::Stranger, _) => {
            differences.push("the stranger's user was touched".to_owned());
            "a stranger's, changed".to_owned()
        }
        (There::User(..) | There::OlderUser(..), None) => {
            differences.push("the user is not there".to_owned());
            "none".to_owned()
        }
        (There::Nothing, Some(user)) => {
            differences.push(format!("the user {} is there", user.uid));
            describe(user)
        }
        (There::User(size, objects), Some(user)) => {
            differences.extend(ceilings(user, size, objects));
            differences.extend(ownership(user, story));
            differences.extend(keys(world, user, &resource));
            describe(user)
        }
        (There::OlderUser(size, objects), Some(user)) => {
            differences.extend(ceilings(user, size, objects));
            describe(user)
        }
    };
    let outcome = if told.is_empty() { order.state.to_string() } else { format!("{}: {told}", order.state) };
    Checked { story: story.clone(), outcome, found, differences }
}

fn told(order: &OrderView) -> String {
    [&order.error_message, &order.provider_rejection_comment].map(String::as_str).concat()
}

fn ceilings(user: &UserView, size: i64, objects: i64) -> Option<String> {
    let right = [user.user_quota, user.bucket_quota]
        .iter()
        .all(|quota| quota.enabled && quota.max_size == size && quota.max_objects == objects);
    (!right).then(|| format!("the quotas are {:?} and {:?}", user.user_quota, user.bucket_quota))
}

fn ownership(user: &UserView, story: &Story) -> Option<String> {
    let stamped = user.email.contains(&story.resource.hex());
    (!stamped).then(|| format!("the user {} does not carry the resource's stamp", user.uid))
}

/// The user has one key, it is the one that Waldur shows, and it opens this user.
fn keys(world: &World, user: &UserView, resource: &ResourceView) -> Option<String> {
    let shown =
        |name: &str| resource.backend_metadata.pointer(&format!("/s3_credentials/{name}")).and_then(Value::as_str);
    let [key] = user.keys.as_slice() else { return Some(format!("the user has {} keys", user.keys.len())) };
    if shown("access_key") != Some(&*key.access_key) || shown("secret_key") != Some(key.secret_key.expose_secret()) {
        return Some("Waldur shows another key than the user's".to_owned());
    }
    if world.gateway.login(&key.access_key, &key.secret_key).as_deref() != Ok(&*user.uid) {
        return Some("the key does not open the user".to_owned());
    }
    (resource.endpoint("S3 endpoint").is_none()).then(|| "Waldur shows no endpoint".to_owned())
}

fn describe(user: &UserView) -> String {
    let quota = user.user_quota;
    let size = if quota.max_size < 0 { "any size".to_owned() } else { format!("{} GiB", quota.max_size >> 30) };
    let objects =
        if quota.max_objects < 0 { "any number".to_owned() } else { format!("{} objects", quota.max_objects) };
    let keys = if user.keys.len() == 1 { "1 key".to_owned() } else { format!("{} keys", user.keys.len()) };
    format!("{}: {size}, {objects}, {keys}", user.uid)
}

/// What is wrong with the two systems as a whole.
pub(super) fn world(world: &World, stories: &[Story]) -> Vec<String> {
    let known: Vec<_> = stories.iter().map(|story| world.waldur.resource_view(story.resource).backend_id).collect();
    let (waldur, gateway) = (&world.waldur, &world.gateway);
    let (orphans, twins) = (gateway.orphans(&known), gateway.duplicate_stamps());
    let (unmodelled, unserved, nameless) = (gateway.unmodelled(), waldur.unserved(), waldur.done_without_backend_id());
    let anonymous = waldur.unauthenticated_requests().len();
    let suspects = [
        (orphans.is_empty(), format!("users that no resource knows: {orphans:?}")),
        (twins.is_empty(), format!("resources with two users: {twins:?}")),
        (gateway.unsigned_requests() == 0, "requests to the gateway without a signature".to_owned()),
        (gateway.rejected_signatures() == 0, "signatures that the gateway refused".to_owned()),
        (unmodelled.is_empty(), format!("calls that the fake gateway does not know: {unmodelled:?}")),
        (anonymous == 0, format!("{anonymous} requests to Waldur without credentials")),
        (unserved.is_empty(), format!("calls that the fake Waldur does not know: {unserved:?}")),
        (nameless.is_empty(), format!("orders done without a back-end id: {nameless:?}")),
    ];
    suspects.into_iter().filter(|(innocent, _)| !innocent).map(|(_, difference)| difference).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::time::Duration;

    use waldur_sdk::{backend::OpContext, rest::Environment, testing::waldur::OrderState};

    use super::*;
    use crate::{agent::pass, demo::stories};

    /// A world in which the first order was carried out, and its story.
    async fn played() -> (World, Story) {
        let environment = Environment::default().with_timer(tokio::time::sleep);
        let world = World::new(&environment);
        let mut agents = world.agents(&environment, Duration::ZERO).unwrap();
        let stories = stories::new_resources(&world, 0).unwrap();
        pass(&mut agents, &OpContext::new("test")).await;
        (world, stories[0].clone())
    }

    #[tokio::test]
    async fn whatever_is_changed_behind_the_stage_is_named() {
        let (world, first) = played().await;
        assert_eq!(story(&world, &first).differences, Vec::<String>::new());
        let uid = world.waldur.resource_view(first.resource).backend_id;

        world.gateway.edit_user(&uid, |user| user.bucket_quota.max_objects += 1).unwrap();
        assert!(story(&world, &first).differences[0].starts_with("the quotas are "));
        world.gateway.edit_user(&uid, |user| user.bucket_quota.max_objects -= 1).unwrap();

        world.gateway.edit_user(&uid, |user| user.email.clear()).unwrap();
        assert_eq!(story(&world, &first).differences, [format!("the user {uid} does not carry the resource's stamp")]);

        world.waldur.change_resource(first.resource, |resource| resource.backend_metadata(Value::Null));
        assert!(story(&world, &first).differences.contains(&"Waldur shows another key than the user's".to_owned()));

        world.gateway.remove_user(&uid);
        world.waldur.set_order_state(first.order, OrderState::Erred);
        let differences = story(&world, &first).differences;
        assert_eq!(differences, ["the order is erred, not done", "the user is not there"]);
    }

    #[tokio::test]
    async fn a_user_that_nobody_ordered_is_named() {
        let (world, first) = played().await;
        let orphans = super::world(&world, &[]);
        assert!(orphans[0].starts_with("users that no resource knows: "), "{orphans:?}");
        assert!(orphans[0].contains(&world.waldur.resource_view(first.resource).backend_id), "{orphans:?}");
    }
}
