"""A person's browser, before a running `keyferry dev`.

KEYFERRY_CHROMIUM is the browser. KEYFERRY_CASE says where the service and the portal are, which links there are, and where
pictures go.
"""

import json
import os
import pathlib

import pytest
from playwright.sync_api import expect, sync_playwright
from visit import PATIENCE_MS, Visit

# It calls nobody by itself, and finds nobody but this machine. Without a sandbox, because it may be root who tests.
QUIET = [
    "--no-sandbox",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate,CertificateTransparencyComponentUpdater",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


@pytest.fixture(scope="session")
def case():
    case = json.loads(os.environ["KEYFERRY_CASE"])
    case["artifacts"] = pathlib.Path(case["artifacts"])
    case["artifacts"].mkdir(parents=True, exist_ok=True)
    for picture in case["artifacts"].glob("*.png"):
        picture.unlink()
    return case


@pytest.fixture(scope="session")
def chromium():
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["KEYFERRY_CHROMIUM"], args=QUIET)
        yield browser
        browser.close()


class Windows:
    """The windows that a test has open."""

    def __init__(self, browser, case):
        self.browser, self.case, self.all = browser, case, []

    def open(self, name, **settings):
        self.all.append(Visit(self.browser, self.case, name, **settings))
        return self.all[-1]


@pytest.fixture
def windows(chromium, case):
    """Opens windows, and judges each once more at the end."""
    windows = Windows(chromium, case)
    yield windows
    for visit in windows.all:
        visit.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that failed leaves a picture of every window as it was."""
    report = yield
    if report.when == "call" and report.failed and "windows" in item.funcargs:
        for visit in item.funcargs["windows"].all:
            picture = visit.case["artifacts"] / f"failed-{visit.name}.png"
            visit.page.screenshot(path=picture, full_page=True)
            report.sections.append((f"the window {visit.name}", f"{picture}\n" + "\n".join(visit.troubles)))
    return report
