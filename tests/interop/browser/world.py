"""What people's windows show changes because the world does: the emulator's, by order, and an operator's doing."""

import subprocess

import requests

HOUR = 3600


def order(case, order, **fields):
    """Changes the emulator's world."""
    answer = requests.post(f"{case['control']}/orders", json={"order": order, **fields}, timeout=60)
    assert answer.status_code == 200, answer.text


def settle(case, role_seconds):
    """Consent is known at once, roles after that long, and private endpoints are made while one asks."""
    order(case, "set-propagation", consent_seconds=0, role_seconds=role_seconds)
    order(case, "set-pace", pace={"polls": 0, "retry_after": 0})


def look_again(case, customer):
    """An operator has a customer's checks made, rather than wait for them. Twice, since the first time may be told the
    outcome of a round that was under way."""
    operator = case["operator"]
    for _ in range(2):
        subprocess.run(
            [operator["command"], "onboarding", "verify", customer],
            cwd=operator["home"], env={}, capture_output=True, check=True, timeout=600,
        )
