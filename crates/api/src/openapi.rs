//! The API's description (OpenAPI 3.1), made from the code that serves it, and a reference page made from the description.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use http::header;
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, OpenApi as Description, PathItem, Ref, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::Config;

use crate::{
    admin,
    app::App,
    problem::{Document, FieldError, Kind, MEDIA_TYPE, Problem},
    routes,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyferry",
        description = "Keys and data of a platform's customers, protected by keys that the customers keep. All binary fields are base64url without padding. Every failure is a problem (RFC 9457) with a stable `type`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "data", description = "Keys and data of one tenant"),
        (name = "admin", description = "Tenants"),
        (name = "onboarding", description = "Customers on their way to being tenants"),
    ),
    components(schemas(Document, FieldError)),
)]
struct Base;

/// The described routes, and their description.
pub(crate) fn described() -> (Router<App>, Description) {
    let (router, mut description) = OpenApiRouter::with_openapi(Base::openapi())
        .merge(routes::router())
        .merge(admin::router())
        .split_for_parts();
    complete(&mut description);
    (router, description)
}

/// The description.
#[must_use]
pub fn description() -> Description {
    described().1
}

/// Serves the description and the reference page. Anybody may ask for them, so all answers share the same bytes.
pub(crate) fn router(description: &Description) -> Router<App> {
    let description = Bytes::from(serde_json::to_vec(description).unwrap_or_default());
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    Router::new()
        .route(
            "/openapi.json",
            get(async move || (content_type, description.clone()).into_response()),
        )
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async || page("")))
        .route("/docs/{*file}", get(async |Path(file): Path<String>| page(&file)))
}

/// Adds what every operation has in common.
fn complete(description: &mut Description) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An Entra access token for Keyferry's audience, with application roles.",
        ))
        .build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    description.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
    description
        .paths
        .paths
        .values_mut()
        .flat_map(operations)
        .for_each(add_problems);
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.patch, &mut path.delete]
        .into_iter()
        .flatten()
}

fn add_problems(operation: &mut Operation) {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(Some(example()))
        .build();
    let response = ResponseBuilder::new()
        .description("A problem: `type` and `fault` tell which, and whose move it is")
        .content(MEDIA_TYPE, content)
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), response.into());
}

fn example() -> serde_json::Value {
    let problem = Problem::new(Kind::KeyDisabled).to_json(Some("9d5f0c6de8c2b1a4-0000000000000007"));
    serde_json::from_slice(&problem).unwrap_or_default()
}

/// A file of the reference page. They are compiled in; nothing is fetched from anywhere else.
fn page(file: &str) -> Response {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        let config = Config::new(["/openapi.json"]);
        Arc::new(
            config
                .use_base_layout()
                .validator_url("none")
                .supported_submit_methods([""; 0]),
        )
    });
    match utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            let headers = [
                (header::CONTENT_TYPE, file.content_type),
                (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
            ];
            let bytes = match file.bytes {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            (headers, bytes).into_response()
        }
        Ok(None) => Problem::new(Kind::RouteNotFound).into_response(),
        Err(_) => Problem::new(Kind::Internal).into_response(),
    }
}

const BEARER: &str = "entra";
/// The page's scripts are files of ours; its styles are partly inline, its icons `data:` images.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let index = utoipa_swagger_ui::serve("", Arc::new(Config::new(["/openapi.json"])))
            .unwrap()
            .unwrap();
        let index = String::from_utf8(index.bytes.into_owned()).unwrap();
        assert!(
            !index.contains("http://") && !index.contains("https://") && !index.contains("<script>"),
            "{index}"
        );
    }

    #[test]
    fn every_operation_asks_for_a_token_and_may_answer_a_problem() {
        let description = serde_json::to_value(description()).unwrap();
        assert_eq!(description["openapi"], "3.1.0");
        assert_eq!(description["security"][0], serde_json::json!({ BEARER: [] }));
        let operations = description["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values());
        for operation in operations {
            let problem = &operation["responses"]["default"]["content"][MEDIA_TYPE];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
        }
    }

    #[test]
    fn every_reference_in_the_description_leads_somewhere() {
        fn visit(value: &serde_json::Value, whole: &serde_json::Value) {
            match value {
                serde_json::Value::Object(map) => {
                    if let Some(reference) = map.get("$ref").and_then(serde_json::Value::as_str) {
                        let target = reference.strip_prefix('#').unwrap();
                        assert!(whole.pointer(target).is_some(), "{reference}");
                    }
                    map.values().for_each(|value| visit(value, whole));
                }
                serde_json::Value::Array(list) => list.iter().for_each(|value| visit(value, whole)),
                _ => {}
            }
        }
        let description = serde_json::to_value(description()).unwrap();
        visit(&description, &description);
    }
}
