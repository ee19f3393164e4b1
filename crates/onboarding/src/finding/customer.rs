//! What a customer's administrator is told.

use super::{
    kind::Kind,
    words::{Words, note, say},
};

/// What a finding says to the customer's administrator. All that is on our side says the same.
#[expect(clippy::too_many_lines, reason = "one row for each finding, and none left out")]
pub(super) fn words(kind: Kind) -> Words {
    match kind {
        Kind::DirectoryNotTold => say(
            "We do not know your directory yet.",
            "Enter your Tenant ID: in the Azure portal under Microsoft Entra ID, Overview.",
        ),
        Kind::DirectoryFound => note("Your directory is there."),
        Kind::DirectoryUnknown => say(
            "There is no directory with that Tenant ID.",
            "Copy the Tenant ID again, from Microsoft Entra ID, Overview. A subscription's ID or an application's looks the same and is another.",
        ),
        Kind::DirectoryInOtherCloud => say(
            "That directory is in another cloud: {cloud}.",
            "Check the Tenant ID. If your vault really is in {cloud}, tell us, since your onboarding was opened for another cloud.",
        ),
        Kind::DirectoryHeld => say(
            "Before we look further, we make sure with whoever sent you this link that this directory is yours.",
            "Nothing, if the Tenant ID is right. If it is not, correct it.",
        ),
        Kind::ConsentNotLooked => note("We look for our application once we know your directory."),
        Kind::ConsentGiven => {
            note("Our application is authorized in your directory. Its object ID there is {object_id}.")
        }
        Kind::ConsentMissing => say(
            "Our application is not authorized in your directory.",
            "Have a Global Administrator follow the consent link, or run the command. If that was done a moment ago, wait: we keep looking.",
        ),
        Kind::ConsentSpreading => say(
            "Consent came back to us, and Azure has not spread it through your directory yet. That takes minutes, at times up to an hour.",
            "Nothing: we keep looking, and this page shows it when it is there.",
        ),
        Kind::PrincipalDisabled => say(
            "Our application is in your directory, and somebody has disabled it.",
            "In Microsoft Entra ID, Enterprise applications, open it, and under Properties set Enabled for users to sign-in to Yes.",
        ),
        Kind::ConditionalAccess => say(
            "A Conditional Access policy of yours blocks our application.",
            "In Microsoft Entra ID, Protection, Conditional Access, find the policy for workload identities that does, and leave our application out of it.",
        ),
        Kind::KeyVaultUnknownThere => say(
            "Your directory does not know Azure Key Vault itself, so no token for a vault can be had there.",
            "Register the resource provider Microsoft.KeyVault in a subscription of that directory, or check that your vault really is in it.",
        ),
        Kind::EntraThrottled => say(
            "Microsoft Entra asks us to wait before we look again.",
            "Nothing: we do, and look again by ourselves.",
        ),
        Kind::EntraUnavailable => say(
            "Microsoft Entra does not answer just now.",
            "Nothing: we ask again until it does.",
        ),
        Kind::VaultNotTold => say(
            "We do not know your vault yet.",
            "Enter the Vault URI from your vault's Overview, or a key's identifier.",
        ),
        Kind::VaultReachable => note("Your vault answers, and it trusts your directory."),
        Kind::VaultNameUnknown => say(
            "There is no vault named {vault}: its name does not resolve.",
            "Check the spelling of the Vault URI. If the vault was deleted, recover it.",
        ),
        Kind::VaultUnreachable => say(
            "We cannot connect to {vault}.",
            "Check under Networking that the vault can be reached as agreed. If nothing changed there, wait: we try again.",
        ),
        Kind::VaultTimeout => say(
            "{vault} did not answer in time.",
            "Check whether Azure reports trouble with Key Vault in your region. We try again by ourselves.",
        ),
        Kind::VaultCertificate => say(
            "What answers as {vault} has a certificate that is not Key Vault's.",
            "Ask your network's administrators whether a proxy stands before the vault. It must not: nothing was sent to it.",
        ),
        Kind::VaultOtherDirectory => say(
            "Your vault lives in another directory: {vault_directory}.",
            "If that is the right one, enter it as your Tenant ID and authorize our application there. If not, check the Vault URI.",
        ),
        Kind::VaultFirewall => say(
            "Your vault's firewall refuses us.",
            "In the vault under Networking, allow our addresses, or tell us the vault's Resource ID and approve our private endpoint.",
        ),
        Kind::VaultClosed => say(
            "Your vault is closed to public networks, and a private endpoint to it is not agreed on.",
            "Open the vault's Networking to us, or tell us that you want a private endpoint.",
        ),
        Kind::VaultAwaitsEndpoint => say(
            "Your vault is closed to public networks, so we can go on once our private endpoint is approved.",
            "See the last step: approve the private endpoint connection there.",
        ),
        Kind::VaultThrottled => say(
            "Your vault is asked too much, by us or by others, and makes us wait.",
            "Nothing: we look again. If it stays so, see who else uses the vault.",
        ),
        Kind::VaultFailing => say(
            "Your vault answers with an error of its own.",
            "Nothing: we look again. If it stays so, see whether Azure reports trouble with Key Vault.",
        ),
        Kind::VaultAnswerOdd => say(
            "What answers as {vault} does not answer as Key Vault does.",
            "Ask your network's administrators whether a proxy or a gateway stands before the vault, and have it leave our traffic alone.",
        ),
        Kind::VaultCannotVerify => say(
            "Your vault cannot check anybody's sign-in just now.",
            "Nothing: that passes, and we look again.",
        ),
        Kind::VaultBusy => say(
            "We are still busy with earlier questions to your vault.",
            "Nothing: we look again in a moment.",
        ),
        Kind::EndpointShut => say(
            "The private endpoint to your vault was rejected or removed, and nothing may go any other way, so nothing was sent.",
            "Have the private endpoint made anew, in the last step, and approve it.",
        ),
        Kind::KeyNotTold => say(
            "We do not know your key yet.",
            "Enter the key's name, or its Key Identifier from the key's page.",
        ),
        Kind::KeyNotSeen => note("We look at your key once the vault answers and we have access."),
        Kind::KeyGood => note("Your key is an RSA key of {bits} bits, {held}. {followed} {rotates}"),
        Kind::KeyExpiresSoon => say(
            "Your key can be used, and expires on {expires}. After that nothing new can be protected with it. {followed}",
            "Rotate the key before then, or move its expiry.",
        ),
        Kind::KeySmall => say(
            "Your key can be used. It has {bits} bits, and {advised} are advised. {followed} {rotates}",
            "For the next version choose {advised} bits or more. What is protected by this one stays readable.",
        ),
        Kind::KeyNotFound => say(
            "There is no key {key} in your vault: it is deleted, or never was there.",
            "Check the key's name. If it was deleted, recover it: in the vault under Keys, Manage deleted keys.",
        ),
        Kind::KeyVersionNotFound => say(
            "The key {key} is there, and version {version} of it is not.",
            "Copy the identifier of a version that exists, or leave the version out to follow the newest.",
        ),
        Kind::KeyNotRsa => say(
            "The key {key} is not an RSA key, and only those can wrap.",
            "Create an RSA key of {advised} bits, and tell us its name.",
        ),
        Kind::KeyTooShort => say(
            "The key {key} has {bits} bits. Below 2048 none is accepted.",
            "Rotate it to a version of {advised} bits, or create such a key and tell us its name.",
        ),
        Kind::KeyOperationsMissing => say(
            "The key {key} does not permit what we need: {missing} is missing among its permitted operations.",
            "In the key's version, under Permitted operations, tick Wrap Key and Unwrap Key.",
        ),
        Kind::KeyOperationForbidden => say(
            "The key {key} refused an operation that we need, since its permitted operations leave it out.",
            "Tick Wrap Key and Unwrap Key on the version that we use; versions made before keep their own list.",
        ),
        Kind::KeyDisabled => say(
            "The newest version of the key {key} is disabled.",
            "Enable it: on the version's page, set Enabled to Yes.",
        ),
        Kind::KeyVersionDisabled => say(
            "Version {version} of the key {key}, which you pinned, is disabled.",
            "Enable that version, or tell us another.",
        ),
        Kind::KeyNotYetValid => say(
            "The key {key} is not valid before {not_before}.",
            "Move its activation date, or wait until then.",
        ),
        Kind::KeyExpired => say(
            "The key {key} expired on {expires}.",
            "Rotate it, or move its expiration date.",
        ),
        Kind::KeyNotUsable => say(
            "The key {key} refuses to wrap, as a key does that is expired or not yet valid.",
            "Look at the key's activation and expiration dates, and correct them.",
        ),
        Kind::WrapNotLooked => note("We try to wrap and unwrap once your vault and your key can be reached."),
        Kind::Wraps => note("We can wrap and unwrap with your key."),
        Kind::NoAccess => say(
            "Our application (object ID {object_id}) has no role on your vault that would let it use the key, and Azure has had the time that it takes.",
            "In the vault under Access control (IAM), assign Key Vault Crypto User and Key Vault Reader to it; or, tighter, Key Vault Crypto Service Encryption User alone. If you just did, wait: we keep looking.",
        ),
        Kind::NoAccessYet => say(
            "Our application (object ID {object_id}) has no access to your key yet. Once it is granted, Azure takes some minutes to spread it.",
            "If you have not yet, assign Key Vault Crypto User and Key Vault Reader to our application in the vault under Access control (IAM); or, tighter, Key Vault Crypto Service Encryption User alone. If you have, wait: we keep looking.",
        ),
        Kind::CannotUnwrap => say(
            "Our application (object ID {object_id}) may look at your key and may not unwrap with it: Key Vault Crypto User is missing, and Azure has had the time that it takes.",
            "In the vault under Access control (IAM), assign Key Vault Crypto User to it; or, tighter, Key Vault Crypto Service Encryption User. If you just did, wait: we keep looking.",
        ),
        Kind::CannotUnwrapYet => say(
            "Our application (object ID {object_id}) may look at your key and may not unwrap with it yet. Once that is granted, Azure takes some minutes to spread it.",
            "If you have not yet, assign Key Vault Crypto User in the vault under Access control (IAM); or, tighter, Key Vault Crypto Service Encryption User. If you have, wait: we keep looking.",
        ),
        Kind::PolicyMissing => say(
            "Your vault has access policies, so roles are ignored there, and none of its policies gives our application (object ID {object_id}) what it needs.",
            "In the vault under Access policies, add one for our application with the key permissions Get, Wrap Key and Unwrap Key; or switch the vault to roles.",
        ),
        Kind::PolicyMissingYet => say(
            "Your vault has access policies, so roles are ignored there. None gives our application (object ID {object_id}) what it needs yet.",
            "If you have not yet, add a policy for our application with the key permissions Get, Wrap Key and Unwrap Key. If you have, wait a moment: we keep looking.",
        ),
        Kind::AccessRefused => say(
            "Your vault refuses us, for a reason that we do not know.",
            "Look at deny assignments and Azure Policy on the vault, and give the request ID below to Azure's support if none explains it.",
        ),
        Kind::CanaryForeign => say(
            "What your key wrapped a moment ago does not unwrap with it.",
            "Tell us, with the request ID below. Do not rely on this key until we know why.",
        ),
        Kind::ReadNotLooked => note("We look whether the key's settings can be read once it can be used."),
        Kind::Reads => note("We can read how your key is set up, so we can warn you of what is to come. {rotates}"),
        Kind::ReadNotGranted => say(
            "Key Vault Reader is not granted, or not yet in force. Nothing needs it; we only cannot tell you of the key's rotation policy.",
            "If you follow the guide, assign Key Vault Reader on the vault too. If you chose the narrower role, nothing.",
        ),
        Kind::ReadByPolicy => {
            note("Your vault has access policies; we ask for no permission to read the key's settings there.")
        }
        Kind::PrivilegeNotLooked => note("We look whether we have more access than we need once we have what we need."),
        Kind::PrivilegeLeast => note("We can do what we need with your vault, and nothing beyond it that we look for."),
        Kind::PrivilegeMore => say(
            "We could do more in your vault than we need: {powers}. We never do, and you need not let us.",
            "If you want it tighter, run the command: it grants what is needed and takes the rest away.",
        ),
        Kind::ProtectionNotLooked => note("We look how the key is protected against deletion once we can see it."),
        Kind::Protected => note("A deleted key can be recovered, and nobody can purge it before its time. {network}"),
        Kind::PurgePossible => say(
            "Whoever may purge keys in your vault can destroy yours for good, and with it all that it protects: purge protection is off. {network}",
            "Turn purge protection on: in the vault under Properties, or with the command. It cannot be turned off again.",
        ),
        Kind::SoftDeleteOff => say(
            "A key that is deleted in your vault is gone at once, and with it all that it protects: soft delete is off. {network}",
            "Turn soft delete and purge protection on before you protect anything with this key.",
        ),
        Kind::EndpointOff => note("We reach your vault over its public address; no private endpoint is planned."),
        Kind::EndpointNotOffered => {
            note("We do not offer private endpoints here; we reach your vault over its public address.")
        }
        Kind::EndpointInvited => note(
            "We can reach your vault by a private endpoint. If you want that, enter the vault's Resource ID: on its Properties page.",
        ),
        Kind::EndpointNeedsResource => say(
            "We reach your vault by a private endpoint only, and do not know its Resource ID yet.",
            "Enter the vault's Resource ID: on its Properties page.",
        ),
        Kind::EndpointNotYet => {
            note("We request the private endpoint once our application is authorized and the vault is known.")
        }
        Kind::EndpointRequested => say(
            "We have requested a private endpoint to your vault, and Azure is making it.",
            "Nothing yet: in a few minutes there is a connection to approve.",
        ),
        Kind::EndpointPending => say(
            "Our private endpoint awaits your approval. It says: “{message}”, and its ID is {endpoint_id}.",
            "In the vault under Networking, Private endpoint connections, select ours by that ID and choose Approve; or run the command, which approves ours and nobody else's.",
        ),
        Kind::EndpointApproved => say(
            "You approved our private endpoint; Azure has not given it an address yet.",
            "Nothing: we use it as soon as it has one.",
        ),
        Kind::EndpointUnproven => say(
            "You approved our private endpoint, and our traffic was not seen to take it yet.",
            "Nothing: we try again until your vault says that it does.",
        ),
        Kind::EndpointProven => note("We reach your vault by the private endpoint, and your vault says so itself."),
        Kind::EndpointRejected => say(
            "Our private endpoint was rejected. {said}",
            "If that was a mistake, have it made anew with the button below, and approve the new one: a rejected one cannot be approved.",
        ),
        Kind::EndpointDisconnected => say(
            "Our private endpoint was removed on your side. {said}",
            "If that was a mistake, have it made anew with the button below, and approve it: a removed one does not come back.",
        ),
        Kind::EndpointFailed => say(
            "Azure could not make or keep the private endpoint.",
            "Have it made anew with the button below; if that fails too, tell us.",
        ),
        Kind::EndpointRemoving => say(
            "The private endpoint that we had before is being removed, so that another can take its place.",
            "Nothing: that takes some minutes.",
        ),
        Kind::EndpointTargetUnknown => say(
            "Azure knows no vault with that Resource ID.",
            "Copy the Resource ID again from the vault's Properties page.",
        ),
        Kind::EndpointTooMany => say(
            "Your vault has as many private endpoint connections as it can have.",
            "Remove some that are rejected or unused: in the vault under Networking, Private endpoint connections.",
        ),
        Kind::ManagerThrottled => say(
            "Azure's management interface asks us to wait.",
            "Nothing: we look again when it allows it.",
        ),
        Kind::ManagerUnavailable => say(
            "Azure's management interface does not answer as it should just now.",
            "Nothing: we ask it again until it does.",
        ),
        Kind::VerificationNotYet => note("The whole is tried once everything before it is in order."),
        Kind::Verified => {
            note("A data key was wrapped and unwrapped, on the way that is used from now on. All is in order.")
        }
        Kind::OurSecretInvalid
        | Kind::OurSecretExpired
        | Kind::OurAssertionRefused
        | Kind::OurCredentialUnavailable
        | Kind::OurTokenRefused
        | Kind::OurRequestRefused
        | Kind::OurEndpointsMissing
        | Kind::OurEndpointsForbidden
        | Kind::OurEndpointsMisconfigured
        | Kind::OurEndpointsRefused
        | Kind::OurCheckBroke => say(
            "Something on our side is not in order. It has nothing to do with what you did.",
            "Nothing: we see this too. If it stays so, tell us.",
        ),
    }
}
