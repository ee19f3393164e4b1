// Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
//
// First authorize our application in your directory, unless you have followed the consent link:
//   az ad sp create --id '0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90'
// Then deploy this to the vault's resource group:
//   az deployment group create --resource-group 'keys-prod' --template-file customer.bicep --parameters principalId="$(az ad sp show --id '0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90' --query id --output tsv)"

targetScope = 'resourceGroup'

@description('The object ID of our application in your directory, as the command above finds it.')
param principalId string

@description('The vault.')
param vaultName string = 'acme-kv'

@description('The key.')
param keyName string = 'customer-key'

@description('Where the vault shall be.')
param location string = 'chinanorth3'

@description('The name of our pending connection, as Networking > Private endpoint connections shows it beside the private endpoint /subscriptions/99998888-7777-4666-8555-444433332222/resourceGroups/platform-byok/providers/Microsoft.Network/privateEndpoints/byok-acme. Leave it empty until the connection is there.')
param endpointConnectionName string = ''

// Purge protection: nobody can destroy the key, and with it your data, before 90 days have passed.
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: vaultName
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'premium'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
  }
}

// A key of that name that exists already stays as it is.
resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = {
  parent: vault
  name: keyName
  properties: {
    kty: 'RSA'
    keySize: 4096
    keyOps: [
      'wrapKey'
      'unwrapKey'
    ]
  }
}

var roles = [
  'e147488a-f6f5-4113-8e2d-b22465e65bf6' // Key Vault Crypto Service Encryption User
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

resource approval 'Microsoft.KeyVault/vaults/privateEndpointConnections@2026-02-01' = if (!empty(endpointConnectionName)) {
  parent: vault
  name: empty(endpointConnectionName) ? 'none' : endpointConnectionName
  properties: {
    privateLinkServiceConnectionState: {
      status: 'Approved'
      description: 'Approved for Example Platform'
    }
  }
}

// What we ask you to tell us.
output tenantId string = subscription().tenantId
output vaultUri string = vault.properties.vaultUri
output keyIdentifier string = '${vault.properties.vaultUri}keys/${keyName}'
output vaultResourceId string = vault.id
