//! `docs/registry.md` explains the schema that there is.

use crate::stores::{Raw, empty_sqlite, open};

const GUIDE: &str = include_str!("../../../../docs/registry.md");

#[tokio::test]
async fn the_guide_explains_every_column_and_no_other() {
    let (url, _held) = empty_sqlite();
    open(&url).await;
    let mut raw = Raw::connect(&url).await;
    let tables = raw
        .texts("select name from sqlite_schema where type = 'table' and name <> '_sqlx_migrations' order by 1")
        .await;
    for table in tables {
        let (_, section) = GUIDE.split_once(&format!("**`{table}`**")).expect("a section");
        let rows = section.lines().skip_while(|line| !line.starts_with('|'));
        let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
        let explained = rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split(','));
        let mut explained: Vec<_> = explained.map(|name| name.trim().trim_matches('`').to_owned()).collect();
        explained.sort();
        let columns = format!("select name from pragma_table_info('{table}') order by 1");
        assert_eq!(explained, raw.texts(&columns).await, "{table}");
    }
}
