//! An address, taken apart by hand: nothing is decoded and nothing is guessed, so nothing can hide in it. Browsers' rules,
//! by which `\` is `/` and `2130706433` is `127.0.0.1`, are not followed but refused.

use keyferry_crypto::id::{Cloud, VaultHost, VaultKind};

use super::{Refusal, text};

/// A vault's address.
pub(super) struct Address<'a> {
    /// The vault.
    pub(super) host: VaultHost,
    /// What follows the host, without slashes at its ends.
    pub(super) path: &'a str,
}

/// Whether the text can only be meant as an address, not as a name.
pub(super) fn looks_like_one(value: &str) -> bool {
    value.contains([':', '/', '.', '\\', '@', '?', '#', '%'])
}

/// Takes an address apart. Its host is a Key Vault of that cloud: one label under that cloud's suffix, nothing else.
pub(super) fn parse(cloud: Cloud, value: &str) -> Result<Address<'_>, Refusal> {
    let rest = without_scheme(value);
    known_page(rest.unwrap_or(value))?;
    let rest = rest?;
    refuse_characters(rest)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host(cloud, authority)?;
    Ok(Address {
        host,
        path: plain_path(path)?,
    })
}

/// Names the pages and services that are pasted in place of a vault. Only refusals come of it, so it may be lax about
/// where a host begins and ends.
pub(super) fn known_page(address: &str) -> Result<(), Refusal> {
    let end = address.find(['/', '?', '#', '\\', ':']).unwrap_or(address.len());
    let host = address[..end].to_ascii_lowercase();
    let is_below = |zone: &&str| {
        host.strip_suffix(*zone)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let pages = [
        (PORTALS.as_slice(), Refusal::PortalPage),
        (MANAGEMENT.as_slice(), Refusal::ManagementAddress),
        (SIGN_IN.as_slice(), Refusal::SignInAddress),
        (STORAGE.as_slice(), Refusal::Storage),
    ];
    match pages.into_iter().find(|(zones, _)| zones.iter().any(is_below)) {
        Some((_, refusal)) => Err(refusal),
        None => Ok(()),
    }
}

/// What follows `https://`; all of it if there is no scheme.
fn without_scheme(value: &str) -> Result<&str, Refusal> {
    let Some((scheme, rest)) = value.split_once("://") else {
        return if value.starts_with("//") {
            Err(Refusal::Scheme)
        } else {
            Ok(value)
        };
    };
    // Another address may be in the path or the query; then the scheme is not the address's own.
    if scheme.contains(['/', '?', '#', '@', '.']) {
        return Ok(value);
    }
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(rest),
        "http" => Err(Refusal::PlainHttp),
        _ => Err(Refusal::Scheme),
    }
}

fn refuse_characters(address: &str) -> Result<(), Refusal> {
    text::ascii(address)?;
    if address.contains('\\') {
        return Err(Refusal::Backslash);
    }
    if address.contains('%') {
        return Err(Refusal::Encoded);
    }
    if address.contains(['?', '#']) {
        return Err(Refusal::Query);
    }
    Ok(())
}

fn host(cloud: Cloud, authority: &str) -> Result<VaultHost, Refusal> {
    if authority.contains('@') {
        return Err(Refusal::UserInfo);
    }
    let host = authority.to_ascii_lowercase();
    if is_ip(&host) {
        return Err(Refusal::IpAddress);
    }
    if let Some((before, after)) = host.split_once(':') {
        let port = before.contains('.') && after.bytes().all(|b| b.is_ascii_digit());
        return Err(if port { Refusal::Port } else { Refusal::Scheme });
    }
    if host.ends_with('.') {
        return Err(Refusal::TrailingDot);
    }
    if host.split('.').any(|label| label.starts_with("xn--")) {
        return Err(Refusal::Punycode);
    }
    match VaultHost::parse(cloud, &host) {
        Ok(host) if host.kind() == VaultKind::KeyVault => Ok(host),
        Ok(_) => Err(Refusal::ManagedHsm),
        Err(_) => Err(why_not(cloud, &host)),
    }
}

/// A host that ends in a number is an address to whoever resolves it: `127.1`, `0x7f000001`, `2130706433`.
fn is_ip(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let decimal = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    let v4 = host
        .split(':')
        .next()
        .is_some_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok());
    host.starts_with('[') || host.parse::<std::net::Ipv6Addr>().is_ok() || v4 || hexadecimal || decimal
}

/// Why a host is not that of a Key Vault in that cloud.
fn why_not(cloud: Cloud, host: &str) -> Refusal {
    let below = |zone: &str| host.strip_suffix(zone).and_then(|label| label.strip_suffix('.'));
    if PRIVATE_LINK.iter().any(|zone| below(zone).is_some()) {
        return Refusal::PrivateLinkName;
    }
    if below(GERMANY).is_some() {
        return Refusal::ClosedCloud { expected: cloud };
    }
    for found in Cloud::ALL {
        if below(found.managed_hsm_suffix()).is_some() {
            return Refusal::ManagedHsm;
        }
        if host == found.vault_suffix() {
            return Refusal::NoVaultName;
        }
        match below(found.vault_suffix()) {
            Some(_) if found != cloud => return Refusal::OtherCloud { found, expected: cloud },
            Some("") => return Refusal::NoVaultName,
            Some(label) if label.contains('.') => return Refusal::SubLabel,
            Some(_) => return Refusal::VaultName,
            None => {}
        }
    }
    Refusal::NotAVault
}

/// A path without the slashes at its ends.
fn plain_path(path: &str) -> Result<&str, Refusal> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let odd = !path.is_empty() && path.split('/').any(|segment| matches!(segment, "" | "." | ".."));
    if odd || path.starts_with('/') || path.ends_with('/') {
        return Err(Refusal::OddPath);
    }
    Ok(path)
}

const PORTALS: [&str; 9] = [
    "portal.azure.com",
    "portal.azure.cn",
    "portal.azure.us",
    "portal.microsoftazure.de",
    "entra.microsoft.com",
    "entra.microsoft.us",
    "entra.microsoftonline.cn",
    "admin.microsoft.com",
    "shell.azure.com",
];
const MANAGEMENT: [&str; 4] = [
    "management.azure.com",
    "management.chinacloudapi.cn",
    "management.usgovcloudapi.net",
    "resources.azure.com",
];
const SIGN_IN: [&str; 7] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
];
const STORAGE: [&str; 3] = ["core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net"];
const PRIVATE_LINK: [&str; 3] = [
    "vaultcore.azure.net",
    "vaultcore.azure.cn",
    "vaultcore.usgovcloudapi.net",
];
const GERMANY: &str = "vault.microsoftazure.de";
