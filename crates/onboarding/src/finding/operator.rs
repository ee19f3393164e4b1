//! What the platform's operator is told.

use super::{
    kind::Kind,
    words::{Words, note, say},
};

/// What a finding says to the operator.
#[expect(clippy::too_many_lines, reason = "one row for each finding, and none left out")]
pub(super) fn words(kind: Kind) -> Words {
    match kind {
        Kind::DirectoryNotTold => say(
            "The directory is not told.",
            "Wait for the customer, or enter its Tenant ID.",
        ),
        Kind::DirectoryFound => note("The directory exists in this cloud."),
        Kind::DirectoryUnknown => say(
            "Entra knows no such directory, in this cloud or another where the application is registered (AADSTS90002).",
            "Have the customer check its Tenant ID.",
        ),
        Kind::DirectoryInOtherCloud => say(
            "The directory is in another cloud: {cloud}.",
            "Have the customer check its Tenant ID, or close this onboarding and open one for that cloud.",
        ),
        Kind::DirectoryHeld => say(
            "That directory is another tenant's or onboarding's too, and whoever holds the link may type any. Nothing behind it is looked at.",
            "If it is this customer's, confirm it: keyferry onboarding change {slug} --confirm-directory",
        ),
        Kind::ConsentNotLooked => note("Not looked at: the directory comes first."),
        Kind::ConsentGiven => note("A token was issued. Our principal there is {object_id}."),
        Kind::ConsentMissing => say(
            "The directory has no principal of our application.",
            "Have the customer's Global Administrator consent, by the page or by the command.",
        ),
        Kind::ConsentSpreading => say(
            "Consent came back at {returned_at}, and Entra does not know the principal yet.",
            "Wait: it turns into a failure once the configured patience ends.",
        ),
        Kind::PrincipalDisabled => say(
            "Our principal is disabled in the customer's directory (AADSTS7000112).",
            "Have the customer enable it under Enterprise applications.",
        ),
        Kind::ConditionalAccess => say(
            "The customer's Conditional Access refuses our application (AADSTS53003).",
            "Have the customer leave it out of the policy, or add our addresses to its named locations.",
        ),
        Kind::KeyVaultUnknownThere => say(
            "The directory has no principal of Key Vault (AADSTS500011).",
            "Have the customer register Microsoft.KeyVault in a subscription of that directory.",
        ),
        Kind::EntraThrottled => say(
            "Entra throttles our token requests.",
            "Wait: it is asked again by schedule.",
        ),
        Kind::EntraUnavailable => say(
            "Entra fails, hangs or cannot be read.",
            "Wait: it is asked again. If all tenants show it, check our own way out.",
        ),
        Kind::VaultNotTold => say(
            "The vault is not told.",
            "Wait for the customer, or enter its Vault URI.",
        ),
        Kind::VaultReachable => note("The vault answers and names the customer's directory."),
        Kind::VaultNameUnknown => say(
            "{vault} does not resolve: misspelt, purged, or missing in a private DNS zone of ours.",
            "Check our DNS; then have the customer check the name.",
        ),
        Kind::VaultUnreachable => say(
            "No connection to {vault}.",
            "Check our way out and its firewall; then the vault's networking.",
        ),
        Kind::VaultTimeout => say(
            "{vault} did not answer in time.",
            "Check Azure's status in its region, and our way out.",
        ),
        Kind::VaultCertificate => say(
            "The certificate that {vault} showed is not to be trusted, so nothing was sent.",
            "Look for a proxy that intercepts TLS on our way out.",
        ),
        Kind::VaultOtherDirectory => say(
            "The vault trusts directory {vault_directory}, not the one that was told.",
            "Have the customer correct the Tenant ID or the vault.",
        ),
        Kind::VaultFirewall => say(
            "The vault's firewall refuses our address (ForbiddenByFirewall).",
            "Tell the customer our addresses, or agree on a private endpoint.",
        ),
        Kind::VaultClosed => say(
            "The vault is closed to the public network (ForbiddenByConnection), and the endpoint policy is off or its resource is not told.",
            "Set the endpoint policy and have the customer tell the Resource ID, or have it open the vault.",
        ),
        Kind::VaultAwaitsEndpoint => say(
            "The vault is closed to the public network (ForbiddenByConnection) until the private endpoint works.",
            "Wait for the approval: see the private endpoint.",
        ),
        Kind::VaultThrottled => say(
            "The vault throttles (429).",
            "Wait; if it lasts, look at the tenant's traffic.",
        ),
        Kind::VaultFailing => say(
            "The vault answers with 5xx.",
            "Wait; if it lasts, check Azure's status.",
        ),
        Kind::VaultAnswerOdd => say(
            "The answer from {vault} cannot be read, or is not Key Vault's own.",
            "Look for a proxy or gateway on our way out.",
        ),
        Kind::VaultCannotVerify => say(
            "The vault cannot verify tokens just now (AKV10046).",
            "Wait: that passes.",
        ),
        Kind::VaultBusy => say(
            "Our limit of calls under way was reached; nothing was asked.",
            "Wait, or raise the limit.",
        ),
        Kind::EndpointShut => say(
            "The tenant's route is closed: its endpoint was rejected or removed, and policy forbids the public network. Nothing was sent.",
            "Have the endpoint made anew and approved.",
        ),
        Kind::KeyNotTold => say("The key is not told.", "Wait for the customer, or enter its name."),
        Kind::KeyNotSeen => note("Not looked at: vault and access come first."),
        Kind::KeyGood => note("RSA, {bits} bits, {held}. {followed} {rotates}"),
        Kind::KeyExpiresSoon => say(
            "The key is good and expires on {expires}; wraps fail from then on. {followed}",
            "Remind the customer to rotate it.",
        ),
        Kind::KeySmall => say(
            "The key is good with {bits} bits; {advised} are advised. {followed} {rotates}",
            "Suggest a larger key for the next version.",
        ),
        Kind::KeyNotFound => say(
            "Key Vault knows no key {key}: deleted (all its versions), or never there. The two cannot be told apart.",
            "Have the customer check the name, or recover the key.",
        ),
        Kind::KeyVersionNotFound => say(
            "The key {key} exists; version {version}, which is pinned, does not.",
            "Have the customer tell a version that exists, or follow the latest.",
        ),
        Kind::KeyNotRsa => say(
            "The key {key} is not RSA or RSA-HSM.",
            "Have the customer create an RSA key.",
        ),
        Kind::KeyTooShort => say(
            "The key {key} has {bits} bits; less than 2048 is refused.",
            "Have the customer create a larger one.",
        ),
        Kind::KeyOperationsMissing => say(
            "The key's key_ops lack {missing}.",
            "Have the customer permit wrapKey and unwrapKey on that version.",
        ),
        Kind::KeyOperationForbidden => say(
            "The key answered KeyOperationForbidden.",
            "Have the customer permit wrapKey and unwrapKey, also on the version of the canary.",
        ),
        Kind::KeyDisabled => say("The key's newest version is disabled.", "Have the customer enable it."),
        Kind::KeyVersionDisabled => say(
            "The pinned version {version} is disabled.",
            "Have the customer enable it, or pin another.",
        ),
        Kind::KeyNotYetValid => say("The key's nbf is {not_before}.", "Wait, or have the customer move it."),
        Kind::KeyExpired => say(
            "The key's exp was {expires}. It still unwraps and wraps no more.",
            "Have the customer rotate it.",
        ),
        Kind::KeyNotUsable => say(
            "A wrap was refused with 403 and no inner code: the key is expired or not yet valid.",
            "Have the customer check nbf and exp.",
        ),
        Kind::WrapNotLooked => note("Not tried: vault and key come first."),
        Kind::Wraps => note("The canary was unwrapped and is what it was."),
        Kind::NoAccess => say(
            "No role assignment for {object_id} lets us read the key (ForbiddenByRbac), for longer than the configured patience.",
            "Have the customer assign the roles to that object ID, on this vault.",
        ),
        Kind::NoAccessYet => say(
            "No role assignment for {object_id} lets us read the key yet (ForbiddenByRbac), since {waiting_since}.",
            "Wait: Azure needs minutes for roles. It turns into a failure once the configured patience ends.",
        ),
        Kind::CannotUnwrap => say(
            "The key can be read; unwrap is ForbiddenByRbac for {object_id}, for longer than the configured patience: Key Vault Crypto User is missing.",
            "Have the customer assign Key Vault Crypto User, or Key Vault Crypto Service Encryption User.",
        ),
        Kind::CannotUnwrapYet => say(
            "The key can be read; unwrap is ForbiddenByRbac for {object_id}, since {waiting_since}.",
            "Wait: perhaps the role spreads. It turns into a failure once the configured patience ends.",
        ),
        Kind::PolicyMissing => say(
            "An access-policy vault, and no policy for {object_id} grants get, wrapKey and unwrapKey (ForbiddenByPolicy), for longer than the configured patience.",
            "Have the customer add the policy, or switch the vault to roles.",
        ),
        Kind::PolicyMissingYet => say(
            "An access-policy vault, and no policy for {object_id} grants get, wrapKey and unwrapKey (ForbiddenByPolicy), since {waiting_since}.",
            "Wait a moment. It turns into a failure once the configured patience ends.",
        ),
        Kind::AccessRefused => say(
            "403 with a code that we do not know.",
            "See the evidence; deny assignments, Azure Policy and a service of the customer's are likely causes.",
        ),
        Kind::CanaryForeign => say(
            "A canary that was wrapped in this very check does not unwrap to what it was.",
            "Treat the vault as not trustworthy until it is explained; keep the evidence.",
        ),
        Kind::ReadNotLooked => note("Not looked at: access to the key comes first."),
        Kind::Reads => note("The rotation policy can be read: Key Vault Reader is granted. {rotates}"),
        Kind::ReadNotGranted => say(
            "The rotation policy cannot be read: Key Vault Reader is not granted. Nothing needs it.",
            "Nothing, unless the customer meant to grant it.",
        ),
        Kind::ReadByPolicy => note("An access-policy vault: getrotationpolicy is not asked for."),
        Kind::PrivilegeNotLooked => note("Not tried: access to the key comes first."),
        Kind::PrivilegeLeast => note("None of the powers that we try is granted."),
        Kind::PrivilegeMore => say(
            "Granted beyond need: {powers}.",
            "Offer the customer the narrower role; nothing depends on it.",
        ),
        Kind::ProtectionNotLooked => note("Neither the resource manager nor the key tells of its protection yet."),
        Kind::Protected => note("Soft delete and purge protection are on. {network}"),
        Kind::PurgePossible => say(
            "Purge protection is off: whoever may purge can destroy the key and the tenant's data. {network}",
            "Urge the customer to turn it on. It does not block activation.",
        ),
        Kind::SoftDeleteOff => say(
            "Soft delete is off: deleting the key destroys the tenant's data. {network}",
            "Urge the customer to turn it on before data is protected. It does not block activation.",
        ),
        Kind::EndpointOff => note("The endpoint policy is off."),
        Kind::EndpointNotOffered => note("No private endpoints are configured for this cloud; the policy is optional."),
        Kind::EndpointInvited => note("Optional, and the vault's Resource ID is not told: none is made."),
        Kind::EndpointNeedsResource => say(
            "Required, and the Resource ID of the vault is not told.",
            "Wait for the customer, or enter it.",
        ),
        Kind::EndpointNotYet => note("Not requested: consent and vault come first."),
        Kind::EndpointRequested => say(
            "The endpoint {endpoint} is asked for and not provisioned yet.",
            "Wait some minutes.",
        ),
        Kind::EndpointPending => say(
            "The endpoint {endpoint_id} awaits the customer's approval.",
            "Wait for the customer, or remind it.",
        ),
        Kind::EndpointApproved => say(
            "The endpoint {endpoint} is approved and has no address yet.",
            "Wait some minutes.",
        ),
        Kind::EndpointUnproven => say(
            "The endpoint {endpoint} is approved at {address}, and the vault does not report a private link.",
            "Check that our service reaches that address: peering, route tables, network security groups.",
        ),
        Kind::EndpointProven => {
            note("The endpoint {endpoint} carries the traffic, at {address}; the vault reports a private link.")
        }
        Kind::EndpointRejected => say(
            "The customer rejected the endpoint {endpoint}. {said}",
            "Ask why; then have it made anew.",
        ),
        Kind::EndpointDisconnected => say(
            "The customer removed the endpoint {endpoint}'s connection. {said}",
            "Ask whether that was meant; then have it made anew.",
        ),
        Kind::EndpointFailed => say(
            "The endpoint {endpoint} failed to provision, or is gone from our subscription.",
            "See its activity log; then have it made anew.",
        ),
        Kind::EndpointRemoving => say("The endpoint {endpoint} is being deleted.", "Wait some minutes."),
        Kind::EndpointTargetUnknown => say(
            "The resource manager finds no vault of the Resource ID that was told.",
            "Have the customer copy it again.",
        ),
        Kind::EndpointTooMany => say(
            "The customer's vault has reached its limit of private endpoint connections.",
            "Have the customer remove unused ones.",
        ),
        Kind::ManagerThrottled => say(
            "The resource manager throttles until {retry_at}.",
            "Wait: it is asked again after that.",
        ),
        Kind::ManagerUnavailable => say(
            "The resource manager fails or cannot be read.",
            "Wait: it is asked again.",
        ),
        Kind::VerificationNotYet => note("Not tried: {missing} first."),
        Kind::Verified => note("A data key was wrapped and unwrapped on the tenant's route."),
        Kind::OurSecretInvalid => say(
            "Entra refuses our client secret (AADSTS7000215). Every tenant of the cloud is affected.",
            "Set the right secret in [azure].",
        ),
        Kind::OurSecretExpired => say(
            "Our client secret is expired (AADSTS7000222). Every tenant of the cloud is affected.",
            "Create a new one in our app registration and set it.",
        ),
        Kind::OurAssertionRefused => say(
            "Entra refuses our assertion (AADSTS50012, AADSTS700027). Every tenant of the cloud is affected.",
            "Check the certificate or federated credential in our app registration, and our clock.",
        ),
        Kind::OurCredentialUnavailable => say(
            "Our credential's source gives nothing usable, or no application is registered for this cloud.",
            "Check the file, managed identity or registration that [azure] names.",
        ),
        Kind::OurTokenRefused => say(
            "The vault refuses a fresh token of ours (401).",
            "See the evidence; the audience of the cloud may not be what we take it for.",
        ),
        Kind::OurRequestRefused => say(
            "Entra or the vault calls our request wrong, with a code that we do not know.",
            "Report it with the evidence: that is a defect of ours or a change of theirs.",
        ),
        Kind::OurEndpointsMissing => say(
            "A private endpoint is required, and none can be made: [azure.private_endpoints] is not set.",
            "Configure it, or change this onboarding's endpoint policy.",
        ),
        Kind::OurEndpointsForbidden => say(
            "We may not manage private endpoints in our own resource group (AuthorizationFailed).",
            "Assign Network Contributor to our identity on the resource group and the subnet.",
        ),
        Kind::OurEndpointsMisconfigured => say(
            "Our subscription, resource group or subnet is not there or does not fit.",
            "Check [azure.private_endpoints] against the evidence.",
        ),
        Kind::OurEndpointsRefused => say(
            "The resource manager calls our request for the endpoint wrong.",
            "Report it with the evidence: that is a defect of ours or a change of theirs.",
        ),
        Kind::OurCheckBroke => say(
            "The check broke off: a defect of ours.",
            "See the log of that time, and report it.",
        ),
    }
}
