"""The instructions that are judged: a folder for each case, as `tests/specs/instructions.rs` writes them."""

import os
from pathlib import Path

CASES = sorted(path for path in Path(os.environ["KEYFERRY_INSTRUCTIONS"]).iterdir() if path.is_dir())
assert CASES, "there are no instructions to judge"


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda path: path.name)
