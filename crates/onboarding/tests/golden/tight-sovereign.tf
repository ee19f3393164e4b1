# Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
# Whoever applies this may register applications in your directory, create keys in the vault and grant access to it.

terraform {
  required_version = ">= 1.5"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.42"
    }
    azuread = {
      source  = "hashicorp/azuread"
      version = "~> 3.0"
    }
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.0"
    }
  }
}

variable "tenant_id" {
  description = "Your directory."
  type        = string
  default     = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11"
}

variable "subscription_id" {
  description = "The vault's subscription."
  type        = string
  default     = "11112222-3333-4444-8555-666677778888"
}

variable "resource_group_name" {
  description = "The vault's resource group."
  type        = string
  default     = "keys-prod"
}

variable "vault_name" {
  description = "The vault."
  type        = string
  default     = "acme-kv"
}

variable "key_name" {
  description = "The key."
  type        = string
  default     = "customer-key"
}

variable "location" {
  description = "Where the vault shall be."
  type        = string
  default     = "chinanorth3"
}

variable "private_endpoint_id" {
  description = "The resource ID of our private endpoint, which we show once it is requested. Leave it empty until then."
  type        = string
  default     = "/subscriptions/99998888-7777-4666-8555-444433332222/resourceGroups/platform-byok/providers/Microsoft.Network/privateEndpoints/byok-acme"
}

provider "azurerm" {
  environment     = "china"
  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

provider "azuread" {
  environment = "china"
  tenant_id   = var.tenant_id
}

provider "azapi" {
  environment     = "china"
  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
}

# Our application, in your directory. If you have followed the consent link it is there already, and is taken over.
resource "azuread_service_principal" "platform" {
  client_id    = "0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90"
  use_existing = true
}

# Purge protection: nobody can destroy the key, and with it your data, before 90 days have passed.
resource "azurerm_key_vault" "vault" {
  name                       = var.vault_name
  resource_group_name        = var.resource_group_name
  location                   = var.location
  tenant_id                  = var.tenant_id
  sku_name                   = "premium"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90
}

# If the key exists already: terraform import azurerm_key_vault_key.key <its Key Identifier, with the version>
resource "azurerm_key_vault_key" "key" {
  name         = var.key_name
  key_vault_id = azurerm_key_vault.vault.id
  key_type     = "RSA"
  key_size     = 4096
  key_opts     = ["unwrapKey", "wrapKey"]

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_role_assignment" "access" {
  for_each = toset([
    # e147488a-f6f5-4113-8e2d-b22465e65bf6
    "Key Vault Crypto Service Encryption User",
  ])

  scope                = azurerm_key_vault.vault.id
  role_definition_name = each.key
  principal_id         = azuread_service_principal.platform.object_id
  principal_type       = "ServicePrincipal"
}

# The approval of our private endpoint's connection, and nobody else's. (azurerm has no resource for it.)
data "azapi_resource" "vault" {
  count = var.private_endpoint_id == "" ? 0 : 1

  type                   = "Microsoft.KeyVault/vaults@2026-02-01"
  resource_id            = azurerm_key_vault.vault.id
  response_export_values = ["properties.privateEndpointConnections"]
}

locals {
  connections = flatten([
    for vault in data.azapi_resource.vault : try(vault.output.properties.privateEndpointConnections, [])
  ])
  ours = [
    for connection in local.connections : connection.id
    if lower(try(connection.properties.privateEndpoint.id, "")) == lower(var.private_endpoint_id)
  ]
}

resource "azapi_update_resource" "approval" {
  count = var.private_endpoint_id == "" ? 0 : 1

  type        = "Microsoft.KeyVault/vaults/privateEndpointConnections@2026-02-01"
  resource_id = one(local.ours)
  body = {
    properties = {
      privateLinkServiceConnectionState = {
        status      = "Approved"
        description = "Approved for Example Platform"
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.ours) == 1
      error_message = "No connection of ours is there yet. It appears some minutes after we have requested it."
    }
  }
}

# What we ask you to tell us.
output "tenant_id" {
  value = var.tenant_id
}

output "vault_uri" {
  value = azurerm_key_vault.vault.vault_uri
}

output "key_identifier" {
  value = "${azurerm_key_vault.vault.vault_uri}keys/${var.key_name}"
}

output "vault_resource_id" {
  value = azurerm_key_vault.vault.id
}
