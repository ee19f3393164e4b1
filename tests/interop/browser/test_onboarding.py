"""Two customers are onboarded by people: one with a browser as it comes, one whose browser runs no scripts."""

import re

from guide import (
    ACCESS, ATTENTION, AUTHORIZE, COMPLETE, DIRECTORY, DONE, KEY, LATER, RESOURCE, TO_DO, VAULT, VAULT_AND_KEY, WAITING, Guide,
)
from keyboard import tab_to, tabbed
from playwright.sync_api import expect
from portal import CRYPTO_USER, READER, Portal
from world import HOUR, look_again, order, settle

US = "Example SaaS"


def test_a_person_is_led_from_the_link_to_an_active_key_and_sees_it_happen(windows, case):
    settle(case, role_seconds=HOUR)
    visit = windows.open("guide")
    guide = Guide(visit, case["links"]["globex"])
    portal = Portal(windows.open("portal"), "Globex")
    guide.open()
    guide.is_at(AUTHORIZE, TO_DO)
    guide.is_at(ACCESS, LATER)
    visit.state("new")
    by_keyboard(guide.page)

    portal.open_directory()
    portal.visit.state("empty directory")
    a_wrong_directory_is_refused_beside_its_field(visit, guide)
    by_keyboard_alone(guide, portal.directory_id())
    guide.is_at(AUTHORIZE, ATTENTION)
    visit.state("directory known")
    consent_is_refused_and_then_given(visit, guide)

    portal.create_vault("globex-kv")
    portal.create_key("customer-key")
    portal.visit.state("vault")
    guide.send({VAULT: portal.vault_uri(), KEY: portal.key_id("customer-key")})
    guide.finds("vault", DONE)
    guide.send({RESOURCE: portal.resource_id()})
    look_again(case, "globex")
    expect(guide.page.get_by_text("waiting for your approval")).to_be_visible()
    guide.is_at(ACCESS, WAITING)
    guide.is_at(COMPLETE, TO_DO)
    visit.state("private endpoint to approve")
    what_is_shown_can_be_copied(guide)

    guide.remember()
    guide.field(VAULT).fill("https://half-typed")
    portal.decide("Approve")
    portal.visit.state("approved")
    look_again(case, "globex")
    guide.finds("private-endpoint", DONE)
    assert guide.is_remembered(), "what changed came by itself"
    expect(guide.field(VAULT)).to_have_value("https://half-typed")
    expect(guide.field(VAULT)).to_be_focused()

    for role in (CRYPTO_USER, READER):
        portal.assign(role, US)
    portal.visit.state("roles")
    guide.check_again()
    guide.is_at(ACCESS, WAITING)
    visit.state("waiting for roles")
    guide.remember()
    order(case, "end-propagation")
    look_again(case, "globex")
    guide.is_active()
    assert guide.is_remembered(), "what changed came by itself"
    for step in (AUTHORIZE, VAULT_AND_KEY, ACCESS, COMPLETE):
        guide.is_at(step, DONE)
    expect(guide.page).to_have_title(re.compile("^Active"))
    expect(guide.page.locator("#how-access")).not_to_have_attribute("open", "")
    visit.state("active")
    visit.state("active, dark", color_scheme="dark")
    visit.state("active, printed", media="print")
    nothing_moves_for_who_wants_it_so(guide.page)


def nothing_moves_for_who_wants_it_so(page):
    scrolling = "getComputedStyle(document.documentElement).scrollBehavior"
    assert page.evaluate(scrolling) == "smooth"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(scrolling) == "auto"
    assert page.evaluate("document.getAnimations().length") == 0


def by_keyboard(page):
    """Tab goes through the page as one reads it, and shows where it is."""
    reached = tabbed(page)
    assert [stop for stop in reached if not stop["name"] or not stop["isShown"]] == []
    names = [stop["name"] for stop in reached]
    assert names[0] == "Skip to content"
    wanted = ["Check again", DIRECTORY, "Save Tenant ID", "Authorize in Microsoft Entra", VAULT, KEY, RESOURCE]
    assert [name for name in names if name in wanted] == wanted


def a_wrong_directory_is_refused_beside_its_field(visit, guide):
    guide.field(DIRECTORY).fill("globex.com")
    guide.is_told_beside(DIRECTORY, "That is a domain name.")
    with visit.refusal(422):
        guide.send({DIRECTORY: "globex.com"})
    guide.is_told_beside(DIRECTORY, "That is a domain name.")
    field = guide.field(DIRECTORY)
    expect(field).to_have_value("globex.com")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(guide.page.locator("#summary")).to_be_focused()
    visit.state("refused")
    guide.page.locator("#summary").get_by_role("link").click()
    expect(field).to_be_focused()


def by_keyboard_alone(guide, directory):
    page = guide.page
    tab_to(page, "input", DIRECTORY)
    page.keyboard.press("Control+A")
    page.keyboard.type(directory)
    guide.is_told_beside(DIRECTORY, "Understood")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_count(0)
    expect(guide.field(DIRECTORY)).to_have_value(directory)


def consent_is_refused_and_then_given(visit, guide):
    guide.begin_consent()
    visit.state("consent page")
    guide.decide("Cancel")
    visit.state("consent refused")
    guide.page.get_by_role("link", name="Back to your page").click()
    guide.is_at(AUTHORIZE, ATTENTION)
    guide.begin_consent()
    guide.decide("Accept")
    guide.is_at(AUTHORIZE, DONE)
    visit.state("authorized")


def what_is_shown_can_be_copied(guide):
    page = guide.page
    page.get_by_role("button", name="Copy: the Resource ID of our private endpoint").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    page.get_by_text("Azure CLI", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download customer-key.sh").click()
    script = download.value.path().read_text()
    assert "globex-kv" in script


def test_a_person_whose_browser_runs_no_scripts_is_led_to_the_same(windows, case):
    settle(case, role_seconds=0)
    visit = windows.open("plain", javascript=False)
    guide = Guide(visit, case["links"]["initech"])
    # What it waits for is watched from another window, since this one tells nothing by itself.
    watching = Guide(windows.open("watching"), case["links"]["initech"])
    portal = Portal(windows.open("plain-portal", javascript=False), "Initech")
    guide.open()
    watching.open()
    expect(guide.page.locator("noscript")).to_be_visible()
    visit.state("new")

    with visit.refusal(422):
        guide.send({DIRECTORY: "common"})
    guide.is_told_beside(DIRECTORY, "That word stands for any directory.")
    expect(guide.field(DIRECTORY)).to_have_value("common")
    visit.state("refused")
    guide.send({DIRECTORY: portal.directory_id()})
    guide.begin_consent()
    visit.state("consent page")
    guide.decide("Accept")

    portal.create_vault("initech-kv")
    portal.create_key("customer-key")
    for role in (CRYPTO_USER, READER):
        portal.assign(role, US)
    with visit.refusal(422):
        guide.send({VAULT: f"{portal.vault_uri()}secrets/password", KEY: ""})
    visit.state("a secret's address refused")
    guide.send({VAULT: portal.key_id("customer-key"), KEY: ""})
    guide.send({RESOURCE: portal.resource_id()})
    look_again(case, "initech")
    watching.is_at(ACCESS, DONE)
    expect(watching.page.get_by_text("waiting for your approval")).to_be_visible()
    guide.check_again()
    expect(guide.page.get_by_text("waiting for your approval")).to_be_visible()
    visit.state("private endpoint to approve")

    portal.decide("Reject")
    look_again(case, "initech")
    watching.finds("private-endpoint", ATTENTION)
    guide.page.reload()
    visit.state("private endpoint rejected")
    guide.page.get_by_role("button", name="Make a new private endpoint").click()
    look_again(case, "initech")
    expect(watching.page.get_by_text("waiting for your approval")).to_be_visible()
    portal.decide("Approve")
    look_again(case, "initech")
    watching.is_active()
    guide.page.reload()
    guide.is_active()
    visit.state("active")
    watching.visit.state("active")
