//! Single values from the environment, laid over the file's.

use std::{collections::BTreeMap, ffi::OsString};

use serde::{
    Deserializer,
    de::{IntoDeserializer, Visitor, value::MapDeserializer},
    forward_to_deserialize_any,
};
use toml::{Table, Value, de::Error};

use super::ConfigError;

/// A configuration as it was written, in a file and in the environment.
///
/// A variable's text is read as what its field wants: as it stands where the field is text (a secret of digits is no number),
/// as TOML where it is anything else.
pub(super) enum Written {
    Table(BTreeMap<String, Written>),
    File(Value),
    Variable(String),
}

/// What the file says, and over it what the variables say.
pub(super) fn over(
    file: Table,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Written, ConfigError> {
    let mut fields = fields(file);
    for (name, text) in environment {
        let Some(name) = name.to_str() else { continue };
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR)) else {
            continue;
        };
        let text = text.into_string().map_err(|_| "not UTF-8".to_owned());
        let set = text.and_then(|text| set(&mut fields, &path.to_ascii_lowercase(), text));
        set.map_err(|message| ConfigError::Environment {
            name: name.to_owned(),
            message,
        })?;
    }
    Ok(Written::Table(fields))
}

/// Sets the value at a path, making the tables on the way.
fn set(fields: &mut BTreeMap<String, Written>, path: &str, text: String) -> Result<(), String> {
    match path.split_once(SEPARATOR) {
        None => {
            fields.insert(path.to_owned(), Written::Variable(text));
            Ok(())
        }
        Some((first, rest)) => match fields
            .entry(first.to_owned())
            .or_insert_with(|| Written::Table(BTreeMap::new()))
        {
            Written::Table(inner) => set(inner, rest, text),
            Written::File(_) | Written::Variable(_) => {
                Err(format!("{first} is not a table, so it has no field {rest}"))
            }
        },
    }
}

/// What a variable's text says where no text is wanted. What is no TOML is a bare word.
fn value(text: String) -> Value {
    text.parse().unwrap_or(Value::String(text))
}

fn fields(table: Table) -> BTreeMap<String, Written> {
    let field = |(name, value)| {
        let written = match value {
            Value::Table(table) => Written::Table(fields(table)),
            value => Written::File(value),
        };
        (name, written)
    };
    table.into_iter().map(field).collect()
}

impl IntoDeserializer<'_, Error> for Written {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Written {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Table(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
            Self::File(value) => value.deserialize_any(visitor),
            Self::Variable(text) => value(text).deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Variable(text) => visitor.visit_string(text),
            written => written.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Variable(text) => visitor.visit_enum(text.into_deserializer()),
            Self::File(value) => value.deserialize_enum(name, variants, visitor),
            Self::Table(_) => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

const PREFIX: &str = "KEYFERRY_";
const SEPARATOR: &str = "__";
