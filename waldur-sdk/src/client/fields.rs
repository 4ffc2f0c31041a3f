//! Asking for what is read, and nothing else.

use serde::{
    de::{DeserializeOwned, Deserializer, Error as _, Visitor, value},
    forward_to_deserialize_any,
};

use crate::rest::Call;

/// Asks for exactly those members that `T` reads: `field=uuid&field=state…`. A server ignores names that it does not
/// know (core.md §1.7; recorded: 155_resources_retrieve_fields).
///
/// What comes names people, and holds what customers typed and credentials of theirs: no error shows any of an answer
/// that does not decode.
pub(super) fn select<T: DeserializeOwned>(call: Call) -> Call {
    members::<T>().iter().fold(call.secret_answer(), |call, member| call.query("field", member))
}

/// The members of a struct, as its derived `Deserialize` names them to a deserializer: a list kept by hand could
/// forget one.
fn members<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The attempt always fails: it is made for what it says on the way.
    let _failed = T::deserialize(Listener(&mut names));
    names
}

struct Listener<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(value::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(value::Error::custom("members are known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
