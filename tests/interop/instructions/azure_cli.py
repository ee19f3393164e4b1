"""The Azure CLI's own parser: its commands, their arguments and the values these take. Nothing is run and nobody is
called; it needs no account."""

import os
import tempfile

os.environ["AZURE_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"

# ruff: noqa: E402 (they read the environment)
from azure.cli.core import get_default_cli
from azure.cli.core.commands.events import EVENT_INVOKER_POST_LOAD_ARGUMENTS, EVENT_INVOKER_PRE_LOAD_ARGUMENTS
from knack.events import EVENT_INVOKER_POST_CMD_TBL_CREATE

_cli = get_default_cli()


def parse(arguments: list[str]):
    """The arguments as the CLI understands them. Raises SystemExit where it would refuse them, and KeyError where there
    is no such command (after it has looked through all of them, which takes half a minute)."""
    invocation = _cli.invocation_cls(
        cli_ctx=_cli,
        parser_cls=_cli.parser_cls,
        commands_loader_cls=_cli.commands_loader_cls,
        help_cls=_cli.help_cls,
    )
    _cli.invocation = invocation
    loader = invocation.commands_loader
    loader.load_command_table(arguments)
    name = invocation._rudimentary_get_command(arguments)
    loader.command_table = {name: loader.command_table[name]}
    loader.command_name = invocation.data["command_string"] = name
    # What the CLI does between loading a command and parsing its arguments; `--subscription` comes in here.
    _cli.raise_event(EVENT_INVOKER_PRE_LOAD_ARGUMENTS, commands_loader=loader)
    loader.load_arguments(name)
    _cli.raise_event(EVENT_INVOKER_POST_LOAD_ARGUMENTS, commands_loader=loader)
    _cli.raise_event(EVENT_INVOKER_POST_CMD_TBL_CREATE, commands_loader=loader)
    invocation.parser.cli_ctx = _cli
    invocation.parser.load_command_table(loader)
    return invocation.parser.parse_args(arguments)
