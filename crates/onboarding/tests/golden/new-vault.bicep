// Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
//
// First authorize our application in your directory, unless you have followed the consent link:
//   az ad sp create --id '0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90'
// Then deploy this to the vault's resource group:
//   az deployment group create --resource-group '<your resource group>' --template-file customer.bicep --parameters principalId="$(az ad sp show --id '0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90' --query id --output tsv)"

targetScope = 'resourceGroup'

@description('The object ID of our application in your directory, as the command above finds it.')
param principalId string

@description('The vault.')
param vaultName string

@description('The key.')
param keyName string

@description('Where the vault shall be.')
param location string = resourceGroup().location

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

// What we ask you to tell us.
output tenantId string = subscription().tenantId
output vaultUri string = vault.properties.vaultUri
output keyIdentifier string = '${vault.properties.vaultUri}keys/${keyName}'
output vaultResourceId string = vault.id
