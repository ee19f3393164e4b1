//! What commands print: a table for people, JSON for scripts.

use clap::ValueEnum;
use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
}

impl Output {
    /// Prints rows under a head, or the same as JSON.
    pub(crate) fn rows<T: Serialize>(self, all: &[T], head: &[&str], row: impl Fn(&T) -> Vec<String>) {
        match self {
            Self::Json => println!("{}", serde_json::to_string_pretty(all).unwrap_or_default()),
            Self::Table => {
                let mut table = Table::new();
                table.load_style(NOTHING).set_header(head);
                for item in all {
                    table.add_row(row(item));
                }
                println!("{table}");
            }
        }
    }

    /// Prints one thing's fields, one a line, or the same as JSON.
    pub(crate) fn fields<T: Serialize>(self, thing: &T, fields: &[(&str, String)]) {
        match self {
            Self::Json => println!("{}", serde_json::to_string_pretty(thing).unwrap_or_default()),
            Self::Table => {
                let mut table = Table::new();
                table.load_style(NOTHING);
                for (name, value) in fields {
                    table.add_row([*name, value.as_str()]);
                }
                println!("{table}");
            }
        }
    }
}
