"""What people do with a browser, and how long it takes: the consent page at the login hosts, and the waiting after it."""

import html.parser
import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from judge import SCOPE, SECRET, WRAP, denied, refused

LOGIN = "https://login.microsoftonline.com"
REDIRECT = "https://keyferry.example/consent"
A_DAY = 86400
MISSING = "AADSTS7000229: The client application "


class Form(html.parser.HTMLParser):
    """The fields that a page sends without being touched."""

    def __init__(self, page):
        super().__init__()
        self.fields = {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "input":
            self.fields[attributes["name"]] = attributes["value"]


@pytest.fixture
def stranger(make_customer):
    """A customer that has not consented yet, and may by the page."""
    customer = make_customer()
    customer.register(secrets=[{"value": customer.secret}], redirect_uris=[REDIRECT])
    customer.order("withdraw-consent", directory=customer.directory, client_id=customer.client_id)
    yield customer
    customer.order("set-propagation")


def consent(customer, decision, path="adminconsent", tenant=None, **more):
    """Loads the page and decides. Returns where that leads, and with what."""
    asked = {"client_id": customer.client_id, "redirect_uri": REDIRECT, "state": "a b+c&d=%2F", **more}
    url = f"{LOGIN}/{tenant or customer.directory}/{path}"
    page = requests.get(url, params=asked, timeout=20)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    fields = {**Form(page.text).fields, "decision": decision}
    if tenant:
        fields["directory"] = customer.directory
    answer = requests.post(page.url, data=fields, headers={"Origin": LOGIN}, allow_redirects=False, timeout=20)
    assert answer.status_code == 302
    where = urlsplit(answer.headers["location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == REDIRECT
    told = {name: value for name, [value] in parse_qs(where.query, strict_parsing=True).items()}
    assert told.pop("state") == asked["state"]
    return told


@pytest.mark.parametrize("tenant", [None, "organizations", "common"])
def test_whoever_accepts_lets_the_application_in(stranger, tenant):
    assert MISSING in denied(lambda: stranger.credential().get_token(SCOPE))
    told = consent(stranger, "accept", tenant=tenant)
    assert told == {"admin_consent": "True", "tenant": stranger.directory}
    assert stranger.credential().get_token(SCOPE).token


def test_the_second_form_says_the_scope(stranger):
    told = consent(stranger, "accept", "v2.0/adminconsent", scope=SCOPE)
    assert told == {"admin_consent": "True", "tenant": stranger.directory, "scope": SCOPE}
    assert stranger.credential().get_token(SCOPE).token


def test_whoever_cancels_does_not(stranger):
    told = consent(stranger, "cancel")
    assert told == {"error": "permission_denied", "error_description": "The admin canceled the request"}
    told = consent(stranger, "cancel", "v2.0/adminconsent", scope=SCOPE)
    assert told.pop("error_description").startswith("AADSTS65004: ")
    assert told == {"admin_consent": "True", "error": "consent_required"}
    assert MISSING in denied(lambda: stranger.credential().get_token(SCOPE))


def test_nobody_is_sent_to_an_address_that_is_not_registered(stranger):
    asked = {"client_id": stranger.client_id, "redirect_uri": "https://evil.example/", "state": "s"}
    page = requests.get(f"{LOGIN}/{stranger.directory}/adminconsent", params=asked, allow_redirects=False, timeout=20)
    assert (page.status_code, "location" in page.headers) == (400, False)
    assert "AADSTS50011" in page.text


def test_consent_takes_as_long_as_it_is_ordered_to(stranger):
    stranger.order("set-propagation", consent_seconds=A_DAY)
    consent(stranger, "accept")
    assert MISSING in denied(lambda: stranger.credential().get_token(SCOPE))
    stranger.order("end-propagation")
    assert stranger.credential().get_token(SCOPE).token


def test_a_consent_by_order_can_be_made_to_wait(make_customer):
    customer = make_customer()
    elsewhere = str(uuid.uuid4())
    customer.order("create-directory", directory=elsewhere)
    customer.order("consent", directory=elsewhere, client_id=customer.client_id, usable_after_seconds=A_DAY)
    assert MISSING in denied(lambda: customer.credential(directory=elsewhere).get_token(SCOPE))
    customer.order("end-propagation")
    assert customer.credential(directory=elsewhere).get_token(SCOPE).token


def test_a_role_can_be_made_to_wait(make_customer):
    customer = make_customer(roles=())
    kid = customer.imports()
    assignment = {"principal": customer.oid, "role": "crypto-user", "scope": "vault"}
    customer.at_vault("assign", assignment=assignment, works_after_seconds=A_DAY)
    assert refused(lambda: customer.keys().get_key("k"))[:3] == (403, "Forbidden", "ForbiddenByRbac")
    customer.order("end-propagation")
    assert customer.keys().get_key("k").id == kid
    wrapped = customer.local(kid).wrap_key(WRAP, SECRET).encrypted_key
    assert customer.local(kid).unwrap_key(WRAP, wrapped).key == SECRET
