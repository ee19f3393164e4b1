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
  }
}

variable "tenant_id" {
  description = "Your directory."
  type        = string
}

variable "subscription_id" {
  description = "The vault's subscription."
  type        = string
}

variable "resource_group_name" {
  description = "The vault's resource group."
  type        = string
}

variable "vault_name" {
  description = "The vault."
  type        = string
}

variable "key_name" {
  description = "The key."
  type        = string
}

variable "location" {
  description = "Where the vault shall be."
  type        = string
}

provider "azurerm" {
  environment     = "public"
  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

provider "azuread" {
  environment = "global"
  tenant_id   = var.tenant_id
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
  key_size     = 3072
  key_opts     = ["unwrapKey", "wrapKey"]

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_role_assignment" "access" {
  for_each = toset([
    # 12338af0-0e69-4776-bea7-57ae8d297424
    "Key Vault Crypto User",
    # 21090545-7ca7-4776-b22c-e363652d74d2
    "Key Vault Reader",
  ])

  scope                = azurerm_key_vault.vault.id
  role_definition_name = each.key
  principal_id         = azuread_service_principal.platform.object_id
  principal_type       = "ServicePrincipal"
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
