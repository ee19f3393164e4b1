//! What takes its time: an operation that is polled until it is over.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Done, error::ArmError};
use crate::{
    state::State,
    world::{Provisioning, UnderWay, World},
};

type Headers = Vec<(&'static str, String)>;

/// Begins to make or to delete an endpoint. Answers the headers that say where to ask how it goes.
pub(super) fn begin(world: &mut World, call: &Call<'_>, endpoint: &str, deletes: bool) -> Headers {
    let all = world.resources.under_way.values_mut();
    // A deletion ends what was being made.
    all.filter(|operation| operation.endpoint == endpoint)
        .for_each(|operation| operation.over = true);
    let begun = UnderWay {
        endpoint: endpoint.to_owned(),
        deletes,
        pace: world.resources.pace,
        over: false,
    };
    world.resources.under_way.insert(Uuid::new_v4(), begun);
    current(world, call, endpoint)
}

/// The headers of what is under way with an endpoint; none if nothing is.
pub(super) fn current(world: &World, call: &Call<'_>, endpoint: &str) -> Headers {
    let mut all = world.resources.under_way.iter();
    let found = all.find(|(_, operation)| operation.endpoint == endpoint && !operation.over);
    let Some((id, operation)) = found else {
        return Vec::new();
    };
    let location = world.resources.endpoints.get(endpoint);
    let location = location.map_or("global", |endpoint| &endpoint.wanted.location);
    let at = |what: &str| {
        format!(
            "https://{}/subscriptions/{}/providers/Microsoft.Network/locations/{location}/{what}/{id}?api-version=2024-05-01",
            call.host, call.route.subscription
        )
    };
    let mut headers = vec![
        ("azure-asyncoperation", at("operations")),
        ("retry-after", operation.pace.retry_after.to_string()),
    ];
    if operation.deletes {
        headers.push(("location", at("operationResults")));
    }
    headers
}

/// How an operation goes.
pub(super) fn poll(state: &State, call: &Call<'_>) -> Result<Done, ArmError> {
    let id = call.route.name.parse::<Uuid>().unwrap_or_default();
    state.change(|world| {
        advance(world, id);
        let found = world.resources.under_way.get(&id);
        let operation = found.ok_or_else(|| {
            let message = format!("The operation {id} was not found.");
            ArmError::new(StatusCode::NOT_FOUND, "OperationNotFound", message)
        })?;
        Ok(if call.route.result {
            result(operation)
        } else {
            status(operation)
        })
    })
}

fn status(operation: &UnderWay) -> Done {
    if !operation.over {
        let mut done = Done::new(StatusCode::OK, json!({"status": "InProgress"}));
        done.headers = vec![("retry-after", operation.pace.retry_after.to_string())];
        return done;
    }
    let body = if operation.pace.fails {
        json!({"status": "Failed", "error": {"code": "InternalServerError", "message": "An error occurred."}})
    } else {
        json!({"status": "Succeeded"})
    };
    Done::new(StatusCode::OK, body)
}

fn result(operation: &UnderWay) -> Done {
    let status = if operation.over {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::ACCEPTED
    };
    Done::new(status, Value::Null)
}

/// Asking for an endpoint itself is a poll of what is under way with it.
pub(super) fn advance_endpoint(world: &mut World, endpoint: &str) {
    let mut all = world.resources.under_way.iter();
    let found = all.find(|(_, operation)| operation.endpoint == endpoint && !operation.over);
    if let Some(id) = found.map(|(id, _)| *id) {
        advance(world, id);
    }
}

/// One poll: it is over when it was found unfinished as often as its pace says.
fn advance(world: &mut World, id: Uuid) {
    let resources = &mut world.resources;
    let Some(operation) = resources.under_way.get_mut(&id).filter(|operation| !operation.over) else {
        return;
    };
    if let Some(left) = operation.pace.polls.checked_sub(1) {
        operation.pace.polls = left;
        return;
    }
    operation.over = true;
    let (deletes, fails) = (operation.deletes, operation.pace.fails);
    if deletes && !fails {
        resources.endpoints.remove(&operation.endpoint);
    } else if let Some(endpoint) = resources.endpoints.get_mut(&operation.endpoint) {
        endpoint.provisioning = if fails && !deletes {
            Provisioning::Failed
        } else {
            Provisioning::Succeeded
        };
        endpoint.etag = Uuid::new_v4();
    }
}
