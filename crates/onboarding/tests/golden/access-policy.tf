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

data "azurerm_key_vault" "vault" {
  name                = var.vault_name
  resource_group_name = var.resource_group_name

  lifecycle {
    postcondition {
      condition     = self.purge_protection_enabled
      error_message = "Turn on purge protection first, so that nobody can destroy the key and with it your data: az keyvault update --name ${self.name} --enable-purge-protection true"
    }
    postcondition {
      condition     = !self.rbac_authorization_enabled
      error_message = "This vault grants access by roles and ignores policies: choose the instructions for roles."
    }
  }
}

resource "azurerm_key_vault_access_policy" "access" {
  key_vault_id    = data.azurerm_key_vault.vault.id
  tenant_id       = var.tenant_id
  object_id       = azuread_service_principal.platform.object_id
  key_permissions = ["Get", "UnwrapKey", "WrapKey"]
}

# What we ask you to tell us.
output "tenant_id" {
  value = var.tenant_id
}

output "vault_uri" {
  value = data.azurerm_key_vault.vault.vault_uri
}

output "key_identifier" {
  value = "${data.azurerm_key_vault.vault.vault_uri}keys/${var.key_name}"
}

output "vault_resource_id" {
  value = data.azurerm_key_vault.vault.id
}
