//! What commands print: a table for people, JSON for scripts.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
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
        self.text(all, || table(head, all.iter().map(row)));
    }

    /// Prints one thing's fields, one a line, or the same as JSON.
    pub(crate) fn fields<T: Serialize>(self, thing: &T, fields: &[(&str, String)]) {
        self.text(thing, || lines(fields));
    }

    /// Prints a text, or as JSON what it tells of.
    pub(crate) fn text<T: Serialize + ?Sized>(self, thing: &T, text: impl FnOnce() -> String) {
        match self {
            Self::Json => println!("{}", serde_json::to_string_pretty(thing).unwrap_or_default()),
            Self::Table => println!("{}", text()),
        }
    }
}

/// Rows under a head, as wide as the terminal at most.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = bare();
    table.set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    table.to_string()
}

/// Names and values, one a line.
pub(crate) fn lines(fields: &[(&str, String)]) -> String {
    let mut table = bare();
    for (name, value) in fields {
        table.add_row([(*name).to_owned(), plain(value)]);
    }
    table.to_string()
}

/// The text without what a terminal would obey: some of it was written by customers.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

fn bare() -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_customer_wrote_moves_the_cursor() {
        let shown = lines(&[("said", "no\u{1b}[2J\u{7}\r thanks".to_owned())]);
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\r']), "{shown:?}");
        assert!(shown.contains("thanks"), "{shown:?}");
    }
}
