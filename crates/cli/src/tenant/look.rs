//! Has a tenant's key looked at.

use std::time::Duration;

use clap::Args;
use keyferry_client::{Admin, key::KeyHealth};

use super::key;
use crate::{
    failure::Failure,
    onboarding::Named,
    output::{Output, lines},
};

/// Whose key, and how long to wait for what is found.
#[derive(Args, Debug)]
pub(super) struct Look {
    #[command(flatten)]
    named: Named,
    /// Give up after so long, with exit code 4; the key is looked at all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

impl Look {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Result<(), Failure> {
        let slug = &self.named.slug;
        let before = admin.look(slug).await?;
        let patience = Duration::from_secs(self.timeout);
        let Ok(found) = tokio::time::timeout(patience, found(admin, slug, &before)).await else {
            return Err(Failure::unavailable(format!(
                "nobody looked at the key of {slug} in {} s. Only those of active tenants are looked at",
                self.timeout
            )));
        };
        let found = found?;
        output.text(&found, || lines(&key::fields(&found)));
        Ok(())
    }
}

/// How the key is once it was looked at. A look that was under way when this one was asked for may have missed what it is asked
/// for: the key is due then as it was.
async fn found(admin: &Admin, slug: &str, before: &KeyHealth) -> Result<KeyHealth, Failure> {
    loop {
        let now = admin.key(slug).await?;
        let is_due_as_before = now.due_at.is_some() && now.due_at == before.due_at;
        if now.checked_at != before.checked_at && !is_due_as_before {
            return Ok(now);
        }
        tokio::time::sleep(POLL).await;
    }
}

const POLL: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use axum::{Json, Router};
    use keyferry_client::Client;

    use super::{super::key::tests::key, *};

    /// How the key is shown to who asks for the first, the second, the third time: as it was, as a look found it that began before
    /// another was asked for, and as that found it.
    fn shown(asked: usize) -> KeyHealth {
        let (state, checked_at, due_at) = match asked {
            0 => ("healthy", "19:00:00", "19:00:10"),
            1 => ("healthy", "19:00:10", "19:00:10"),
            _ => ("refused", "19:00:11", "19:00:40"),
        };
        KeyHealth {
            checked_at: Some(checked_at.into()),
            due_at: Some(due_at.into()),
            ..key(state, None)
        }
    }

    #[tokio::test]
    async fn a_look_that_began_before_it_was_asked_for_is_not_the_answer() {
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(async move || Json(shown(asked.fetch_add(1, Relaxed))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let client = Client::new(url.parse().unwrap(), "a token".to_owned().into()).unwrap();
        let admin = client.admin();
        let before = admin.look("acme").await.unwrap();
        assert_eq!(found(&admin, "acme", &before).await.unwrap().state, "refused");
    }
}
