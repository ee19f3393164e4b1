"""The customer's portal, as the customer's administrator uses it."""

from playwright.sync_api import expect

CRYPTO_USER = "Key Vault Crypto User"
READER = "Key Vault Reader"


class Portal:
    """A window on the portal of one directory."""

    def __init__(self, visit, directory_name):
        self.visit, self.page, self.directory_name = visit, visit.page, directory_name

    def open_directory(self):
        self.page.goto(self.visit.case["portal"])
        self.page.get_by_role("link", name=self.directory_name).click()

    def directory_id(self):
        self.open_directory()
        return self.page.get_by_label("Directory (tenant) ID").input_value()

    def create_vault(self, name):
        self.open_directory()
        form = self.page.locator("form", has=self.page.get_by_role("heading", name="Create a vault"))
        form.get_by_label("Name").fill(name)
        form.get_by_label("Purge protection").check()
        form.get_by_role("button", name="Create the vault").click()
        self._done()
        self.open_vault(name)

    def open_vault(self, name):
        self.open_directory()
        self.page.get_by_role("link", name=f"{name}.vault.azure.net").click()

    def create_key(self, name):
        form = self.page.locator("form", has=self.page.get_by_role("heading", name="Create a key"))
        form.get_by_label("Name").fill(name)
        form.get_by_role("button", name="Create the key").click()
        self._done()

    def vault_uri(self):
        return self.page.get_by_label("Vault URI").input_value()

    def resource_id(self):
        return self.page.get_by_label("Resource ID").input_value()

    def key_id(self, name):
        return self.page.get_by_label(f"Identifier of {name}").input_value()

    def assign(self, role, to):
        form = self.page.locator("form", has=self.page.get_by_role("heading", name="Assign a role"))
        form.get_by_label("To").select_option(label=to)
        form.get_by_label("Role").select_option(label=role)
        form.get_by_role("button", name="Assign the role").click()
        self._done()

    def decide(self, verb):
        """Approves or rejects the vault's one private endpoint connection."""
        self.page.reload()
        self.page.get_by_role("button", name=f"{verb} the connection").click()
        self._done()

    def _done(self):
        expect(self.page.get_by_role("status")).to_be_visible()
