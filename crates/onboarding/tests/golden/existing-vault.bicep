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

@description('The name of our pending connection, as Networking > Private endpoint connections shows it beside the private endpoint /subscriptions/99998888-7777-4666-8555-444433332222/resourceGroups/platform-byok/providers/Microsoft.Network/privateEndpoints/byok-acme. Leave it empty until the connection is there.')
param endpointConnectionName string = ''

// The vault's own settings stay as they are. Purge protection keeps anybody from destroying the key, and with it your data:
//   az keyvault update --name 'acme-kv' --enable-purge-protection true
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

// A key of that name that exists already stays as it is.
resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = {
  parent: vault
  name: keyName
  properties: {
    kty: 'RSA'
    keySize: 3072
    keyOps: [
      'wrapKey'
      'unwrapKey'
    ]
  }
}

var roles = [
  '12338af0-0e69-4776-bea7-57ae8d297424' // Key Vault Crypto User
  '21090545-7ca7-4776-b22c-e363652d74d2' // Key Vault Reader
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
