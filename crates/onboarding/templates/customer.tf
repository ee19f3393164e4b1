# Lets {{ platform }} wrap and unwrap data keys with a key that stays in your vault.
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
{%- if endpoint %}
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.0"
    }
{%- endif %}
  }
}

variable "tenant_id" {
  description = "Your directory."
  type        = string
{%- if let Some(directory) = directory %}
  default     = {{ directory }}
{%- endif %}
}

variable "subscription_id" {
  description = "The vault's subscription."
  type        = string
{%- if let Some(subscription) = subscription %}
  default     = {{ subscription }}
{%- endif %}
}

variable "resource_group_name" {
  description = "The vault's resource group."
  type        = string
{%- if let Some(group) = group %}
  default     = {{ group }}
{%- endif %}
}

variable "vault_name" {
  description = "The vault."
  type        = string
{%- if let Some(vault) = vault %}
  default     = {{ vault }}
{%- endif %}
}

variable "key_name" {
  description = "The key."
  type        = string
{%- if let Some(key) = key %}
  default     = {{ key }}
{%- endif %}
}
{%- if new %}

variable "location" {
  description = "Where the vault shall be."
  type        = string
{%- if let Some(location) = location %}
  default     = {{ location }}
{%- endif %}
}
{%- endif %}
{%- if endpoint %}

variable "private_endpoint_id" {
  description = "The resource ID of our private endpoint, which we show once it is requested. Leave it empty until then."
  type        = string
  default     = {{ requester }}
}
{%- endif %}

provider "azurerm" {
  environment     = {{ azurerm_environment }}
  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

provider "azuread" {
  environment = {{ azuread_environment }}
  tenant_id   = var.tenant_id
}
{%- if endpoint %}

provider "azapi" {
  environment     = {{ azurerm_environment }}
  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
}
{%- endif %}

# Our application, in your directory. If you have followed the consent link it is there already, and is taken over.
resource "azuread_service_principal" "platform" {
  client_id    = {{ application }}
  use_existing = true
}
{% if new %}
# Purge protection: nobody can destroy the key, and with it your data, before {{ RETENTION_DAYS }} days have passed.
resource "azurerm_key_vault" "vault" {
  name                       = var.vault_name
  resource_group_name        = var.resource_group_name
  location                   = var.location
  tenant_id                  = var.tenant_id
  sku_name                   = "premium"
  rbac_authorization_enabled = {{ rbac() }}
  purge_protection_enabled   = true
  soft_delete_retention_days = {{ RETENTION_DAYS }}
}
{%- else %}
data "azurerm_key_vault" "vault" {
  name                = var.vault_name
  resource_group_name = var.resource_group_name

  lifecycle {
    postcondition {
      condition     = self.purge_protection_enabled
      error_message = "Turn on purge protection first, so that nobody can destroy the key and with it your data: az keyvault update --name ${self.name} --enable-purge-protection true"
    }
    postcondition {
{%- if rbac() %}
      condition     = self.rbac_authorization_enabled
      error_message = "This vault grants access by policies and ignores roles: choose the instructions for access policies."
{%- else %}
      condition     = !self.rbac_authorization_enabled
      error_message = "This vault grants access by roles and ignores policies: choose the instructions for roles."
{%- endif %}
    }
  }
}
{%- endif %}
{%- if creates_key %}

# If the key exists already: terraform import azurerm_key_vault_key.key <its Key Identifier, with the version>
resource "azurerm_key_vault_key" "key" {
  name         = var.key_name
  key_vault_id = {{ the_vault }}.id
  key_type     = "RSA"
  key_size     = {{ bits }}
  key_opts     = ["unwrapKey", "wrapKey"]

  lifecycle {
    prevent_destroy = true
  }
}
{%- endif %}
{%- if rbac() %}

resource "azurerm_role_assignment" "access" {
  for_each = toset([
{%- for role in roles %}
    # {{ role.id() }}
    "{{ role.name() }}",
{%- endfor %}
  ])

  scope                = {{ the_vault }}.id
  role_definition_name = each.key
  principal_id         = azuread_service_principal.platform.object_id
  principal_type       = "ServicePrincipal"
}
{%- else %}

resource "azurerm_key_vault_access_policy" "access" {
  key_vault_id    = {{ the_vault }}.id
  tenant_id       = var.tenant_id
  object_id       = azuread_service_principal.platform.object_id
  key_permissions = ["Get", "UnwrapKey", "WrapKey"]
}
{%- endif %}
{%- if endpoint %}

# The approval of our private endpoint's connection, and nobody else's. (azurerm has no resource for it.)
data "azapi_resource" "vault" {
  count = var.private_endpoint_id == "" ? 0 : 1

  type                   = "Microsoft.KeyVault/vaults@{{ KEY_VAULT_API }}"
  resource_id            = {{ the_vault }}.id
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

  type        = "Microsoft.KeyVault/vaults/privateEndpointConnections@{{ KEY_VAULT_API }}"
  resource_id = one(local.ours)
  body = {
    properties = {
      privateLinkServiceConnectionState = {
        status      = "Approved"
        description = {{ description }}
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
{%- endif %}

# What we ask you to tell us.
output "tenant_id" {
  value = var.tenant_id
}

output "vault_uri" {
  value = {{ the_vault }}.vault_uri
}

output "key_identifier" {
  value = "${ {{- the_vault -}} .vault_uri}keys/${var.key_name}"
}

output "vault_resource_id" {
  value = {{ the_vault }}.id
}

