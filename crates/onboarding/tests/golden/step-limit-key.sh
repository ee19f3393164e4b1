#!/bin/sh
# Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
# Save this and run it with sh: in Azure Cloud Shell, on Linux or on macOS, with the Azure CLI. Running it again is harmless.
(
set -eu

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

# The key is for wrapping and unwrapping, and for nothing else.
az keyvault key set-attributes --vault-name "$vault" --name "$key" \
    --ops wrapKey unwrapKey --output none
)
