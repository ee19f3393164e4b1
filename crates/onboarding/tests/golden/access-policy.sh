#!/bin/sh
# Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
# Save this and run it with sh: in Azure Cloud Shell, on Linux or on macOS, with the Azure CLI. Running it again is harmless.
(
set -eu

# Ours.
application='0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90'

# Yours. What is in angle brackets we do not know yet: put your own values there.
directory='5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11'
vault='acme-kv'
group='keys-prod'
subscription='11112222-3333-4444-8555-666677778888'
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
given "$directory" "$vault" "$group" "$subscription" "$key"

[ "$(az cloud show --query name --output tsv)" = AzureCloud ] ||
    stop 'Choose the cloud first: az cloud set --name AzureCloud'
[ "$(az account show --query tenantId --output tsv)" = "$directory" ] ||
    stop "Sign in to your directory first: az login --tenant $directory"

# What our application is in your directory.
principal=$(az ad sp list --filter "appId eq '$application'" --query '[0].id' --output tsv)

# Authorize our application. Needs the role Cloud Application Administrator, or a higher one.
if [ -z "$principal" ]; then
    principal=$(az ad sp create --id "$application" --query id --output tsv)
fi

# Purge protection: nobody can destroy the key, and with it your data, before the vault's retention time has passed.
# It cannot be turned off again.
az keyvault update --name "$vault" --resource-group "$group" --subscription "$subscription" \
    --enable-purge-protection true --output none

# Access by policy: read the key, wrap and unwrap with it.
az keyvault set-policy --name "$vault" --resource-group "$group" --subscription "$subscription" \
    --object-id "$principal" --key-permissions get wrapKey unwrapKey --output none

vault_id=$(az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --query id --output tsv)

# What we ask you to tell us.
printf 'Tenant ID    %s\n' "$directory"
printf 'Vault URI    %s\n' "$(az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --query properties.vaultUri --output tsv)"
printf 'Key          %s\n' "$key"
printf 'Resource ID  %s\n' "$vault_id"
)
