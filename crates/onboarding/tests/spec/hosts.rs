//! Whatever is typed, what comes out is a Key Vault of the customer's cloud, or no host at all.

use keyferry_crypto::id::{Cloud, VaultHost, VaultKind};
use keyferry_onboarding::intake;
use proptest::{prelude::*, sample::select};
use url::Url;
use uuid::Uuid;

/// Text from the pieces that addresses are made of and attacked with.
fn addressed() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => prop::collection::vec(select(PIECES.as_slice()), 0..9).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        // A right answer, attacked in up to two places: so that more than refusals is looked at.
        4 => (select(RIGHT.as_slice()), attack(), attack()).prop_map(|(right, one, two)| one.on(&two.on(right))),
    ]
}

#[derive(Clone, Debug)]
struct Attack {
    piece: &'static str,
    place: prop::sample::Index,
}

fn attack() -> impl Strategy<Value = Attack> {
    let piece = prop_oneof![1 => Just(""), 4 => select(PIECES.as_slice())];
    (piece, any::<prop::sample::Index>()).prop_map(|(piece, place)| Attack { piece, place })
}

impl Attack {
    /// Puts the piece before some character, or where the host or the path ends, which is where it hurts.
    fn on(&self, text: &str) -> String {
        let ends = text.match_indices(".net").map(|(at, end)| at + end.len());
        let places: Vec<_> = text
            .char_indices()
            .map(|(at, _)| at)
            .chain(ends.cycle().take(40))
            .chain([text.len()])
            .collect();
        let (before, after) = text.split_at(*self.place.get(&places));
        format!("{before}{}{after}", self.piece)
    }
}

const RIGHT: [&str; 4] = [
    "https://acme-kv.vault.azure.net",
    "https://acme-kv.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b",
    "acme-kv.vault.azure.net/",
    "https://acme-kv.vault.usgovcloudapi.net/keys/kek",
];

const PIECES: [&str; 46] = [
    "https://",
    "http://",
    "HTTPS://",
    "//",
    "/",
    "\\",
    "@",
    ":",
    ".",
    "。",
    ":443",
    "%2f",
    "%00",
    "?",
    "#",
    "..",
    "[::1]",
    "127.0.0.1",
    "0x7f.1",
    "xn--",
    "acme-kv",
    "a",
    "аcme",
    "evil.example",
    "@evil.example",
    "vault.azure.net",
    ".vault.azure.net",
    ".vault.azure.cn",
    ".vault.usgovcloudapi.net",
    ".managedhsm.azure.net",
    ".privatelink.vaultcore.azure.net",
    "keys",
    "/keys/",
    "kek",
    "secrets",
    " ",
    "\t",
    "\n",
    "\u{200b}",
    "\"",
    "'",
    "<",
    "c4a1b9c151b740d985b8a51f9efeb51b",
    "/subscriptions/11112222-3333-4444-8555-666677778888",
    "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/acme-kv",
    "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11",
];

fn cloud() -> impl Strategy<Value = Cloud> {
    select(Cloud::ALL.to_vec())
}

/// The allow-list, in other words than the code's.
fn is_allowed(cloud: Cloud, host: &VaultHost) -> bool {
    let suffix = match cloud {
        Cloud::Public => ".vault.azure.net",
        Cloud::China => ".vault.azure.cn",
        Cloud::UsGovernment => ".vault.usgovcloudapi.net",
    };
    let label = host.as_str().strip_suffix(suffix).unwrap_or("");
    !label.is_empty()
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn no_text_names_a_host_outside_the_allow_list(cloud in cloud(), typed in addressed()) {
        if let Ok(answer) = intake::vault(cloud, &typed) {
            prop_assert!(is_allowed(cloud, answer.vault()), "{typed:?} gave {answer}");
            prop_assert_eq!(answer.vault().kind(), VaultKind::KeyVault);
        }
        if let Ok(answer) = intake::key(cloud, None, &typed) {
            prop_assert!(is_allowed(cloud, &answer.key.vault), "{typed:?} gave {answer}");
        }
    }

    #[test]
    fn what_is_read_as_an_address_is_what_a_browser_would_call(cloud in cloud(), typed in addressed()) {
        if let Ok(answer) = intake::vault(cloud, &typed)
            && let Ok(url) = typed.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/').parse::<Url>()
        {
            prop_assert_eq!(url.host_str(), Some(answer.vault().as_str()));
        }
    }

    #[test]
    fn what_is_read_prints_canonically_and_reads_again(cloud in cloud(), typed in addressed()) {
        if let Ok(answer) = intake::vault(cloud, &typed) {
            prop_assert_eq!(intake::vault(cloud, &answer.to_string()), Ok(answer));
        }
        if let Ok(answer) = intake::key(cloud, None, &typed) {
            prop_assert_eq!(intake::key(cloud, None, &answer.to_string()), Ok(answer));
        }
        if let Ok(answer) = intake::vault_resource(None, &typed) {
            prop_assert_eq!(intake::vault_resource(None, &answer.to_string()), Ok(answer));
        }
        if let Ok(answer) = intake::directory(Uuid::nil(), &typed) {
            prop_assert_eq!(intake::directory(Uuid::nil(), &answer.to_string()), Ok(answer));
        }
    }
}
