"""The customer's page, as the customer's administrator reads and fills it."""

from playwright.sync_api import expect

DIRECTORY, VAULT, KEY, RESOURCE = "Tenant ID", "Vault URI", "Key name or Key Identifier", "Resource ID of your vault"
AUTHORIZE, VAULT_AND_KEY, ACCESS, COMPLETE = "authorize", "vault-and-key", "access", "complete"
DONE, TO_DO, LATER, WAITING, ATTENTION = "Done", "To do", "Later", "Waiting", "Needs attention"


class Guide:
    """A window on one onboarding's page."""

    def __init__(self, visit, link):
        self.visit, self.page, self.link = visit, visit.page, link

    def open(self):
        self.page.goto(self.link)

    def field(self, label):
        return self.page.get_by_label(label, exact=True)

    def send(self, answers):
        """Fills in answers of one form, and sends it."""
        for label, answer in answers.items():
            self.field(label).fill(answer)
        form = self.page.locator("form", has=self.field(next(iter(answers))))
        form.get_by_role("button", name="Save").click()

    def is_told_beside(self, label, text):
        """What a field says of its answer, seen beside it and heard with it."""
        field = self.field(label)
        said = f"{field.get_attribute('id')}-said"
        expect(self.page.locator(f"#{said}")).to_contain_text(text)
        assert said in field.get_attribute("aria-describedby").split()

    def begin_consent(self):
        self.page.get_by_role("button", name="Authorize in Microsoft Entra").click()
        expect(self.page).to_have_title("Permissions requested by Example SaaS")

    def decide(self, decision):
        self.page.get_by_role("button", name=decision).click()

    def check_again(self):
        """Has everything checked, and is back on the page once it was."""
        self.page.get_by_role("button", name="Check again").click()

    def is_at(self, step, status):
        """How a step stands, or comes to stand."""
        expect(self.page.locator(f"#{step} h2 .status")).to_have_text(status)

    def finds(self, check, status):
        """What a check came to, or comes to."""
        expect(self.page.locator(f"#check-{check} h4 .status")).to_have_text(status)

    def is_active(self):
        expect(self.page.get_by_role("heading", name="Your key is connected")).to_be_visible()

    def remember(self):
        """Marks the document, so that one that was loaded anew is told from one that followed."""
        self.page.evaluate("window.remembered = true")

    def is_remembered(self):
        return self.page.evaluate("window.remembered === true")
