//! What `keyferry dev` prints: lines that work as they stand.

use std::net::SocketAddr;

use keyferry_client::LinkUrl;

use super::{
    home::Home,
    world::{NEWCOMER, Places, TENANT, VAULT},
};
use crate::access::Access;

/// Where everything is, and what to type. Each line is one command for `sh`; later ones use what earlier ones set.
pub(super) fn text(
    access: &Access,
    home: &Home,
    places: Places,
    control: SocketAddr,
    link: Option<&LinkUrl>,
) -> String {
    let Access {
        server,
        token_endpoint,
        client_id,
        client_secret,
        scope,
        ..
    } = access;
    let server = server.as_str().trim_end_matches('/');
    let azure = access.connect.map(|addr| addr.to_string()).unwrap_or_default();
    let (home, ca) = (home.path().display(), home.ca());
    let ca = ca.display();
    let newcomer = link.map_or_else(String::new, |link| newcomer(link, places.portal));
    format!(
        r#"
Keyferry is up, for development only. Ctrl-C stops it; {home} keeps everything for the next start.

  API        {server}   (reference: {server}/docs, metrics: {server}/metrics)
  emulator   https on {azure}, orders on http://{control} (docs/emulator.md)
  tenant     {TENANT}, whose key lives in https://{VAULT}
{newcomer}
Type this in another terminal. First a token for a platform service, then its requests:

TOKEN=$(curl -s --cacert '{ca}' --connect-to ::{azure} '{token_endpoint}' -d grant_type=client_credentials -d client_id={client_id} -d client_secret={client_secret} -d scope={scope} | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
call() {{ curl -s '{server}/v1/tenants/'"${{TENANT:-{TENANT}}}/$1" -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d "$2"; echo; }}

# a new data key, and the same key back from its envelope
WRAPPED=$(call generate-data-key '{{"encryption_context":{{"table":"payroll"}}}}' | tee /dev/stderr | sed 's/.*"wrapped_key":"\([^"]*\)".*/\1/')
call unwrap '{{"wrapped_key":"'"$WRAPPED"'","encryption_context":{{"table":"payroll"}}}}'

# data sealed, and opened again (cGF5cm9sbA is "payroll" in base64url)
SEALED=$(call encrypt '{{"plaintext":"cGF5cm9sbA","encryption_context":{{"table":"payroll"}}}}' | tee /dev/stderr | sed 's/.*"ciphertext":"\([^"]*\)".*/\1/')
call decrypt '{{"ciphertext":"'"$SEALED"'","encryption_context":{{"table":"payroll"}}}}'

# and with another context: refused
call decrypt '{{"ciphertext":"'"$SEALED"'","encryption_context":{{"table":"salaries"}}}}'

"#
    )
}

/// How to onboard the customer who is still to come, in a browser.
fn newcomer(link: &LinkUrl, portal: SocketAddr) -> String {
    let link = link.expose();
    format!(
        r"
A second customer, {NEWCOMER}, is to be onboarded. Be its administrator, with a browser:

  its page        {link}
  its Azure       http://{portal}/   (make a vault and a key there, assign roles, approve the private endpoint)
  how far it is   keyferry tenant watch {NEWCOMER}
  its first key   TENANT={NEWCOMER} call generate-data-key '{{}}'   (after the lines below, once it is active)
"
    )
}
