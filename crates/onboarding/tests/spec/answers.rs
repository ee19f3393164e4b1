//! Every usual way to paste an answer is understood, and every usual mistake is told apart.

use keyferry_crypto::id::{Cloud, VaultHost};
use keyferry_onboarding::intake::{self, Field, Refusal};
use uuid::{Uuid, uuid};

const OURS: Uuid = uuid!("0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90");
const DIRECTORY: &str = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11";
const VERSION: &str = "c4a1b9c151b740d985b8a51f9efeb51b";
const RESOURCE: &str = "/subscriptions/11112222-3333-4444-8555-666677778888/resourceGroups/keys-prod/providers/Microsoft.KeyVault/vaults/acme-kv";

fn other(found: Field, wanted: Field) -> Refusal {
    Refusal::OtherField { found, wanted }
}

fn acme() -> VaultHost {
    "acme-kv.vault.azure.net".parse().unwrap()
}

#[test]
fn a_directory_is_read_in_any_usual_spelling() {
    for typed in [
        DIRECTORY.to_owned(),
        DIRECTORY.to_uppercase(),
        DIRECTORY.replace('-', ""),
        format!("{{{DIRECTORY}}}"),
        format!("({DIRECTORY})"),
        format!("urn:uuid:{DIRECTORY}"),
        format!("  \"{DIRECTORY}\",\r\n"),
        format!("\u{feff}{DIRECTORY}\u{200b}"),
    ] {
        let read = intake::directory(OURS, &typed).unwrap();
        assert_eq!(read.to_string(), DIRECTORY, "{typed:?}");
    }
}

#[test]
fn each_mistake_about_the_directory_has_its_own_answer() {
    for (typed, refusal) in [
        ("", Refusal::Empty),
        (" '' ", Refusal::Empty),
        ("<tenant-id>", Refusal::Placeholder),
        ("{tenant}", Refusal::Placeholder),
        ("5f0b4d3e-7a1c-4c2f…", Refusal::CutOff),
        ("5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a1", Refusal::IdLength { digits: 31 }),
        (
            "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a110",
            Refusal::IdLength { digits: 33 },
        ),
        ("5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a1l", Refusal::NotAnId),
        ("5f0b4d3e-7a1c-4c2f-9a0e 0d6b4f7c2a11", Refusal::InnerSpace),
        ("00000000-0000-0000-0000-000000000000", Refusal::NilId),
        ("0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90", Refusal::OurApplication),
        ("9188040d-6c67-4c5b-b112-36a304b66dad", Refusal::PersonalAccounts),
        ("common", Refusal::AnyDirectory),
        ("Organizations", Refusal::AnyDirectory),
        ("acme.onmicrosoft.com", Refusal::DomainName),
        ("acme.example", Refusal::DomainName),
        ("admin@acme.onmicrosoft.com", Refusal::Email),
        (
            "https://portal.azure.com/#view/Microsoft_AAD_IAM/ActiveDirectoryMenuBlade/~/Overview",
            Refusal::PortalPage,
        ),
        ("https://entra.microsoft.com/#home", Refusal::PortalPage),
        (
            "https://login.microsoftonline.com/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/v2.0",
            Refusal::SignInAddress,
        ),
        (
            "https://acme-kv.vault.azure.net/",
            other(Field::Vault, Field::Directory),
        ),
        (RESOURCE, other(Field::Resource, Field::Directory)),
        ("Acme", Refusal::NotAnId),
    ] {
        assert_eq!(intake::directory(OURS, typed), Err(refusal), "{typed:?}");
    }
}

#[test]
fn a_vault_is_read_from_whatever_names_it() {
    let vault = "https://acme-kv.vault.azure.net/";
    let key = "https://acme-kv.vault.azure.net/keys/Customer-Key";
    let version = format!("{key}/{VERSION}");
    for (typed, canonical) in [
        ("https://acme-kv.vault.azure.net/", vault),
        ("https://acme-kv.vault.azure.net", vault),
        ("HTTPS://Acme-KV.Vault.Azure.Net/", vault),
        ("acme-kv.vault.azure.net", vault),
        ("acme-kv.vault.azure.net/", vault),
        ("acme-kv", vault),
        (" \"https://acme-kv.vault.azure.net/\",\n", vault),
        ("“https://acme-kv.vault.azure.net/”", vault),
        ("https://acme-kv.vault.azure.net/keys/Customer-Key", key),
        ("https://acme-kv.vault.azure.net/keys/Customer-Key/", key),
        ("acme-kv.vault.azure.net/Keys/Customer-Key", key),
        (version.as_str(), version.as_str()),
        (format!("{version}/").as_str(), version.as_str()),
        (
            version.replace(VERSION, &VERSION.to_uppercase()).as_str(),
            version.as_str(),
        ),
    ] {
        let read = intake::vault(Cloud::Public, typed).unwrap_or_else(|refusal| panic!("{typed:?}: {refusal}"));
        assert_eq!(read.to_string(), canonical, "{typed:?}");
        assert_eq!(read.vault(), &acme());
    }
}

#[test]
fn each_mistake_about_the_vault_has_its_own_answer() {
    let china = Refusal::OtherCloud {
        found: Cloud::China,
        expected: Cloud::Public,
    };
    let closed = Refusal::ClosedCloud {
        expected: Cloud::Public,
    };
    for (typed, refusal) in [
        ("  ", Refusal::Empty),
        ("https://<vault-name>.vault.azure.net/", Refusal::Placeholder),
        ("https://acme-kv.vault.az...", Refusal::CutOff),
        ("my vault is acme-kv", Refusal::InnerSpace),
        ("https://acme-kv.vault.azure.net/ keys", Refusal::InnerSpace),
        ("\"https://acme-kv.vault.azure.net/", Refusal::Quotes),
        (
            "{\"vaultUri\": \"https://acme-kv.vault.azure.net/\"}",
            Refusal::Document,
        ),
        ("-----BEGIN PUBLIC KEY-----\nMIIB", Refusal::KeyMaterial),
        (
            "https://portal.azure.com/#@acme.example/resource/subscriptions/1/overview",
            Refusal::PortalPage,
        ),
        ("portal.azure.cn", Refusal::PortalPage),
        (
            "https://management.azure.com/subscriptions/1",
            Refusal::ManagementAddress,
        ),
        ("https://login.microsoftonline.com/common", Refusal::SignInAddress),
        (
            "https://acmestore.blob.core.windows.net/keys?sv=2024&sig=abc",
            Refusal::Storage,
        ),
        ("https://evil.example/", Refusal::NotAVault),
        ("https://acme-kv.vault.azure.net.evil.example/", Refusal::NotAVault),
        ("https://acme-kvvault.azure.net/", Refusal::NotAVault),
        ("localhost:8080", Refusal::Scheme),
        ("vault.azure.net", Refusal::NoVaultName),
        ("https://.vault.azure.net/", Refusal::NoVaultName),
        ("https://a.b.vault.azure.net/", Refusal::SubLabel),
        (
            "https://acme-kv.privatelink.vaultcore.azure.net/",
            Refusal::PrivateLinkName,
        ),
        ("acme-kv.vaultcore.azure.net", Refusal::PrivateLinkName),
        ("https://acme_kv.vault.azure.net/", Refusal::VaultName),
        ("ac", Refusal::VaultName),
        ("https://acme-kv.vault.azure.cn/", china),
        ("https://acme-kv.vault.microsoftazure.de/", closed),
        ("https://acme-hsm.managedhsm.azure.net/", Refusal::ManagedHsm),
        ("https://acme-hsm.managedhsm.azure.cn/keys/kek", Refusal::ManagedHsm),
        ("https://acme-kv.vault.azure.net/secrets/password", Refusal::Secret),
        ("https://acme-kv.vault.azure.net/certificates/web", Refusal::Certificate),
        ("https://acme-kv.vault.azure.net/deletedkeys/kek", Refusal::DeletedKey),
        ("https://acme-kv.vault.azure.net/keys", Refusal::NoKeyName),
        ("https://acme-kv.vault.azure.net/storage/s", Refusal::NotAKey),
        ("https://acme-kv.vault.azure.net/keys/my_key", Refusal::KeyName),
        ("https://acme-kv.vault.azure.net/keys/kek/latest", Refusal::KeyVersion),
        (
            "https://acme-kv.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b/unwrapkey",
            Refusal::NotAKey,
        ),
        (RESOURCE, other(Field::Resource, Field::Vault)),
        (DIRECTORY, other(Field::Directory, Field::Vault)),
    ] {
        assert_eq!(intake::vault(Cloud::Public, typed), Err(refusal), "{typed:?}");
    }
}

#[test]
fn each_attempt_to_lead_us_elsewhere_is_refused_by_name() {
    for (typed, refusal) in [
        ("http://acme-kv.vault.azure.net/", Refusal::PlainHttp),
        ("ftp://acme-kv.vault.azure.net/", Refusal::Scheme),
        ("https:/acme-kv.vault.azure.net/", Refusal::Scheme),
        ("//acme-kv.vault.azure.net/", Refusal::Scheme),
        ("javascript:alert(1)", Refusal::Scheme),
        ("https://admin@acme-kv.vault.azure.net/", Refusal::UserInfo),
        ("https://acme-kv.vault.azure.net@evil.example/", Refusal::UserInfo),
        ("acme-kv.vault.azure.net@evil.example", Refusal::UserInfo),
        ("https://acme-kv.vault.azure.net:443@evil.example/", Refusal::UserInfo),
        ("admin@acme.example", Refusal::Email),
        ("https://acme-kv.vault.azure.net:8443/", Refusal::Port),
        ("acme-kv.vault.azure.net:443", Refusal::Port),
        ("https://acme-kv.vault.azure.net./", Refusal::TrailingDot),
        ("https://10.0.0.5/", Refusal::IpAddress),
        ("https://169.254.169.254:80/keys/kek", Refusal::IpAddress),
        ("https://2130706433/", Refusal::IpAddress),
        ("https://0x7f000001/", Refusal::IpAddress),
        ("https://127.1/", Refusal::IpAddress),
        ("https://[::1]/", Refusal::IpAddress),
        ("https://[::ffff:10.0.0.5]:443/", Refusal::IpAddress),
        ("fe80::1", Refusal::IpAddress),
        ("2130706433", Refusal::IpAddress),
        ("https://аcme-kv.vault.azure.net/", Refusal::ForeignCharacter('а')),
        ("https://acme-kv.vault。azure.net/", Refusal::ForeignCharacter('。')),
        ("https://acme‑kv.vault.azure.net/", Refusal::ForeignCharacter('‑')),
        ("аcme-kv", Refusal::ForeignCharacter('а')),
        ("https://xn--cme-kv-2fg.vault.azure.net/", Refusal::Punycode),
        ("https://acme-kv.vault.azure.net%2F@evil.example", Refusal::Encoded),
        ("https://acme-kv.vault.azure.net/keys%2Fkek", Refusal::Encoded),
        ("https%3A%2F%2Facme-kv.vault.azure.net", Refusal::Encoded),
        ("https:\\\\acme-kv.vault.azure.net\\keys", Refusal::Backslash),
        ("https://evil.example\\.vault.azure.net/", Refusal::Backslash),
        ("https://acme-kv.vault.azure.net/?api-version=7.4", Refusal::Query),
        ("https://evil.example/?.vault.azure.net", Refusal::Query),
        ("https://evil.example#.vault.azure.net", Refusal::Query),
        ("https://acme-kv.vault.azure.net//keys/kek", Refusal::OddPath),
        ("https://acme-kv.vault.azure.net/keys/../secrets/s", Refusal::OddPath),
    ] {
        assert_eq!(intake::vault(Cloud::Public, typed), Err(refusal), "{typed:?}");
    }
}

#[test]
fn a_sovereign_cloud_takes_its_own_vaults_and_no_others() {
    let government = intake::vault(Cloud::UsGovernment, "acme-kv").unwrap();
    assert_eq!(government.to_string(), "https://acme-kv.vault.usgovcloudapi.net/");
    assert_eq!(
        intake::vault(Cloud::China, "https://acme-kv.vault.azure.net/"),
        Err(Refusal::OtherCloud {
            found: Cloud::Public,
            expected: Cloud::China,
        })
    );
}

#[test]
fn a_key_is_read_from_its_identifier_or_with_a_known_vault_from_its_name() {
    let key = "https://acme-kv.vault.azure.net/keys/Customer-Key";
    for (known, typed, canonical) in [
        (Some(acme()), "Customer-Key", key.to_owned()),
        (Some(acme()), "'Customer-Key'", key.to_owned()),
        (Some(acme()), key, key.to_owned()),
        (None, key, key.to_owned()),
        (None, &format!("{key}/{VERSION}"), format!("{key}/{VERSION}")),
    ] {
        let read = intake::key(Cloud::Public, known.as_ref(), typed).unwrap();
        assert_eq!(read.to_string(), canonical, "{typed:?}");
    }
}

#[test]
fn each_mistake_about_the_key_has_its_own_answer() {
    for (typed, refusal) in [
        ("<key-name>", Refusal::Placeholder),
        ("my key", Refusal::InnerSpace),
        ("my_key", Refusal::KeyName),
        ("clé", Refusal::ForeignCharacter('é')),
        (VERSION, Refusal::VersionAlone),
        ("https://acme-kv.vault.azure.net/", Refusal::NoKeyName),
        ("https://other-kv.vault.azure.net/keys/kek", Refusal::OtherVault),
        ("https://acme-kv.vault.azure.net/secrets/kek", Refusal::Secret),
        ("https://evil.example/keys/kek", Refusal::NotAVault),
        ("keys/kek", Refusal::NotAVault),
        (RESOURCE, other(Field::Resource, Field::Key)),
        ("{\"kty\":\"RSA\",\"n\":\"…\"}", Refusal::KeyMaterial),
    ] {
        assert_eq!(
            intake::key(Cloud::Public, Some(&acme()), typed),
            Err(refusal),
            "{typed:?}"
        );
    }
    assert_eq!(intake::key(Cloud::Public, None, "kek"), Err(Refusal::VaultFirst));
}

#[test]
fn a_resource_id_is_read_with_and_without_its_outer_slashes() {
    for typed in [
        RESOURCE.to_owned(),
        format!("{RESOURCE}/"),
        RESOURCE[1..].to_owned(),
        format!("\"{RESOURCE}\","),
        RESOURCE
            .replace("resourceGroups", "resourcegroups")
            .replace("Microsoft.KeyVault", "microsoft.keyvault"),
        RESOURCE.replace("acme-kv", "Acme-KV"),
    ] {
        let read = intake::vault_resource(Some(&acme()), &typed).unwrap();
        assert_eq!(read.to_string(), RESOURCE, "{typed:?}");
    }
    let accented = RESOURCE.replace("keys-prod", "clés_(prod)");
    assert_eq!(intake::vault_resource(None, &accented).unwrap().to_string(), accented);
}

#[test]
fn each_mistake_about_the_resource_has_its_own_answer() {
    let below = |path: &str| format!("{RESOURCE}{path}");
    let without = |part: &str, put: &str| RESOURCE.replace(part, put);
    for (typed, refusal) in [
        (String::new(), Refusal::Empty),
        ("acme-kv".to_owned(), Refusal::NotAResourceId),
        (
            "https://acme-kv.vault.azure.net/".to_owned(),
            other(Field::Vault, Field::Resource),
        ),
        (
            "acme-kv.vault.azure.net".to_owned(),
            other(Field::Vault, Field::Resource),
        ),
        (DIRECTORY.to_owned(), other(Field::Directory, Field::Resource)),
        (
            format!("https://portal.azure.com/#@acme.example/resource{RESOURCE}/overview"),
            Refusal::PortalPage,
        ),
        (
            format!("https://management.azure.com{RESOURCE}"),
            Refusal::ManagementAddress,
        ),
        (
            format!("https://evil.example{RESOURCE}"),
            other(Field::Vault, Field::Resource),
        ),
        (below("/keys/kek"), Refusal::ResourceTooLong),
        (below("?api-version=2026-02-01"), Refusal::Query),
        (RESOURCE.replace('/', "%2F"), Refusal::Encoded),
        (RESOURCE.replace('/', "\\"), Refusal::Backslash),
        (without("/providers", "//providers"), Refusal::OddPath),
        (without("keys-prod", ".."), Refusal::OddPath),
        (without("keys-prod", "<resource-group>"), Refusal::Placeholder),
        (without("keys-prod", "ends."), Refusal::ResourceGroup),
        (without("11112222-", ""), Refusal::Subscription),
        (
            without("Microsoft.KeyVault/vaults", "Microsoft.Storage/storageAccounts"),
            Refusal::OtherResource,
        ),
        (without("/vaults/", "/locations/"), Refusal::OtherResource),
        (without("/vaults/", "/managedHSMs/"), Refusal::ManagedHsm),
        (
            without("/providers/Microsoft.KeyVault/vaults/acme-kv", ""),
            Refusal::ResourceTooShort,
        ),
        (without("/vaults/acme-kv", ""), Refusal::ResourceTooShort),
        (without("/acme-kv", ""), Refusal::ResourceTooShort),
        (without("acme-kv", "acme_kv"), Refusal::VaultName),
        (without("acme-kv", "other-kv"), Refusal::OtherVault),
    ] {
        assert_eq!(intake::vault_resource(Some(&acme()), &typed), Err(refusal), "{typed:?}");
    }
}

#[test]
fn what_is_told_never_repeats_what_was_typed() {
    let told = intake::vault(Cloud::Public, "https://hunter2.example/")
        .unwrap_err()
        .to_string();
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(Refusal::PortalPage.slug(), "portal-page");
    assert_eq!(Refusal::ForeignCharacter('а').to_string().matches("U+0430").count(), 1);
}

#[test]
fn what_may_be_a_secret_is_marked() {
    let signed = "https://acmestore.blob.core.windows.net/keys?sv=2024&sig=abc";
    for typed in [
        signed,
        "-----BEGIN PRIVATE KEY-----",
        "https://acme-kv.vault.azure.net/?sig=abc",
    ] {
        assert!(
            intake::vault(Cloud::Public, typed).unwrap_err().may_hold_a_secret(),
            "{typed}"
        );
    }
    assert!(!Refusal::PlainHttp.may_hold_a_secret());
}
