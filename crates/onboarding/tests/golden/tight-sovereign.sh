#!/bin/sh
# Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
# Save this and run it with sh: in Azure Cloud Shell, on Linux or on macOS, with the Azure CLI. Running it again is harmless.
(
set -eu

# Ours.
application='0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90'
endpoint='/subscriptions/99998888-7777-4666-8555-444433332222/resourceGroups/platform-byok/providers/Microsoft.Network/privateEndpoints/byok-acme'

# Yours. What is in angle brackets we do not know yet: put your own values there.
directory='5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11'
vault='acme-kv'
group='keys-prod'
subscription='11112222-3333-4444-8555-666677778888'
location='chinanorth3'
key='customer-key'

stop() {
    printf '%s\n' "$1" >&2
    exit 1
}
given() {
    for value in "$@"; do
        case $value in '<'*) stop "Put your own value in place of $value, then run this again." ;; esac
    done
}
given "$directory" "$vault" "$group" "$subscription" "$location" "$key" "$endpoint"

[ "$(az cloud show --query name --output tsv)" = AzureChinaCloud ] ||
    stop 'Choose the cloud first: az cloud set --name AzureChinaCloud'
[ "$(az account show --query tenantId --output tsv)" = "$directory" ] ||
    stop "Sign in to your directory first: az login --tenant $directory"

# What our application is in your directory.
principal=$(az ad sp list --filter "appId eq '$application'" --query '[0].id' --output tsv)

# Authorize our application. Needs the role Cloud Application Administrator, or a higher one.
if [ -z "$principal" ]; then
    principal=$(az ad sp create --id "$application" --query id --output tsv)
fi

# The vault, with purge protection: nobody can destroy the key, and with it your data, before 90 days have passed.
az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --output none 2>/dev/null ||
    az keyvault create --name "$vault" --resource-group "$group" --subscription "$subscription" \
        --location "$location" --sku premium --enable-rbac-authorization true \
        --enable-purge-protection true --retention-days 90 --output none

# The key.
az keyvault key show --vault-name "$vault" --name "$key" --output none 2>/dev/null ||
    az keyvault key create --vault-name "$vault" --name "$key" \
        --kty RSA --size 4096 --ops wrapKey unwrapKey --output none ||
    stop 'To create the key you need the role Key Vault Crypto Officer on the vault. It works some minutes after it is granted.'

vault_id=$(az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --query id --output tsv)

# Access by role. To grant it you need the role Owner, User Access Administrator or Role Based Access Control Administrator.
[ "$(az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --query properties.enableRbacAuthorization --output tsv)" = true ] ||
    stop 'This vault grants access by policies and ignores roles: choose the instructions for access policies.'
# Key Vault Crypto Service Encryption User
az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role e147488a-f6f5-4113-8e2d-b22465e65bf6 --scope "$vault_id" --output none

# Approve the connection that our private endpoint waits for, and nobody else's: it is told by our endpoint's resource ID.
lower() {
    printf '%s' "$1" | tr '[:upper:]' '[:lower:]'
}
connections=$(az rest --method get --url "$vault_id?api-version=2026-02-01" --output tsv --query \
    'properties.privateEndpointConnections[].[id, properties.privateLinkServiceConnectionState.status, properties.privateEndpoint.id]')
found=
while IFS='	' read -r connection status requester; do
    [ "$(lower "$requester")" = "$(lower "$endpoint")" ] || continue
    found=yes
    case $status in
        Approved) ;;
        Pending)
            az keyvault private-endpoint-connection approve --id "$connection" \
                --description 'Approved for Example Platform' --output none </dev/null
            ;;
        *) stop "Our connection is $status. Ask us to request another." ;;
    esac
done <<CONNECTIONS
$connections
CONNECTIONS
[ -n "$found" ] || stop 'No connection of ours is there yet. It appears some minutes after we have requested it.'

# What we ask you to tell us.
printf 'Tenant ID    %s\n' "$directory"
printf 'Vault URI    %s\n' "$(az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --query properties.vaultUri --output tsv)"
printf 'Key          %s\n' "$key"
printf 'Resource ID  %s\n' "$vault_id"
printf '%s\n' 'The private endpoint is approved with this. We use the vault over it only, so you may then close the vault to public networks.'
)
