//! Rows as the server shows them: the key sets of the recordings, and for generation 8 those of its schema.

mod agents;
mod directory;
mod offerings;
mod orders;
mod people;
mod resources;
mod usages;

use jiff::Timestamp;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::Value;

/// `[]`.
const EMPTY: [Value; 0] = [];

/// A JSON object. Unlike `json!` it does not recurse, so it can be as long as the server's rows are.
///
/// With the call in front, `object! { for call; … }`, members that `field=` does not ask for are not even made: most are
/// not, and making them all is most of the time that an answer takes.
macro_rules! object {
    (for $call:expr; $($name:literal: $value:expr),* $(,)?) => {{
        let mut members = ::serde_json::Map::new();
        $(if $call.wants($name) {
            members.insert($name.to_owned(), ::serde_json::json!($value));
        })*
        members
    }};
    ($($name:literal: $value:expr),* $(,)?) => {{
        let mut members = ::serde_json::Map::new();
        $(members.insert($name.to_owned(), ::serde_json::json!($value));)*
        members
    }};
}
pub(super) use object;

pub(super) use directory::show_role;
pub(super) use offerings::{Side, show_attribute_config};
pub(super) use people::{ROLES, show_course_account, show_key, show_service_account, show_user_limit};

/// An instant as the server writes it: six digits of a second, none if they are all zero.
pub(super) fn time(at: Timestamp) -> String {
    let format = if at.subsec_nanosecond() / 1000 == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.6fZ" };
    at.strftime(format).to_string()
}

/// An amount of money where the server writes it as text.
fn money(amount: Option<Decimal>) -> Value {
    amount.map_or(Value::Null, |amount| format!("{amount:.10}").into())
}

/// An amount of money where the server writes it as a number.
fn float(amount: Decimal) -> Value {
    amount.to_f64().map_or(Value::Null, Value::from)
}
