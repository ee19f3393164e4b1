// Lets {{ platform }} wrap and unwrap data keys with a key that stays in your vault.
//
// First authorize our application in your directory, unless you have followed the consent link:
//   az ad sp create --id {{ application }}
// Then deploy this to the vault's resource group:
//   az deployment group create --resource-group {{ group }} --template-file customer.bicep --parameters principalId="$(az ad sp show --id {{ application }} --query id --output tsv)"

targetScope = 'resourceGroup'

@description('The object ID of our application in your directory, as the command above finds it.')
param principalId string

@description('The vault.')
param vaultName string{{ vault }}

@description('The key.')
param keyName string{{ key }}
{%- if new %}

@description('Where the vault shall be.')
param location string{{ location }}
{%- endif %}
{%- if endpoint %}

@description({{ connection }})
param endpointConnectionName string = ''
{%- endif %}
{% if new %}
// Purge protection: nobody can destroy the key, and with it your data, before {{ RETENTION_DAYS }} days have passed.
resource vault 'Microsoft.KeyVault/vaults@{{ KEY_VAULT_API }}' = {
  name: vaultName
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'premium'
    }
    enableRbacAuthorization: {{ rbac() }}
{%- if !rbac() %}
    // A later deployment of this file takes back what was added elsewhere.
    accessPolicies: []
{%- endif %}
    enableSoftDelete: true
    softDeleteRetentionInDays: {{ RETENTION_DAYS }}
    enablePurgeProtection: true
  }
}
{%- else %}
// The vault's own settings stay as they are. Purge protection keeps anybody from destroying the key, and with it your data:
//   az keyvault update --name {{ vault_argument }} --enable-purge-protection true
resource vault 'Microsoft.KeyVault/vaults@{{ KEY_VAULT_API }}' existing = {
  name: vaultName
}
{%- endif %}
{%- if creates_key %}

// A key of that name that exists already stays as it is.
resource key 'Microsoft.KeyVault/vaults/keys@{{ KEY_VAULT_API }}' = {
  parent: vault
  name: keyName
  properties: {
    kty: 'RSA'
    keySize: {{ bits }}
    keyOps: [
      'wrapKey'
      'unwrapKey'
    ]
  }
}
{%- endif %}
{%- if rbac() %}

var roles = [
{%- for role in roles %}
  '{{ role.id() }}' // {{ role.name() }}
{%- endfor %}
]

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in roles: {
  scope: vault
  name: guid(vault.id, principalId, role)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}]
{%- else %}

resource access 'Microsoft.KeyVault/vaults/accessPolicies@{{ KEY_VAULT_API }}' = {
  parent: vault
  name: 'add'
  properties: {
    accessPolicies: [
      {
        tenantId: subscription().tenantId
        objectId: principalId
        permissions: {
          keys: [
            'get'
            'wrapKey'
            'unwrapKey'
          ]
        }
      }
    ]
  }
}
{%- endif %}
{%- if endpoint %}

resource approval 'Microsoft.KeyVault/vaults/privateEndpointConnections@{{ KEY_VAULT_API }}' = if (!empty(endpointConnectionName)) {
  parent: vault
  name: empty(endpointConnectionName) ? 'none' : endpointConnectionName
  properties: {
    privateLinkServiceConnectionState: {
      status: 'Approved'
      description: {{ description }}
    }
  }
}
{%- endif %}

// What we ask you to tell us.
output tenantId string = subscription().tenantId
output vaultUri string = vault.properties.vaultUri
output keyIdentifier string = '${vault.properties.vaultUri}keys/${keyName}'
output vaultResourceId string = vault.id

