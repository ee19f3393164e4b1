"""A browser's window, and everything in it that must not happen: errors, refused scripts and styles, failed requests,
requests to anybody else, barriers, a page that does not fit its window.
"""

import contextlib
import itertools
import pathlib
import re
from urllib.parse import urlsplit

import axe_playwright_python

AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
BARRIERS = ("serious", "critical")
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
# The least that a page must fit: a phone of the smallest kind, or a window at four times the size.
NARROWEST = 320
# What a person waits at most. A slow machine may need it; a quick one never does.
PATIENCE_MS = 120_000
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`the policy refused ${event.blockedURI}: ${event.violatedDirective}`));
"""


class Visit:
    """One person's window. `name` begins the names of its screenshots."""

    def __init__(self, browser, case, name, javascript=True, **settings):
        width, height = WIDTHS["desktop"]
        settings.setdefault("viewport", {"width": width, "height": height})
        self.case, self.name, self.javascript = case, name, javascript
        self.browser = browser
        self.context = browser.new_context(java_script_enabled=javascript, bypass_csp=False, **settings)
        self.context.set_default_timeout(PATIENCE_MS)
        self.hosts = {urlsplit(case[place]).netloc for place in ("service", "portal")}
        self.troubles, self.refusals, self.awaited = [], [], None
        self.states = itertools.count(1)
        self._listen(self.context)
        self.page = self.context.new_page()

    def _listen(self, context):
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.troubles.append(f"script error: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def _console(self, message):
        if message.type not in ("error", "warning"):
            return
        place = message.location["url"]
        # Chromium says it of a page, too, that is a refusal as it should be.
        if message.text.startswith("Failed to load resource") and place in self.refusals:
            return
        self.troubles.append(f"console: {message.text} ({place})")

    def _request(self, request):
        url = urlsplit(request.url)
        if url.scheme != "data" and url.netloc not in self.hosts:
            self.troubles.append(f"a request to somebody else: {request.url}")

    def _failed(self, request):
        # A page that is left takes its stream of events with it.
        left = request.resource_type in ("eventsource", "fetch") and request.failure == "net::ERR_ABORTED"
        if not left:
            self.troubles.append(f"failed request: {request.method} {request.url}: {request.failure}")

    def _response(self, response):
        if response.status < 400:
            return
        if response.request.is_navigation_request() and response.status == self.awaited:
            self.refusals.append(response.url)
        else:
            self.troubles.append(f"{response.status}: {response.request.method} {response.url}")

    @contextlib.contextmanager
    def refusal(self, status):
        """What is done within ends in a page of that status."""
        self.awaited = status
        before = len(self.refusals)
        try:
            yield
            assert len(self.refusals) > before, f"no answer was a {status}"
        finally:
            self.awaited = None

    def state(self, what, **media):
        """Judges the page as it stands, at every width, and keeps pictures of it. `media`: as for `emulate_media`."""
        page = self.page
        label = f"{self.name}-{next(self.states):02}-{re.sub('[^a-z0-9]+', '-', what.lower())}"
        if media:
            page.emulate_media(**media)
        pictures = {}
        for width in WIDTHS:
            set_width(page, width)
            pictures[width] = self.case["artifacts"] / f"{label}-{width}.png"
            page.screenshot(path=pictures[width], full_page=True)
            self._judge_width(f"{what}, {width}", pictures[width])
        page.set_viewport_size({"width": NARROWEST, "height": 640})
        self._judge_width(f"{what}, at {NARROWEST} pixels", pictures["phone"])
        with self._scriptable(media) as document:
            document.evaluate(f"{AXE};0")
            for width, picture in pictures.items():
                set_width(document, width)
                judge_barriers(document, f"{what}, {width}", picture)
        if media:
            page.emulate_media(**{feature: "null" for feature in media})
        set_width(page, "desktop")
        assert not self.troubles, told(what, self.troubles, pictures["desktop"])

    def _judge_width(self, what, picture):
        wide = self.page.evaluate(TOO_WIDE)
        assert not wide, told(f"{what}: wider than its window", wide, picture)

    @contextlib.contextmanager
    def _scriptable(self, media):
        """The page; or the same document for one whose browser has no scripts, where axe could not run: with what it says in
        place of scripts shown, and no script of its own."""
        if self.javascript:
            yield self.page
            return
        html = re.sub(r"<script\b.*?</script>", "", self.page.content(), flags=re.S)
        html = re.sub(r"<(/?)noscript>", r"<\1div>", html)
        context = self.browser.new_context()
        context.set_default_timeout(PATIENCE_MS)
        try:
            page = context.new_page()
            page.emulate_media(**media)
            headers = {"content-type": "text/html; charset=utf-8"}
            page.route(self.page.url, lambda route: route.fulfill(body=html, headers=headers))
            page.goto(self.page.url)
            yield page
        finally:
            context.close()

    def close(self):
        self.context.close()
        assert not self.troubles, told(self.name, self.troubles, "its last picture")


def set_width(page, width):
    page.set_viewport_size(dict(zip(("width", "height"), WIDTHS[width])))


def judge_barriers(page, what, picture):
    """By axe, which was evaluated as from the developer's tools, so that the page's policy stays in force."""
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    barriers = [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: {node['html']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
        if (node["impact"] or violation["impact"]) in BARRIERS
    ]
    assert not barriers, told(what, barriers, picture)


def told(what, troubles, picture):
    return "\n  ".join([f"{what} (see {picture}):", *troubles])


# The elements that reach past the window's right edge, if it can be scrolled there.
TOO_WIDE = """
() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll("body *")]
        .filter((element) => element.getBoundingClientRect().right > width)
        .map((element) => element.outerHTML.slice(0, 200));
}
"""
