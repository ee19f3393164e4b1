"""Commands are ones that the Azure CLI has, with arguments that it takes."""

import re
import shlex

import azure_cli
import jmespath
import pytest
from conftest import CASES


def calls():
    """What the scripts told a stand-in for the CLI, each once: arguments end with 1F, calls with 1E."""
    told = {}
    for log in (path for case in CASES for path in case.glob("*/calls")):
        for call in log.read_text().split("\x1e")[:-1]:
            told.setdefault(call, call.split("\x1f")[:-1])
    return list(told.values())


def messages():
    """Commands in Terraform's messages."""
    texts = {text for case in CASES for text in re.findall(r"\baz (keyvault [^\"]*)\"", (case / "customer.tf").read_text())}
    return [shlex.split(re.sub(r"\$\{[^}]*\}", "acme-kv", text)) for text in texts]


CALLS = calls()
COMMANDS = {
    "account show", "ad sp create", "ad sp list", "ad sp show", "cloud show", "deployment group create",
    "keyvault create", "keyvault key create", "keyvault key set-attributes", "keyvault key show",
    "keyvault private-endpoint-connection approve", "keyvault set-policy", "keyvault show", "keyvault update", "rest",
    "role assignment create", "role assignment delete", "role assignment list",
}  # fmt: skip


def test_the_azure_cli_takes_every_command():
    refused, used = [], set()
    for arguments in CALLS + messages():
        try:
            used.add(azure_cli.parse(arguments).command)
        except (SystemExit, KeyError):
            refused.append(arguments)
    assert not refused
    assert used == COMMANDS


@pytest.mark.parametrize(
    "wrong",
    [
        "keyvault key create --vault-name acme-kv --name kek --kty RSA --size 3072 --ops wrap",
        "keyvault set-policy --name acme-kv --object-id x --key-permissions unwrap",
        "role assignment create --assignee-object-id x --role y",
        "keyvault update --name acme-kv --purge-protection true",
    ],
)
def test_the_judge_refuses_what_is_wrong(wrong):
    with pytest.raises(SystemExit):
        azure_cli.parse(shlex.split(wrong))


def queries():
    return {argument for call in CALLS for option, argument in zip(call, call[1:]) if option == "--query"}


def test_queries_are_jmespath():
    for query in queries():
        jmespath.compile(query)


def test_surplus_roles_are_told_from_those_that_stay():
    [query] = [query for query in queries() if "roleDefinitionId" in query]
    definition = "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/"
    assignments = [
        {"id": "stays", "roleDefinitionId": definition + "e147488a-f6f5-4113-8e2d-b22465e65bf6"},
        {"id": "goes", "roleDefinitionId": definition + "12338af0-0e69-4776-bea7-57ae8d297424"},
    ]
    assert jmespath.search(query, assignments) == ["goes"]


def test_connections_are_read_from_what_the_resource_manager_answers():
    [query] = [query for query in queries() if "privateEndpointConnections" in query]
    state = {"status": "Pending"}
    connection = {"id": "c", "properties": {"privateEndpoint": {"id": "e"}, "privateLinkServiceConnectionState": state}}
    vault = {"properties": {"privateEndpointConnections": [connection]}}
    assert jmespath.search(query, vault) == [["c", "Pending", "e"]]
    assert jmespath.search(query, {"properties": {}}) is None
