//! The links by which an administrator lets our application into the directory (the guide's option A).

use keyferry_crypto::id::{Cloud, DirectoryId};
use url::{Url, form_urlencoded};
use uuid::Uuid;

/// The two links that Entra has for admin consent. Either does; the first is the guide's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentLinks {
    /// Consent to all permissions that the application is registered with.
    pub v1: String,
    /// The same by the newer endpoint, whose errors come back to us in more cases.
    pub v2: String,
}

/// The links for a directory; for whichever directory the administrator signs in to, if it is not known. `state` comes back
/// with the answer, unchanged.
#[must_use]
pub fn consent_links(
    cloud: Cloud,
    client_id: Uuid,
    directory: Option<DirectoryId>,
    redirect_uri: &Url,
    state: &str,
) -> ConsentLinks {
    let place = directory.map_or_else(|| "organizations".to_owned(), |directory| directory.to_string());
    let base = format!("{}/{place}", authority(cloud));
    let asked = [
        ("client_id", client_id.to_string()),
        ("redirect_uri", redirect_uri.to_string()),
        ("state", state.to_owned()),
    ];
    let query = |scope: Option<&str>| {
        let scope = scope.map(|scope| ("scope", scope.to_owned()));
        let pairs = asked.iter().cloned().chain(scope);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish()
    };
    ConsentLinks {
        v1: format!("{base}/adminconsent?{}", query(None)),
        v2: format!("{base}/v2.0/adminconsent?{}", query(Some(scope(cloud)))),
    }
}

fn authority(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "https://login.microsoftonline.com",
        Cloud::China => "https://login.chinacloudapi.cn",
        Cloud::UsGovernment => "https://login.microsoftonline.us",
    }
}

/// All that the application is registered with, as the first link asks for it. Not Key Vault's `.default`: that would need
/// the application to be registered with a permission on Key Vault, which it does not need, since roles grant access.
fn scope(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "https://graph.microsoft.com/.default",
        Cloud::China => "https://microsoftgraph.chinacloudapi.cn/.default",
        Cloud::UsGovernment => "https://graph.microsoft.us/.default",
    }
}
