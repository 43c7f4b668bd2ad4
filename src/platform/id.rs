//! Identifiers: a UUIDv7 inside, a typed and opaque string outside.
//!
//! Outside they follow the TypeID form (<https://github.com/jetify-com/typeid>, version 0.3): a type's name, an
//! underscore and 26 characters of Crockford's base 32: `activity_01h455vb4pex5vsknk084sn02q`. An ID of one type
//! handed in where another is due is refused before any query runs.

use uuid::Uuid;

/// Why a string is not an ID of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("`{0}` is not an ID; pass on IDs as this API gave them")]
    Malformed(String),
    #[error("`{0}` is the ID of something else; an ID that begins with `{1}_` is due here")]
    OtherType(String, &'static str),
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The prefix and the UUID of any ID of this API.
pub fn parse(text: &str) -> Result<(&str, Uuid), InvalidId> {
    let malformed = || InvalidId::Malformed(text.chars().take(64).collect());
    let (prefix, suffix) = text.rsplit_once('_').ok_or_else(malformed)?;
    let suffix = suffix.as_bytes();
    // 26 characters carry 130 bits: the first may only use three of its five.
    if suffix.len() != 26 || suffix[0] > b'7' {
        return Err(malformed());
    }
    let mut value: u128 = 0;
    for byte in suffix {
        let digit = ALPHABET.iter().position(|letter| letter == byte).ok_or_else(malformed)?;
        value = (value << 5) | digit as u128;
    }
    Ok((prefix, Uuid::from_u128(value)))
}

pub fn format(prefix: &str, id: Uuid) -> String {
    let value = id.as_u128();
    let mut text = String::with_capacity(prefix.len() + 27);
    text.push_str(prefix);
    text.push('_');
    for place in (0..26).rev() {
        text.push(ALPHABET[((value >> (5 * place)) & 31) as usize] as char);
    }
    text
}

/// A new UUIDv7: sortable by its time of making, strictly rising within one process.
#[expect(
    clippy::disallowed_methods,
    reason = "an ID's time orders rows and decides nothing, so it needs no scripted clock"
)]
pub fn generate() -> Uuid {
    Uuid::now_v7()
}

/// Declares the ID type of one entity: a UUID in the database, `prefix_…` in JSON and in GraphQL's `ID`.
#[macro_export]
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Uuid)]
        pub struct $name(uuid::Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub fn generate() -> Self {
                Self($crate::platform::id::generate())
            }

            pub const fn from_uuid(id: uuid::Uuid) -> Self {
                Self(id)
            }

            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&$crate::platform::id::format(Self::PREFIX, self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, formatter)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::platform::id::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match $crate::platform::id::parse(text)? {
                    (Self::PREFIX, id) => Ok(Self(id)),
                    _ => Err($crate::platform::id::InvalidId::OtherType(text.to_owned(), Self::PREFIX)),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Uuid, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                <uuid::Uuid as diesel::serialize::ToSql<diesel::sql_types::Uuid, diesel::pg::Pg>>::to_sql(&self.0, out)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Uuid, diesel::pg::Pg> for $name {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                <uuid::Uuid as diesel::deserialize::FromSql<diesel::sql_types::Uuid, diesel::pg::Pg>>::from_sql(bytes)
                    .map(Self)
            }
        }

        // Outside it is Relay's `ID`. The scalar is registered once, as async-graphql's own; only the reading differs.
        impl async_graphql::InputType for $name {
            type RawValueType = Self;

            fn type_name() -> std::borrow::Cow<'static, str> {
                <async_graphql::ID as async_graphql::InputType>::type_name()
            }

            fn create_type_info(registry: &mut async_graphql::registry::Registry) -> String {
                <async_graphql::ID as async_graphql::InputType>::create_type_info(registry)
            }

            fn parse(value: Option<async_graphql::Value>) -> async_graphql::InputValueResult<Self> {
                match value.unwrap_or_default() {
                    async_graphql::Value::String(text) => text.parse().map_err(async_graphql::InputValueError::custom),
                    other => Err(async_graphql::InputValueError::expected_type(other)),
                }
            }

            fn to_value(&self) -> async_graphql::Value {
                async_graphql::Value::String(self.to_string())
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
        }

        impl async_graphql::OutputType for $name {
            fn type_name() -> std::borrow::Cow<'static, str> {
                <async_graphql::ID as async_graphql::OutputType>::type_name()
            }

            fn create_type_info(registry: &mut async_graphql::registry::Registry) -> String {
                <async_graphql::ID as async_graphql::OutputType>::create_type_info(registry)
            }

            async fn resolve(
                &self,
                _: &async_graphql::ContextSelectionSet<'_>,
                _: &async_graphql::Positioned<async_graphql::parser::types::Field>,
            ) -> async_graphql::ServerResult<async_graphql::Value> {
                Ok(async_graphql::Value::String(self.to_string()))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    typed_id!(PieceId, "piece");
    typed_id!(OtherId, "other");

    // From the vectors published with the TypeID specification.
    #[test]
    fn published_vectors_hold() {
        let id = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(format("prefix", id), "prefix_01h455vb4pex5vsknk084sn02q");
        assert_eq!(parse("prefix_01h455vb4pex5vsknk084sn02q"), Ok(("prefix", id)));
        assert_eq!(format("p", Uuid::max()), "p_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        for refused in
            ["p_8zzzzzzzzzzzzzzzzzzzzzzzzz", "p_01h455vb4pex5vsknk084sn02", "p_01h455vb4pex5vsknk084sn0il", "p", ""]
        {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_id_of_another_type_is_refused() {
        let piece = PieceId::generate();
        assert_eq!(piece.to_string().parse(), Ok(piece));
        assert!(matches!(piece.to_string().parse::<OtherId>(), Err(InvalidId::OtherType(_, "other"))));
    }

    proptest! {
        #[test]
        fn every_uuid_comes_back(bits: u128) {
            let id = Uuid::from_u128(bits);
            let text = format("thing", id);
            prop_assert_eq!(parse(&text), Ok(("thing", id)));
        }

        #[test]
        fn garbage_never_panics(text in ".{0,64}") {
            let _ = parse(&text);
        }
    }
}
