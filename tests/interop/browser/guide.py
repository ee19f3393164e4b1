"""The customer's page, as the customer's administrator reads and fills it."""

from playwright.sync_api import expect

DIRECTORY, VAULT, KEY, RESOURCE = "Tenant ID", "Vault URI", "Key", "Resource ID"


class Guide:
    """A window on one onboarding's page."""

    def __init__(self, visit, link):
        self.visit, self.page, self.link = visit, visit.page, link

    def open(self):
        self.page.goto(self.link)

    def field(self, label):
        return self.page.get_by_label(label)

    def form(self, label):
        return self.page.locator("form", has=self.field(label))

    def send(self, answers):
        """Fills in answers of one form, and sends it."""
        for label, answer in answers.items():
            self.field(label).fill(answer)
        self.form(next(iter(answers))).get_by_role("button", name="Save").click()

    def consent(self, decision="Accept"):
        """Goes to the consent page, decides there, and comes back."""
        self.page.get_by_role("button", name="Authorize").click()
        expect(self.page).to_have_title("Permissions requested by Example SaaS")
        self.page.get_by_role("button", name=decision).click()

    def check_again(self):
        self.page.get_by_role("button", name="Check again").first.click()

    def step(self, name):
        return self.page.get_by_role("region", name=name)

    def sees(self, text):
        expect(self.page.locator("main")).to_contain_text(text)
