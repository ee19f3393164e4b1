//! What `docs/onboarding.md` says of findings is what the code has.

use keyferry_onboarding::finding::Kind;
use strum::IntoEnumIterator as _;

const GUIDE: &str = include_str!("../../../../docs/onboarding.md");

#[test]
fn the_guide_tells_every_finding_and_how_a_check_stands_with_it() {
    let (_, section) = GUIDE.split_once("## What a check can find").unwrap();
    for kind in Kind::iter() {
        let named = format!("`{}`", kind.slug());
        let row = section
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&named));
        let row = row.unwrap_or_else(|| panic!("{named} is not told"));
        let status = row.rsplit('|').nth(1).unwrap().trim();
        assert_eq!(status, kind.status().slug(), "{named}");
    }
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let told = rows.flat_map(|line| line.split('`').skip(1).step_by(2));
    for slug in told {
        assert!(slug.parse::<Kind>().is_ok(), "{slug} is none");
    }
}
