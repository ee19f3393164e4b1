"""Scripts are what a POSIX shell reads, and what ShellCheck finds nothing to say about."""

import subprocess
import sys
from pathlib import Path

from conftest import CASES

SHELLCHECK = Path(sys.executable).with_name("shellcheck")


# Many steps are the same in many cases: each text once.
SCRIPTS = list({path.read_text(): path for case in CASES for path in case.glob("*.sh")}.values())


def test_the_shell_reads_them():
    for script in SCRIPTS:
        subprocess.run(["sh", "-n", script], check=True)


def test_shellcheck_has_nothing_to_say():
    # SC2016: that what is in single quotes stays as it is, which is what they are there for.
    command = [SHELLCHECK, "--shell=sh", "--severity=style", "--exclude=SC2016", "--format=gcc", *SCRIPTS]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
