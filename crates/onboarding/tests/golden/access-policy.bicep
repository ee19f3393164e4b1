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

// The vault's own settings stay as they are. Purge protection keeps anybody from destroying the key, and with it your data:
//   az keyvault update --name 'acme-kv' --enable-purge-protection true
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource access 'Microsoft.KeyVault/vaults/accessPolicies@2026-02-01' = {
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

// What we ask you to tell us.
output tenantId string = subscription().tenantId
output vaultUri string = vault.properties.vaultUri
output keyIdentifier string = '${vault.properties.vaultUri}keys/${keyName}'
output vaultResourceId string = vault.id
