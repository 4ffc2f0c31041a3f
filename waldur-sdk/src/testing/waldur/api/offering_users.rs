//! Offering users: the names that people have at a provider (core.md §1.6 #50 to #56, §3.3).

use http::{StatusCode, header};
use serde_json::Value;

use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::{Filters, one, page, sort},
    model::OfferingUser,
    state::State,
    words::{Generation, OfferingUserState},
};
use crate::types::{OfferingUserUuid, OfferingUuid, UserUuid};

use OfferingUserState as S;

const PENDING: [OfferingUserState; 2] = [S::PendingAccountLinking, S::PendingAdditionalValidation];

/// `GET marketplace-offering-users/`, by username (recorded: 228, 230). Generation 2024 does not know states.
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let states = match call.generation {
        Generation::V2024 => Vec::new(),
        Generation::V8 => filters.words::<OfferingUserState>("state"),
    };
    let offerings = filters.uuids("offering_uuid");
    let user = filters.uuid("user_uuid");
    // The provider, not the customer that it is.
    let provider = filters.uuid("provider_uuid");
    let restricted = filters.boolean("is_restricted");
    let order = filters.order(&["created", "modified", "username"]);
    filters.check()?;
    let mut rows: Vec<&OfferingUser> = state
        .offering_users
        .iter()
        .filter(|row| states.is_empty() || states.contains(&row.state))
        .filter(|row| offerings.is_empty() || offerings.contains(&row.offering.uuid()))
        .filter(|row| user.is_none_or(|uuid| row.user.uuid() == uuid))
        .filter(|row| provider.is_none_or(|uuid| is_of_provider(state, row, uuid)))
        .filter(|row| restricted.is_none_or(|yes| row.restricted == yes))
        .filter(|row| state.sees_offering_user(call.user, row))
        .collect();
    rows.sort_by(|one, other| one.username.cmp(&other.username));
    sort(&mut rows, &order, |row, name| match name {
        "username" => row.username.clone().unwrap_or_default(),
        "modified" => format!("{:040}", row.modified.as_nanosecond()),
        _ => format!("{:040}", row.created.as_nanosecond()),
    });
    page(call, &rows, |row| state.show_offering_user(call, row))
}

fn is_of_provider(state: &State, row: &OfferingUser, provider: uuid::Uuid) -> bool {
    let customer = state.offering(row.offering).map(|offering| offering.customer);
    state.providers.get(provider).is_some_and(|provider| Some(provider.customer) == customer)
}

/// `GET marketplace-offering-users/{}/` (recorded: 231).
pub(super) fn retrieve(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = visible(state, call)?;
    show(state, call, uuid)
}

fn show(state: &State, call: &Incoming<'_>, uuid: OfferingUserUuid) -> Outcome {
    one(call, state.offering_users.get(uuid.uuid()).and_then(|row| state.show_offering_user(call, row)))
}

/// `POST marketplace-offering-users/` (recorded: 223 to 226, 340, 341). Generation 8 takes ids as well as links.
pub(super) fn create(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut fields = call.fields()?;
    let mut id = |name: &str, path: &str| {
        let uuid_name = format!("{name}_uuid");
        if call.generation == Generation::V8 && fields.has(&uuid_name) {
            fields.text(&uuid_name, 36).and_then(|text| uuid::Uuid::try_parse(&text).ok())
        } else {
            fields.required(name).and_then(|_| fields.link(name, path))
        }
    };
    let user = id("user", "users/");
    let offering = id("offering", "marketplace-provider-offerings/");
    if user.is_some_and(|uuid| state.users.get(uuid).is_none()) {
        fields.wrong_link("user");
    }
    if offering.is_some_and(|uuid| state.offerings.get(uuid).is_none()) {
        fields.wrong_link("offering");
    }
    let username = username(&mut fields);
    fields.check()?;
    let (Some(user), Some(offering)) = (user.map(UserUuid::new), offering.map(OfferingUuid::new)) else {
        return Err(Answer::field_error("non_field_errors", "Both user and offering are required."));
    };
    if state.offering_users.iter().any(|row| row.offering == offering && row.user == user) {
        return Err(Answer::field_error("non_field_errors", "The fields offering, user must make a unique set."));
    }
    if !state.offering(offering).is_some_and(|row| state.provides(call.user, row)) {
        return Err(Answer::forbidden());
    }
    let ready = username.as_ref().is_some_and(|name| !name.is_empty());
    let (uuid, created) = (OfferingUserUuid::new(state.uuid()), state.now());
    state.offering_users.put(OfferingUser {
        uuid,
        created,
        modified: created,
        propagated: None,
        offering,
        user,
        username,
        state: if ready { S::Ok } else { S::Requested },
        restricted: false,
        comment: String::new(),
        comment_url: String::new(),
    });
    let shown = show(state, call, uuid)?;
    let location = call.link("marketplace-offering-users", uuid);
    Ok(Answer { status: StatusCode::CREATED, ..shown }.with(header::LOCATION, location))
}

/// `PATCH marketplace-offering-users/{}/`: a username makes the row ready in generation 8 (core.md §3.3; recorded: 232
/// to 236).
pub(super) fn patch(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let name = username(&mut fields);
    fields.check()?;
    if fields.has("username") {
        change(state, uuid, |row| {
            let ends = matches!(row.state, S::RequestedDeletion | S::Deleting | S::Deleted | S::ErrorDeleting);
            if !ends && name.as_ref().is_some_and(|name| !name.is_empty()) {
                row.state = S::Ok;
            }
            row.username = name;
        });
    }
    show(state, call, uuid)
}

/// `PUT marketplace-offering-users/{}/`: as `PATCH`; generation 2024 wants the whole row (recorded: 240).
pub(super) fn put(state: &mut State, call: &Incoming<'_>) -> Outcome {
    if call.generation == Generation::V2024 {
        provided(state, call)?;
        let mut fields = call.fields()?;
        fields.required("user");
        fields.required("offering");
        fields.check()?;
    }
    patch(state, call)
}

/// A username; `null` is none.
fn username(fields: &mut Fields) -> Option<String> {
    match fields.get("username")? {
        Value::Null => None,
        _ => fields.text("username", 100),
    }
}

/// `DELETE marketplace-offering-users/{}/` (recorded: 255).
pub(super) fn delete(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    state.offering_users.remove(uuid.uuid());
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `POST …/{}/update_restricted/` (recorded: 238, 239).
pub(super) fn update_restricted(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let restricted = fields.required("is_restricted").and_then(|_| fields.boolean("is_restricted"));
    fields.check()?;
    change(state, uuid, |row| row.restricted = restricted.unwrap_or_default());
    Ok(Answer::empty(StatusCode::OK))
}

/// `PATCH …/update_comments/`, since generation 8: what is not sent stays.
pub(super) fn update_comments(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let comment = fields.text("service_provider_comment", 4096);
    let url = fields.text("service_provider_comment_url", 200);
    fields.check()?;
    change(state, uuid, |row| {
        row.comment = comment.unwrap_or_else(|| std::mem::take(&mut row.comment));
        row.comment_url = url.unwrap_or_else(|| std::mem::take(&mut row.comment_url));
    });
    let row = state.offering_users.get(uuid.uuid()).ok_or_else(Answer::broken)?;
    let shown =
        serde_json::json!({ "service_provider_comment": row.comment, "service_provider_comment_url": row.comment_url });
    Ok(Answer::json(StatusCode::OK, shown))
}

pub(super) fn begin_creating(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[S::Requested, S::ErrorCreating], S::Creating)
}

pub(super) fn set_error_creating(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[], S::ErrorCreating)
}

pub(super) fn set_pending_account_linking(state: &mut State, call: &Incoming<'_>) -> Outcome {
    ask_user(state, call, S::PendingAccountLinking)
}

pub(super) fn set_pending_additional_validation(state: &mut State, call: &Incoming<'_>) -> Outcome {
    ask_user(state, call, S::PendingAdditionalValidation)
}

pub(super) fn set_validation_complete(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &PENDING, S::Ok)
}

pub(super) fn request_deletion(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[S::Ok, S::ErrorCreating, S::ErrorDeleting], S::RequestedDeletion)
}

pub(super) fn set_deleting(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[S::RequestedDeletion, S::ErrorDeleting], S::Deleting)
}

pub(super) fn set_deleted(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[S::Deleting], S::Deleted)
}

pub(super) fn set_error_deleting(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[], S::ErrorDeleting)
}

pub(super) fn set_ok(state: &mut State, call: &Incoming<'_>) -> Outcome {
    go(state, call, &[], S::Ok)
}

/// Goes on to another state, from any if none is named. Which states are valid is core.md §1.6 and §3.3.
fn go(state: &mut State, call: &Incoming<'_>, from: &[OfferingUserState], to: OfferingUserState) -> Outcome {
    let uuid = provided(state, call)?;
    require(state, uuid, from)?;
    change(state, uuid, |row| {
        row.state = to;
        row.comment.clear();
        row.comment_url.clear();
    });
    Ok(Answer::empty(StatusCode::OK))
}

/// The user has to do something; `null` is no URL (core.md §1.6 #54).
fn ask_user(state: &mut State, call: &Incoming<'_>, to: OfferingUserState) -> Outcome {
    let uuid = provided(state, call)?;
    require(state, uuid, &[S::Creating, S::ErrorCreating, S::PendingAccountLinking, S::PendingAdditionalValidation])?;
    let mut fields = call.fields()?;
    let comment = fields.text("comment", 4096).unwrap_or_default();
    let comment_url = fields.text("comment_url", 255).unwrap_or_default();
    fields.check()?;
    change(state, uuid, |row| {
        row.state = to;
        row.comment = comment;
        row.comment_url = comment_url;
    });
    Ok(Answer::empty(StatusCode::OK))
}

fn require(state: &State, uuid: OfferingUserUuid, valid: &[OfferingUserState]) -> Result<(), Answer> {
    match state.offering_users.get(uuid.uuid()) {
        Some(row) if valid.is_empty() || valid.contains(&row.state) => Ok(()),
        _ => Err(Answer::wrong_state(&valid.iter().map(|state| state.as_str()).collect::<Vec<_>>())),
    }
}

fn change(state: &mut State, uuid: OfferingUserUuid, change: impl FnOnce(&mut OfferingUser)) {
    let now = state.now();
    if let Some(row) = state.offering_users.get_mut(uuid.uuid()) {
        change(row);
        row.modified = now;
    }
}

fn visible(state: &State, call: &Incoming<'_>) -> Result<OfferingUserUuid, Answer> {
    let row = call.id().and_then(|uuid| state.offering_users.get(uuid));
    let row = row.filter(|row| state.sees_offering_user(call.user, row));
    Ok(row.ok_or_else(|| Answer::no_such("OfferingUser"))?.uuid)
}

fn provided(state: &State, call: &Incoming<'_>) -> Result<OfferingUserUuid, Answer> {
    let uuid = visible(state, call)?;
    let row = state.offering_users.get(uuid.uuid());
    let provides = row.is_some_and(|row| state.provides_offering_user(call.user, row));
    if provides { Ok(uuid) } else { Err(Answer::forbidden()) }
}
