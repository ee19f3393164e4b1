#!/bin/sh
# Lets {{ platform }} wrap and unwrap data keys with a key that stays in your vault.
# Save this and run it with sh: in Azure Cloud Shell, on Linux or on macOS, with the Azure CLI. Running it again is harmless.
(
set -eu
{%- if needs_principal() || has(Step::ApproveEndpoint) %}

# Ours.
{%- if needs_principal() %}
application={{ application }}
{%- endif %}
{%- if has(Step::ApproveEndpoint) %}
endpoint={{ endpoint }}
{%- endif %}
{%- endif %}

# Yours. What is in angle brackets we do not know yet: put your own values there.
directory={{ directory }}
{%- if needs_vault() %}
vault={{ vault }}
{%- if !by_name %}
group={{ group }}
subscription={{ subscription }}
{%- endif %}
{%- endif %}
{%- if has(Step::CreateVault) %}
location={{ location }}
{%- endif %}
{%- if needs_key() %}
key={{ key }}
{%- endif %}

stop() {
    printf '%s\n' "$1" >&2
    exit 1
}
given() {
    for value in "$@"; do
        case $value in '<'*) stop "Put your own value in place of $value, then run this again." ;; esac
    done
}
given "$directory"{% if needs_vault() %} "$vault"{% if !by_name %} "$group" "$subscription"{% endif %}{% endif %}
{%- if has(Step::CreateVault) %} "$location"{% endif %}
{%- if needs_key() %} "$key"{% endif %}
{%- if has(Step::ApproveEndpoint) %} "$endpoint"{% endif %}

[ "$(az cloud show --query name --output tsv)" = {{ cloud }} ] ||
    stop 'Choose the cloud first: az cloud set --name {{ cloud }}'
[ "$(az account show --query tenantId --output tsv)" = "$directory" ] ||
    stop "Sign in to your directory first: az login --tenant $directory"
{%- if needs_principal() %}

# What our application is in your directory.
principal=$(az ad sp list --filter "appId eq '$application'" --query '[0].id' --output tsv)
{%- if !has(Step::Authorize) %}
[ -n "$principal" ] || stop 'Our application is not authorized in your directory yet: that is the first step.'
{%- endif %}
{%- endif %}
{%- for step in steps %}
{%- if finds_id_before(*loop.index0) %}

vault_id=$(az keyvault show {{ the_vault() }} --query id --output tsv)
{%- endif %}
{%- match step %}
{%- when Step::Authorize %}

# Authorize our application. Needs the role Cloud Application Administrator, or a higher one.
if [ -z "$principal" ]; then
    principal=$(az ad sp create --id "$application" --query id --output tsv)
fi
{%- when Step::CreateVault %}

# The vault, with purge protection: nobody can destroy the key, and with it your data, before {{ RETENTION_DAYS }} days have passed.
az keyvault show {{ the_vault() }} --output none 2>/dev/null ||
    az keyvault create {{ the_vault() }} \
        --location "$location" --sku premium --enable-rbac-authorization {{ rbac }} \
        --enable-purge-protection true --retention-days {{ RETENTION_DAYS }} --output none
{%- when Step::ProtectVault %}

# Purge protection: nobody can destroy the key, and with it your data, before the vault's retention time has passed.
# It cannot be turned off again.
az keyvault update {{ the_vault() }} \
    --enable-purge-protection true --output none
{%- when Step::SwitchToRoles %}

# From access policies to roles. Whoever uses the vault by a policy loses access, so grant them roles first.
az keyvault update {{ the_vault() }} \
    --enable-rbac-authorization true --output none
{%- when Step::CreateKey %}

# The key.
az keyvault key show --vault-name "$vault" --name "$key" --output none 2>/dev/null ||
    az keyvault key create --vault-name "$vault" --name "$key" \
        --kty RSA --size {{ bits }} --ops wrapKey unwrapKey --output none ||
{%- if rbac %}
    stop 'To create the key you need the role Key Vault Crypto Officer on the vault. It works some minutes after it is granted.'
{%- else %}
    stop 'To create the key you need the key permissions get and create in the access policies of the vault.'
{%- endif %}
{%- when Step::LimitKey %}

# The key is for wrapping and unwrapping, and for nothing else.
az keyvault key set-attributes --vault-name "$vault" --name "$key"
{%- if let Some(version) = version %} --version {{ version }}{% endif %} \
    --ops wrapKey unwrapKey --output none
{%- when Step::SetPolicy %}

# Access by policy: read the key, wrap and unwrap with it.
az keyvault set-policy {{ the_vault() }} \
    --object-id "$principal" --key-permissions get wrapKey unwrapKey --output none
{%- when Step::NarrowPolicy %}

# Leave our policy with what is needed: read the key, wrap and unwrap with it.
az keyvault set-policy {{ the_vault() }} \
    --object-id "$principal" --key-permissions get wrapKey unwrapKey \
    --secret-permissions --certificate-permissions --storage-permissions --output none
{%- when Step::ClosePublicAccess %}

# Close the vault to public networks. Whoever uses it without a private endpoint loses access.
az keyvault update {{ the_vault() }} \
    --public-network-access Disabled --output none
{%- when Step::AssignRoles(roles) %}

# Access by role. To grant it you need the role Owner, User Access Administrator or Role Based Access Control Administrator.
[ "$(az keyvault show {{ the_vault() }} --query properties.enableRbacAuthorization --output tsv)" = true ] ||
    stop 'This vault grants access by policies and ignores roles: choose the instructions for access policies.'
{%- for role in roles.all() %}
# {{ role.name() }}
az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role {{ role.id() }} --scope "$vault_id" --output none
{%- endfor %}
{%- when Step::NarrowRoles(roles) %}

# What is needed, and then nothing else of ours on this vault.
{%- for role in roles.all() %}
# {{ role.name() }}
az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role {{ role.id() }} --scope "$vault_id" --output none
{%- endfor %}
surplus=$(az role assignment list --assignee "$principal" --scope "$vault_id" \
    --query '[?!({{ roles.filter() }})].id' --output tsv)
printf '%s\n' "$surplus" | while IFS= read -r assignment; do
    [ -z "$assignment" ] || az role assignment delete --ids "$assignment" </dev/null
done
# What remains. A role on the resource group or the subscription is removed there.
az role assignment list --assignee "$principal" --scope "$vault_id" --include-inherited --output table
{%- when Step::ApproveEndpoint %}

# Approve the connection that our private endpoint waits for, and nobody else's: it is told by our endpoint's resource ID.
lower() {
    printf '%s' "$1" | tr '[:upper:]' '[:lower:]'
}
connections=$(az rest --method get --url "$vault_id?api-version={{ KEY_VAULT_API }}" --output tsv --query \
    'properties.privateEndpointConnections[].[id, properties.privateLinkServiceConnectionState.status, properties.privateEndpoint.id]')
found=
while IFS='	' read -r connection status requester; do
    [ "$(lower "$requester")" = "$(lower "$endpoint")" ] || continue
    found=yes
    case $status in
        Approved) ;;
        Pending)
            az keyvault private-endpoint-connection approve --id "$connection" \
                --description {{ description }} --output none </dev/null
            ;;
        *) stop "Our connection is $status. Ask us to request another." ;;
    esac
done <<CONNECTIONS
$connections
CONNECTIONS
[ -n "$found" ] || stop 'No connection of ours is there yet. It appears some minutes after we have requested it.'
{%- when Step::Report %}

# What we ask you to tell us.
printf 'Tenant ID    %s\n' "$directory"
printf 'Vault URI    %s\n' "$(az keyvault show {{ the_vault() }} --query properties.vaultUri --output tsv)"
printf 'Key          %s\n' "$key"
printf 'Resource ID  %s\n' "$vault_id"
{%- if let Some(next) = next %}
printf '%s\n' {{ next }}
{%- endif %}
{%- endmatch %}
{%- endfor %}
)

