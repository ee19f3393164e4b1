//! How a vault is set up, as the resource manager tells it. Our roles may not suffice to ask (whether Reader's do is not
//! documented [B]), so a refusal is no fault of the customer's.

use keyferry_crypto::id::{Cloud, DirectoryId, VaultKind, VaultResource};
use reqwest::Method;
use serde::Deserialize;
use uuid::Uuid;

use super::VaultProperties;
use crate::{
    arm::{About, ArmError, believed},
    credential::Audience,
    exchange::Answer,
    request::Request,
    vault::AzureKeyVault,
};

impl AzureKeyVault {
    /// Asks the resource manager how a vault is set up. Our roles do not promise that we may: `Forbidden` is no fault.
    pub async fn vault_properties(
        &self,
        cloud: Cloud,
        directory: DirectoryId,
        resource: &VaultResource,
    ) -> Result<VaultProperties, ArmError> {
        let id = resource.to_string();
        let request = Request::new(Method::GET, id.split('/').skip(1)).query(API_VERSION);
        let judge = |answer: &Answer| {
            let is_success = answer.status == 200;
            is_success.then(|| believed(read(resource, &answer.body), answer))
        };
        let audience = Audience::management(directory, cloud);
        self.manage(audience, About::Vault, &request, judge).await?
    }
}

/// Reads what is said of the vault that was asked about. What is not said is taken for the less safe case.
fn read(resource: &VaultResource, body: &[u8]) -> Option<VaultProperties> {
    let Told {
        id,
        location,
        properties,
    } = serde_json::from_slice(body).ok()?;
    let is_asked = id.eq_ignore_ascii_case(&resource.to_string());
    let is_open = |access: Option<&str>| access.is_none_or(|access| !access.eq_ignore_ascii_case("Disabled"));
    let public_network = is_open(properties.public_network_access.as_deref());
    let acls = properties.network_acls.unwrap_or_default();
    let denies = acls
        .default_action
        .is_some_and(|action| action.eq_ignore_ascii_case("Deny"));
    is_asked.then(|| VaultProperties {
        directory: DirectoryId(properties.tenant_id),
        // A Managed HSM knows nothing else than its own roles.
        uses_roles: resource.kind == VaultKind::ManagedHsm || properties.enable_rbac_authorization == Some(true),
        soft_delete: properties.enable_soft_delete == Some(true),
        retention_days: properties.soft_delete_retention_in_days,
        purge_protection: properties.enable_purge_protection == Some(true),
        public_network,
        open_to_all: public_network && !denies,
        location: location.chars().filter(|c| !c.is_control()).take(64).collect(),
    })
}

#[derive(Deserialize)]
struct Told {
    id: String,
    location: String,
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    tenant_id: Uuid,
    enable_rbac_authorization: Option<bool>,
    enable_soft_delete: Option<bool>,
    soft_delete_retention_in_days: Option<u32>,
    enable_purge_protection: Option<bool>,
    public_network_access: Option<String>,
    network_acls: Option<Acls>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acls {
    default_action: Option<String>,
}

/// The version of Key Vault's management that is spoken: those before it end in February 2027.
const API_VERSION: (&str, &str) = ("api-version", "2026-02-01");

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const VAULT: &str = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys/providers/Microsoft.KeyVault/vaults/acme";
    const DIRECTORY: Uuid = Uuid::from_u128(0x22);

    fn told(properties: &Value) -> Option<VaultProperties> {
        let mut all = json!({"tenantId": DIRECTORY, "sku": {"family": "A", "name": "premium"}});
        all.as_object_mut()
            .unwrap()
            .extend(properties.as_object().unwrap().clone());
        let told = json!({"id": VAULT.to_uppercase(), "name": "acme", "location": "eastus", "properties": all});
        read(&VAULT.parse().unwrap(), told.to_string().as_bytes())
    }

    #[test]
    fn a_vault_tells_how_it_is_set_up() {
        let properties = told(&json!({
            "enableRbacAuthorization": true, "enableSoftDelete": true, "softDeleteRetentionInDays": 90,
            "enablePurgeProtection": true, "publicNetworkAccess": "Disabled",
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow"},
        }));
        let expected = VaultProperties {
            directory: DirectoryId(DIRECTORY),
            uses_roles: true,
            soft_delete: true,
            retention_days: Some(90),
            purge_protection: true,
            public_network: false,
            open_to_all: false,
            location: "eastus".into(),
        };
        assert_eq!(properties, Some(expected));
    }

    #[test]
    fn what_is_not_said_is_the_less_safe_case() {
        let properties = told(&json!({"enableRbacAuthorization": null})).unwrap();
        assert!(!properties.uses_roles && !properties.soft_delete && !properties.purge_protection);
        assert!(properties.public_network && properties.open_to_all);
        assert_eq!(properties.retention_days, None);
    }

    #[test]
    fn a_firewall_lets_some_in_and_not_everyone() {
        let properties =
            told(&json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny"}})).unwrap();
        assert!(properties.public_network && !properties.open_to_all);
        let open = told(&json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Allow"}})).unwrap();
        assert!(open.open_to_all);
    }

    #[test]
    fn what_is_about_another_vault_is_not_believed() {
        let other = VAULT.replace("/acme", "/other").parse().unwrap();
        let told = json!({"id": VAULT, "location": "eastus", "properties": {"tenantId": DIRECTORY}}).to_string();
        assert!(read(&VAULT.parse().unwrap(), told.as_bytes()).is_some());
        assert_eq!(read(&other, told.as_bytes()), None);
        assert_eq!(read(&other, b"{}"), None);
    }
}
