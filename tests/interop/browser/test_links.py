"""Links that open nothing, and what is said of them."""

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize(
    ("what", "status"), [("forged", 404), ("revoked", 410)]
)
def test_a_link_that_is_no_good_says_whom_to_ask_and_nothing_of_any_customer(windows, case, what, status):
    revoked = case["links"]["revoked"]
    # Another last character is another signature.
    links = {"revoked": revoked, "forged": revoked[:-2] + "AAA"}
    visit = windows.open(what)
    with visit.refusal(status):
        visit.page.goto(links[what])
    expect(visit.page.locator("main")).to_contain_text("link")
    assert "hooli" not in visit.page.content().lower()
    visit.state("link")


def test_an_answer_that_was_never_asked_for_is_told_so(windows, case):
    visit = windows.open("stray")
    with visit.refusal(400):
        visit.page.goto(f"{case['service']}/onboarding/consent?admin_consent=True&tenant=x&state=x")
    expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
    visit.state("stray consent")
