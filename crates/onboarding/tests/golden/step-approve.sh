#!/bin/sh
# Lets Example Platform wrap and unwrap data keys with a key that stays in your vault.
# Save this and run it with sh: in Azure Cloud Shell, on Linux or on macOS, with the Azure CLI. Running it again is harmless.
(
set -eu

# Ours.
endpoint='/subscriptions/99998888-7777-4666-8555-444433332222/resourceGroups/platform-byok/providers/Microsoft.Network/privateEndpoints/byok-acme'

# Yours. What is in angle brackets we do not know yet: put your own values there.
directory='5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11'
vault='acme-kv'
group='keys-prod'
subscription='11112222-3333-4444-8555-666677778888'

stop() {
    printf '%s\n' "$1" >&2
    exit 1
}
given() {
    for value in "$@"; do
        case $value in '<'*) stop "Put your own value in place of $value, then run this again." ;; esac
    done
}
given "$directory" "$vault" "$group" "$subscription" "$endpoint"

[ "$(az cloud show --query name --output tsv)" = AzureCloud ] ||
    stop 'Choose the cloud first: az cloud set --name AzureCloud'
[ "$(az account show --query tenantId --output tsv)" = "$directory" ] ||
    stop "Sign in to your directory first: az login --tenant $directory"

vault_id=$(az keyvault show --name "$vault" --resource-group "$group" --subscription "$subscription" --query id --output tsv)

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
)
