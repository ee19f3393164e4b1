//! What a path asks the resource manager for. Its words may be written in either case, and names may, too.

use http::Method;
use uuid::Uuid;

use crate::calls::Operation;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) subscription: Uuid,
    pub(crate) group: String,
    /// The endpoint's, the vault's or the operation's name, or empty.
    pub(crate) name: String,
    /// The connection's name, or empty.
    pub(crate) connection: String,
    /// Whether an operation's result is asked for, rather than its status.
    pub(crate) result: bool,
}

impl Route {
    /// Reads method and path.
    pub(crate) fn parse(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let lower = path.to_ascii_lowercase();
        let words: Vec<&str> = lower.strip_prefix('/')?.split('/').collect();
        let [subscription, group, name, connection] = [1, 3, 7, 9].map(|at| segments.get(at).copied().unwrap_or(""));
        let ["subscriptions", _, rest @ ..] = words.as_slice() else {
            return None;
        };
        let operation = match rest {
            [
                "resourcegroups",
                _,
                "providers",
                "microsoft.network",
                "privateendpoints",
                rest @ ..,
            ] => of_endpoint(method, rest)?,
            [
                "resourcegroups",
                _,
                "providers",
                "microsoft.keyvault",
                "vaults",
                _,
                rest @ ..,
            ] => of_vault(method, rest)?,
            [
                "providers",
                "microsoft.network",
                "locations",
                _,
                "operations" | "operationresults",
                _,
            ] if method == Method::GET => Operation::PollOperation,
            _ => return None,
        };
        Some(Self {
            operation,
            subscription: subscription.parse().ok()?,
            group: group.to_owned(),
            name: name.to_owned(),
            connection: connection.to_owned(),
            result: words.contains(&"operationresults"),
        })
    }

    /// Where the resource is found that it names: a private endpoint's place in the world.
    pub(crate) fn endpoint(&self, manager: &str) -> String {
        endpoint_place(manager, &self.scope("Microsoft.Network/privateEndpoints"))
    }

    /// The resource id of what it names.
    pub(crate) fn scope(&self, kind: &str) -> String {
        let group = self.group_scope();
        if self.name.is_empty() {
            group
        } else {
            format!("{group}/providers/{kind}/{}", self.name)
        }
    }

    /// The resource id of its resource group.
    pub(crate) fn group_scope(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription, self.group)
    }
}

/// Where the world keeps a private endpoint.
pub(crate) fn endpoint_place(manager: &str, id: &str) -> String {
    format!("{manager}{id}").to_ascii_lowercase()
}

fn of_endpoint(method: &Method, rest: &[&str]) -> Option<Operation> {
    Some(match rest {
        [] if method == Method::GET => Operation::ListPrivateEndpoints,
        [_] if method == Method::GET => Operation::GetPrivateEndpoint,
        [_] if method == Method::PUT => Operation::PutPrivateEndpoint,
        [_] if method == Method::DELETE => Operation::DeletePrivateEndpoint,
        _ => return None,
    })
}

fn of_vault(method: &Method, rest: &[&str]) -> Option<Operation> {
    Some(match rest {
        [] if method == Method::GET => Operation::GetVault,
        ["privateendpointconnections"] if method == Method::GET => Operation::ListConnections,
        ["privateendpointconnections", _] if method == Method::GET => Operation::GetConnection,
        ["privateendpointconnections", _] if method == Method::PUT => Operation::PutConnection,
        ["privateendpointconnections", _] if method == Method::DELETE => Operation::DeleteConnection,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_either_case_and_names_are_kept_as_they_are_written() {
        let path = "/SUBSCRIPTIONS/5ab50000-0000-4000-8000-000000000001/resourcegroups/Ours/Providers/microsoft.NETWORK/privateendpoints/Pe-1";
        let route = Route::parse(&Method::PUT, path).unwrap();
        assert_eq!(route.operation, Operation::PutPrivateEndpoint);
        assert_eq!((route.group.as_str(), route.name.as_str()), ("Ours", "Pe-1"));
        assert_eq!(
            route.endpoint("management.azure.com"),
            "management.azure.com/subscriptions/5ab50000-0000-4000-8000-000000000001/resourcegroups/ours/providers/microsoft.network/privateendpoints/pe-1"
        );
    }

    #[test]
    fn what_is_not_managed_has_no_route() {
        let group = "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/g";
        assert_eq!(Route::parse(&Method::GET, group), None);
        let vault = format!("{group}/providers/Microsoft.KeyVault/vaults/v");
        assert_eq!(Route::parse(&Method::DELETE, &vault), None);
        assert_eq!(
            Route::parse(
                &Method::GET,
                "/subscriptions/x/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
            ),
            None
        );
    }
}
