//! Why an answer was not taken, told to whoever typed it: what it is that was pasted, and what to paste instead.

use keyferry_crypto::id::Cloud;
use strum::IntoStaticStr;

/// Why an answer was not taken. `Display` is for the customer's administrator and never repeats what was typed, so it may
/// be logged and shown anywhere; [`slug`](Self::slug) names it for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Refusal {
    // Any field
    /// Nothing, or nothing but spaces and quotes.
    #[error("Nothing was entered here yet.")]
    Empty,
    /// Longer than [`MAX_ANSWER`](super::MAX_ANSWER).
    #[error("That is far longer than what belongs here: perhaps a whole page was copied. Paste only the value itself.")]
    TooLong,
    /// The guide's example, or part of it: `<vault-name>`.
    #[error("That is still the example: put your own value in place of the part in brackets.")]
    Placeholder,
    /// Copied where the display had cut it: `…`.
    #[error(
        "The end is missing: it was copied where the portal had shortened it to dots. Use the portal's copy button beside the value."
    )]
    CutOff,
    /// A JSON document, such as a command's whole output.
    #[error("That is a whole document, such as a command prints it. Paste only the one value from it, without quotes.")]
    Document,
    /// PEM or JWK. It may hold a secret: it must not be shown again, nor kept.
    #[error(
        "That is a key's own material, which we never ask for and do not keep: your key stays in your vault. If it was a private key, consider it exposed. What belongs here is where the key is, not the key."
    )]
    KeyMaterial,
    /// A space, a line break or a control character in the middle.
    #[error(
        "There is a space or a line break in the middle: perhaps two values, or a sentence around the value. Paste one value alone."
    )]
    InnerSpace,
    /// A quotation mark that has no partner, or is in the middle.
    #[error("There is a quotation mark too many. Paste the value without quotes.")]
    Quotes,
    /// A character outside ASCII, perhaps one that looks like a letter.
    #[error(
        "The character {0:?} (U+{code:04X}) is none that can be here, though it may look like one that can. Copy the value from the Azure portal rather than from a document or a chat.",
        code = u32::from(*.0)
    )]
    ForeignCharacter(char),
    /// A page of the Azure portal or of the Entra admin center.
    #[error(
        "That is the address of a page in the portal. Open the page, go to its Overview or Properties, and copy the value that is shown there."
    )]
    PortalPage,
    /// An address of the resource manager.
    #[error(
        "That is an address of Azure's management interface. Paste the part that begins with /subscriptions/ in the field for the vault's resource ID, and the Vault URI where we ask for the vault."
    )]
    ManagementAddress,
    /// An address of Entra's sign-in page.
    #[error(
        "That is an address for signing in. If it holds your tenant ID, paste only that: 32 digits and letters with four hyphens."
    )]
    SignInAddress,
    /// An e-mail address or a user's name.
    #[error(
        "That is an e-mail address or a user's name. We do not need one: nobody's account is used, only our application's."
    )]
    Email,
    /// The answer to another question.
    #[error("That is {found}, which we ask for in another field. Here we need {wanted}.", found = .found.described(), wanted = .wanted.described())]
    OtherField {
        /// What was pasted.
        found: Field,
        /// What is asked for.
        wanted: Field,
    },

    // The directory
    /// A domain's name.
    #[error(
        "That is a domain name. We need the directory's Tenant ID, which stays when a domain changes: in the portal under Microsoft Entra ID, Overview."
    )]
    DomainName,
    /// Our application's client id.
    #[error(
        "That is our application's ID, not your directory's. Your Tenant ID is in the portal under Microsoft Entra ID, Overview."
    )]
    OurApplication,
    /// `common`, `organizations` or `consumers`.
    #[error(
        "That word stands for any directory. We need yours: its Tenant ID, in the portal under Microsoft Entra ID, Overview."
    )]
    AnyDirectory,
    /// The directory of Microsoft's personal accounts.
    #[error(
        "That is the directory of personal Microsoft accounts, where nobody can authorize an application. Sign in with a work account and copy the Tenant ID again."
    )]
    PersonalAccounts,
    /// All zeros.
    #[error(
        "That ID is all zeros, as examples have it. Copy your own from the portal: Microsoft Entra ID, Overview, Tenant ID."
    )]
    NilId,
    /// Hexadecimal digits, but not 32.
    #[error(
        "A Tenant ID has 32 digits and letters; there are {digits} here. Use the portal's copy button, so that none is lost."
    )]
    IdLength {
        /// How many there are.
        digits: usize,
    },
    /// Nothing that resembles a GUID.
    #[error(
        "A Tenant ID looks like 5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11. Yours is in the portal under Microsoft Entra ID, Overview."
    )]
    NotAnId,

    // Addresses
    /// `http://`.
    #[error(
        "That address begins with http://. A vault answers only over https://: copy the Vault URI from the vault's Overview page."
    )]
    PlainHttp,
    /// Another scheme, or one that is spelt wrong.
    #[error("That does not begin with https://. Copy the Vault URI from the vault's Overview page.")]
    Scheme,
    /// `user@host`.
    #[error(
        "There is a user name in that address (before an @). A vault's address has none: copy the Vault URI from the vault's Overview page."
    )]
    UserInfo,
    /// `host:443`.
    #[error(
        "There is a port in that address (a number after a colon). A vault's address has none, not even :443: leave it out."
    )]
    Port,
    /// `host.`
    #[error("That host name ends with a dot. Leave the dot out.")]
    TrailingDot,
    /// A number in place of a name.
    #[error("That is an IP address. We only ever call a vault by its name, such as contoso-keys.vault.azure.net.")]
    IpAddress,
    /// An internationalised name in its ASCII form.
    #[error(
        "That name begins with xn--, which stands for letters outside a to z. A vault's name has none: copy the Vault URI from the vault's Overview page."
    )]
    Punycode,
    /// `%2F` and the like.
    #[error(
        "There are encoded characters in that (a % and two digits). Copy the value itself rather than a link that contains it."
    )]
    Encoded,
    /// `\`
    #[error("There is a backslash in that. Only forward slashes belong here.")]
    Backslash,
    /// `?` or `#` and what follows. It may hold a signature: it must not be shown again, nor kept.
    #[error("There is something after a ? or # in that. Leave it out.")]
    Query,
    /// `//`, `/./` or `/../`.
    #[error("There are doubled slashes or dots between slashes in that. Copy the value anew from the portal.")]
    OddPath,

    // The vault
    /// A host that is no vault's.
    #[error(
        "That host is not a Key Vault. A Vault URI looks like https://contoso-keys.vault.azure.net/; yours is on the vault's Overview page."
    )]
    NotAVault,
    /// A storage account.
    #[error("That is the address of a storage account. We need the Key Vault that holds the key.")]
    Storage,
    /// `vault.azure.net` with no name before it.
    #[error("The vault's own name is missing before that. The whole Vault URI is on the vault's Overview page.")]
    NoVaultName,
    /// Not a name that a vault can have.
    #[error(
        "No vault can have that name: it would have 3 to 24 letters, digits and single hyphens. Copy the Vault URI from the vault's Overview page."
    )]
    VaultName,
    /// More than one label before the suffix.
    #[error(
        "There is a dot too many in that host name: a vault has one name before its suffix, as in contoso-keys.vault.azure.net."
    )]
    SubLabel,
    /// A name in the zone of private links.
    #[error(
        "That is the vault's private name, which works only inside a network. Paste the usual one, without privatelink; we go over the private endpoint by ourselves."
    )]
    PrivateLinkName,
    /// A vault of another cloud.
    #[error("That vault is in {}, and we were told that yours is in {}. If it has moved, tell us.", cloud_name(*.found), cloud_name(*.expected))]
    OtherCloud {
        /// The cloud that the vault is in.
        found: Cloud,
        /// The cloud that it is expected in.
        expected: Cloud,
    },
    /// A cloud that is no more.
    #[error("That vault was in Azure Germany, which closed in 2021. We need a vault in {}.", cloud_name(*.expected))]
    ClosedCloud {
        /// The cloud that the vault is expected in.
        expected: Cloud,
    },
    /// A Managed HSM.
    #[error(
        "That is a Managed HSM. We work with keys in a Key Vault, standard or premium; a premium vault keeps its keys in an HSM too."
    )]
    ManagedHsm,

    // The key
    /// A secret's identifier.
    #[error(
        "That is a secret. We need a key: in the vault under Objects, Keys. (Whatever the secret holds, we neither need nor read it.)"
    )]
    Secret,
    /// A certificate's identifier.
    #[error(
        "That is a certificate. It has a key of its own, but one that is made for other uses: create a key in the vault under Objects, Keys."
    )]
    Certificate,
    /// A deleted key's identifier.
    #[error("That key is deleted. Recover it (Keys, Manage deleted keys), then copy its Key Identifier.")]
    DeletedKey,
    /// The key's name is missing.
    #[error(
        "That names the vault, but no key in it. Open the vault's Keys, then the key, then its current version, and copy the Key Identifier."
    )]
    NoKeyName,
    /// Not a name that a key can have.
    #[error(
        "No key can have that name: it would have letters, digits and hyphens only. Copy the Key Identifier from the key's page."
    )]
    KeyName,
    /// Not a version.
    #[error(
        "What follows the key's name is not a version: that would be 32 digits and letters from a to f. Leave it out to follow the newest version."
    )]
    KeyVersion,
    /// A version without the key's name.
    #[error(
        "That looks like a key's version alone. Paste the whole Key Identifier, which also names the vault and the key."
    )]
    VersionAlone,
    /// A path that is neither a key nor a version of one.
    #[error("That is an address inside a vault, but not a key's. Copy the Key Identifier from the key's page.")]
    NotAKey,
    /// A key's name, before we know the vault.
    #[error("We do not know the vault yet. Paste the whole Key Identifier, or tell us the vault first.")]
    VaultFirst,
    /// The key, or the resource, is of a vault other than the one that was told.
    #[error("That belongs to another vault than the one that you told us. Correct whichever of the two is wrong.")]
    OtherVault,

    // The resource
    /// Not a resource id.
    #[error("A vault's Resource ID begins with /subscriptions/. It is on the vault's Properties page.")]
    NotAResourceId,
    /// The id ends before the vault.
    #[error(
        "That is the ID of a subscription or a resource group. The vault's goes on with /providers/Microsoft.KeyVault/vaults/ and its name."
    )]
    ResourceTooShort,
    /// The id goes on after the vault.
    #[error("That is the ID of something inside the vault. Leave out what follows the vault's name.")]
    ResourceTooLong,
    /// Some other kind of resource.
    #[error("That is the ID of another kind of resource. We need the Key Vault's: on the vault's Properties page.")]
    OtherResource,
    /// The subscription is not a GUID.
    #[error(
        "The subscription in that ID is not what it should be: 32 digits and letters with four hyphens. Copy the Resource ID from the vault's Properties page."
    )]
    Subscription,
    /// The resource group's name is not one.
    #[error(
        "The resource group in that ID has a name that none can have. Copy the Resource ID from the vault's Properties page."
    )]
    ResourceGroup,
}

/// One of the answers that the guide asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The directory's id.
    Directory,
    /// The vault.
    Vault,
    /// The key.
    Key,
    /// The vault's resource id.
    Resource,
}

impl Refusal {
    /// Its name for programs: `portal-page`. Stable.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.into()
    }

    /// Whether what was typed may hold a secret: a private key, or an address with a signature. Then it is neither shown
    /// again nor kept.
    #[must_use]
    pub fn may_hold_a_secret(self) -> bool {
        matches!(self, Self::KeyMaterial | Self::Query | Self::Storage | Self::Document)
    }
}

impl Field {
    fn described(self) -> &'static str {
        match self {
            Self::Directory => "a directory's Tenant ID",
            Self::Vault => "a vault's address",
            Self::Key => "a key's identifier or name",
            Self::Resource => "a Resource ID",
        }
    }
}

/// A cloud's name for people.
pub(crate) fn cloud_name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "Azure's public cloud",
        Cloud::China => "Azure operated by 21Vianet",
        Cloud::UsGovernment => "Azure Government",
    }
}
