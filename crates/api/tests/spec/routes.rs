//! Every route of the API, and the roles that it is for.

pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Each of these suffices, and no other does.
    pub(crate) roles: &'static [&'static str],
}

impl Route {
    /// The path, of the tenant `acme`.
    pub(crate) fn path_of_acme(&self) -> String {
        self.path_of("acme")
    }

    /// The path, of a tenant of that name.
    pub(crate) fn path_of(&self, tenant: &str) -> String {
        let parts = [("{tenant}", tenant), ("{form}", "az"), ("{revision}", "1")];
        let filled = |path: String, (part, value): (&str, &str)| path.replace(part, value);
        parts.into_iter().fold(self.path.to_owned(), filled)
    }

    /// The problem that it answers with where there is nobody of that name.
    pub(crate) fn slug_of_nobody(&self) -> &'static str {
        if self.path.starts_with("/v1/admin/onboardings/") {
            "onboarding-not-found"
        } else {
            "tenant-not-found"
        }
    }
}

const fn route(method: &'static str, path: &'static str, roles: &'static [&'static str]) -> Route {
    Route { method, path, roles }
}

pub(crate) const ROLES: [&str; 5] = [
    "Keyferry.Seal",
    "Keyferry.Open",
    "Keyferry.Rewrap",
    "Keyferry.Operator",
    "Keyferry.Reader",
];

pub(crate) const ROUTES: &[Route] = &[
    route("POST", "/v1/tenants/{tenant}/generate-data-key", SEAL),
    route("POST", "/v1/tenants/{tenant}/generate-data-key/batch", SEAL),
    route("POST", "/v1/tenants/{tenant}/wrap", SEAL),
    route("POST", "/v1/tenants/{tenant}/wrap/batch", SEAL),
    route("POST", "/v1/tenants/{tenant}/encrypt", SEAL),
    route("POST", "/v1/tenants/{tenant}/encrypt/batch", SEAL),
    route("POST", "/v1/tenants/{tenant}/unwrap", OPEN),
    route("POST", "/v1/tenants/{tenant}/unwrap/batch", OPEN),
    route("POST", "/v1/tenants/{tenant}/decrypt", OPEN),
    route("POST", "/v1/tenants/{tenant}/decrypt/batch", OPEN),
    route("POST", "/v1/tenants/{tenant}/rewrap", REWRAP),
    route("POST", "/v1/tenants/{tenant}/rewrap/batch", REWRAP),
    route("GET", "/v1/admin/tenants", READ),
    route("GET", "/v1/admin/tenants/{tenant}", READ),
    route("POST", "/v1/admin/tenants", CHANGE),
    route("PATCH", "/v1/admin/tenants/{tenant}", CHANGE),
    route("DELETE", "/v1/admin/tenants/{tenant}", CHANGE),
    route("POST", "/v1/admin/tenants/{tenant}/suspend", CHANGE),
    route("POST", "/v1/admin/tenants/{tenant}/resume", CHANGE),
    route("GET", "/v1/admin/tenants/{tenant}/key", READ),
    route("POST", "/v1/admin/tenants/{tenant}/key/look", CHANGE),
    route("GET", "/v1/admin/tenants/{tenant}/key/events", READ),
    route(
        "GET",
        "/v1/admin/tenants/{tenant}/key/events/{revision}/acknowledgements",
        READ,
    ),
    route("GET", "/v1/admin/replicas", READ),
    route("GET", "/v1/admin/onboardings", READ),
    route("POST", "/v1/admin/onboardings", CHANGE),
    route("GET", "/v1/admin/onboardings/{tenant}", READ),
    route("PATCH", "/v1/admin/onboardings/{tenant}", CHANGE),
    route("DELETE", "/v1/admin/onboardings/{tenant}", CHANGE),
    route("POST", "/v1/admin/onboardings/{tenant}/link", CHANGE),
    route("DELETE", "/v1/admin/onboardings/{tenant}/link", CHANGE),
    route("POST", "/v1/admin/onboardings/{tenant}/verify", CHANGE),
    route("POST", "/v1/admin/onboardings/{tenant}/private-endpoint", CHANGE),
    route("GET", "/v1/admin/onboardings/{tenant}/history", READ),
    route("GET", "/v1/admin/onboardings/{tenant}/instructions/{form}", READ),
];

const SEAL: &[&str] = &["Keyferry.Seal"];
const OPEN: &[&str] = &["Keyferry.Open"];
const REWRAP: &[&str] = &["Keyferry.Rewrap"];
const READ: &[&str] = &["Keyferry.Reader", "Keyferry.Operator"];
const CHANGE: &[&str] = &["Keyferry.Operator"];
