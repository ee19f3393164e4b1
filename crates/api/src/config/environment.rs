//! Single values from the environment, laid over the file's.

use toml::{Table, Value};

use super::ConfigError;

/// Sets in `table` what the variables say.
pub(super) fn lay_over(
    table: &mut Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR)) else {
            continue;
        };
        let path = path.to_ascii_lowercase();
        set(table, &path, value(&text)).map_err(|message| ConfigError::Environment { name, message })?;
    }
    Ok(())
}

/// Sets the value at a path, making the tables on the way.
fn set(table: &mut Table, path: &str, value: Value) -> Result<(), String> {
    match path.split_once(SEPARATOR) {
        None => {
            table.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => match table.entry(first).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => set(inner, rest, value),
            _ => Err(format!("{first} is not a table, so it has no field {rest}")),
        },
    }
}

/// What a variable's text says: TOML where it is more than a bare word, the text itself otherwise.
fn value(text: &str) -> Value {
    match text.parse::<Value>() {
        Ok(Value::Datetime(_)) | Err(_) => Value::String(text.to_owned()),
        Ok(value) => value,
    }
}

const PREFIX: &str = "KEYFERRY_";
const SEPARATOR: &str = "__";
