//! Nobody's secrets: everything that a run at the most verbose level emits and keeps is searched for what it was given.

mod onboarding;
mod search;

use base64_simd::URL_SAFE_NO_PAD;
use keyferry_client::{Context, Secret, TenantChange, TenantClient, http_client};
use keyferry_tests::{
    Answer, Collector, Credential, Database, Keyferry, World, command, data_key_of, eventually, output_of,
};
use serde_json::{Value, json};

use self::search::{Planted, contains};

/// What the registry's database lets Keyferry in with, where it asks for one.
const PASSWORD: &str = "the-password-of-the-registry";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_no_trace_no_metric_no_error_and_no_database_holds_a_secret() {
    for database in Database::each().await {
        holds_no_secret(database, Credential::Secret).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_one_of_a_service_that_proves_itself_by_a_certificate_or_a_token_file() {
    for credential in [Credential::Certificate, Credential::TokenFile] {
        holds_no_secret(Database::sqlite(), credential).await;
    }
}

/// A database that lets us in, one that does not know us, one that is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_no_answer_and_no_error_holds_the_registrys_password() {
    let password = "a-planted-password-of-the-registry";
    let planted = Planted(vec![("the registry's password", password.into())]);
    let Some(database) = Database::postgres().await else {
        return;
    };
    let known = database.url().replace("postgres@", &format!("postgres:{password}@"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut world = World::new(database).await;
    world.extra = "[telemetry]\nlog = \"trace\"\n".into();
    for (url, shown) in [
        (known.clone(), "insert into tenants"),
        (format!("{known}_of_nobody"), "does not exist"),
        (
            format!("postgres://postgres:{password}@{closed}/registry"),
            "cannot be read",
        ),
    ] {
        world.registry_url = Some(url.clone());
        let keyferry = Keyferry::start(&world.write_config());
        let admin = world.admin(&keyferry);
        let mut answers = Vec::new();
        eventually("the log says how it went", async || {
            let answer = admin.create(&world.customer("acme").registration(None), None).await;
            answers.extend(format!("{answer:?}").into_bytes());
            contains(&keyferry.log(), shown.as_bytes())
        })
        .await;
        for (place, text) in [("log", keyferry.log()), ("answers", answers)] {
            assert_eq!(planted.found_in(&text), Vec::<String>::new(), "found in the {place}");
        }
    }
    for url in [format!("{known}_of_nobody"), format!("{known}?sslmode={password}")] {
        let said = output_of(command().args(["migrate", "--url", &url]));
        assert!(!said.status.success());
        let said = [said.stdout, said.stderr].concat();
        assert_eq!(
            planted.found_in(&said),
            Vec::<String>::new(),
            "found in what the command says"
        );
    }
}

async fn holds_no_secret(database: Database, credential: Credential) {
    let collector = Collector::start().await;
    let mut world = World::with(database, credential).await;
    // The Postgres of these tests takes any password, so that one can be planted. A file wants none.
    let mut url: url::Url = world.database.url().parse().unwrap();
    if url.scheme() == "postgres" {
        url.set_password(Some(PASSWORD)).unwrap();
        world.registry_url = Some(url.to_string());
    }
    world.extra = format!(
        "[telemetry]\nlog = \"trace\"\nlog_format = \"json\"\ntrace_ratio = 1.0\notlp_endpoint = \"{}\"\n",
        collector.url()
    );
    let keyferry = world.start().await;
    let used = use_everything(&world, &keyferry).await;
    let metrics = keyferry.get("/metrics").await.into_bytes();
    // At its end a process sends what it still has to tell.
    let log = keyferry.last_words();
    let (dump, sent) = (world.database.dump().await, collector.received());
    // What is searched is there: names that must show do.
    assert!(contains(&log, b"\"level\":\"TRACE\"") && contains(&log, b"acme"));
    assert!(contains(&sent, b"TraceService") && contains(&sent, b"MetricsService") && contains(&sent, b"keyferry"));
    assert!(contains(&metrics, b"keyferry_") && contains(&dump, b"acme"));
    assert!(contains(&used.log_of_another, b"key-disabled") && contains(&used.refusals, b"not-authentic"));
    for (place, text) in [
        ("log", &log),
        ("other log", &used.log_of_another),
        ("telemetry", &sent),
        ("metrics", &metrics),
        ("database", &dump),
        ("refusals", &used.refusals),
    ] {
        assert_eq!(
            used.planted.found_in(text),
            Vec::<String>::new(),
            "found in the {place}, {credential:?}"
        );
    }
}

/// What a run leaves behind.
struct Used {
    planted: Planted,
    /// Every answer that is no success, with its headers, as it came.
    refusals: Vec<u8>,
    /// What a second process logged, which the customer refused.
    log_of_another: Vec<u8>,
}

/// Requests that are refused, and what they were answered.
struct Refused {
    http: reqwest::Client,
    answers: Vec<u8>,
}

impl Refused {
    async fn ask(&mut self, request: reqwest::RequestBuilder) {
        let answer = Answer::to(request).await;
        // A batch as such succeeds; those that are sent here hold nothing that could.
        assert!(answer.status >= 400 || answer.body.contains("problem"), "{answer:?}");
        self.answers.extend(answer.text().into_bytes());
    }

    fn post(&self, keyferry: &Keyferry, path: &str, token: &str) -> reqwest::RequestBuilder {
        self.http.post(keyferry.url(path)).bearer_auth(token)
    }

    /// An operation for the tenant.
    async fn operation(&mut self, keyferry: &Keyferry, token: &str, operation: &str, body: &Value) {
        let path = format!("/v1/tenants/acme/{operation}");
        self.ask(self.post(keyferry, &path, token).json(body)).await;
    }
}

/// Uses every endpoint, rightly and wrongly, with secrets that can be recognised.
async fn use_everything(world: &World, keyferry: &Keyferry) -> Used {
    let acme = world.tenant(keyferry, "acme", None).await;
    let data = world.data(keyferry, "acme");
    let context = Context::from([("account".to_owned(), "a planted context value".to_owned())]);
    let other = Context::from([("account".to_owned(), "another planted context value".to_owned())]);
    let (key, plaintext) = (
        b"a planted key of thirty-two byte".to_vec(),
        b"a planted plaintext, which nobody may see".to_vec(),
    );
    let (token, operator) = (world.service_token().await, world.operator_token().await);
    let mut refused = Refused {
        http: http_client([]).build().unwrap(),
        answers: Vec::new(),
    };

    let generated = data.generate_data_key(&context).await.unwrap();
    let wrapped = data.wrap(&Secret::from(key.clone()), &context).await.unwrap();
    let sealed = data.encrypt(&Secret::from(plaintext.clone()), &context).await.unwrap();
    let bytes = data.encrypt_bytes(plaintext.clone(), &context).await.unwrap();
    data.unwrap(&wrapped.wrapped_key, &context).await.unwrap();
    data.decrypt(&sealed.ciphertext, &context).await.unwrap();
    data.decrypt_bytes(bytes.clone(), &context).await.unwrap();
    data.rewrap(&sealed.ciphertext).await.unwrap();
    data.rewrap_key(&wrapped.wrapped_key).await.unwrap();
    let batches = [
        ("generate-data-key", json!({"encryption_context": &context})),
        (
            "wrap",
            json!({"key": Secret::from(key.clone()), "encryption_context": &context}),
        ),
        (
            "unwrap",
            json!({"wrapped_key": wrapped.wrapped_key, "encryption_context": &context}),
        ),
        ("rewrap", json!({"wrapped_key": wrapped.wrapped_key})),
        (
            "encrypt",
            json!({"plaintext": Secret::from(plaintext.clone()), "encryption_context": &context}),
        ),
        (
            "decrypt",
            json!({"ciphertext": sealed.ciphertext, "encryption_context": &context}),
        ),
    ];
    in_batches(&data, &mut refused, keyferry, &token, batches).await;
    for (operation, body) in [
        (
            "unwrap",
            json!({"wrapped_key": wrapped.wrapped_key, "encryption_context": &other}),
        ),
        (
            "decrypt",
            json!({"ciphertext": sealed.ciphertext, "encryption_context": &other}),
        ),
        (
            "unwrap",
            json!({"wrapped_key": sealed.ciphertext, "encryption_context": &context}),
        ),
    ] {
        refused.operation(keyferry, &token, operation, &body).await;
    }
    let header = URL_SAFE_NO_PAD.encode_to_string(json!(other).to_string());
    let request = refused.post(keyferry, "/v1/tenants/acme/decrypt", &token);
    let request = request.header("content-type", "application/octet-stream");
    refused
        .ask(request.header("keyferry-encryption-context", header).body(bytes))
        .await;
    for token in [token.clone(), format!("{token}x")] {
        raw_mistakes(&mut refused, keyferry, &token, &key, &plaintext).await;
    }
    let again = acme.registration(None);
    refused
        .ask(refused.post(keyferry, "/v1/admin/tenants", &operator).json(&again))
        .await;

    // Refused by the customer, with an unwrap that must go to the vault.
    world.order(acme.set_key(Some(false), None));
    let another = world.start().await;
    let body = json!({"wrapped_key": wrapped.wrapped_key, "encryption_context": &context});
    refused.operation(&another, &token, "unwrap", &body).await;
    let log_of_another = another.last_words();
    administrate(world, keyferry).await;

    let mut planted = vec![
        ("the registry's password", PASSWORD.into()),
        // All tokens begin alike, those that Keyferry got for the vault among them.
        ("a token's beginning", token.split('.').next().unwrap().into()),
        ("a caller's token", token.into_bytes()),
        ("an operator's token", operator.into_bytes()),
        ("the data key", data_key_of(&sealed.ciphertext)),
        ("a key", key),
        ("a generated key", generated.plaintext.unwrap().expose().to_vec()),
        ("a plaintext", plaintext),
        ("a context's value", b"a planted context value".to_vec()),
        ("another context's value", b"another planted context value".to_vec()),
    ];
    planted.extend(world.secrets());
    Used {
        planted: Planted(planted),
        refusals: refused.answers,
        log_of_another,
    }
}

/// Each operation in a batch that succeeds, and in one that does not.
async fn in_batches(
    data: &TenantClient,
    refused: &mut Refused,
    keyferry: &Keyferry,
    token: &str,
    batches: [(&str, Value); 6],
) {
    for (operation, item) in batches {
        let answers = data.batch::<Value>(operation, &[item]).await.unwrap();
        let [done] = <[_; 1]>::try_from(answers).unwrap();
        assert!(done.into_result().is_ok(), "{operation}");
        let malformed = json!({"items": [{"wrapped_key": "!"}]});
        let batch = format!("{operation}/batch");
        refused.operation(keyferry, token, &batch, &malformed).await;
    }
}

/// Changes the tenant in every way, up to its deletion.
async fn administrate(world: &World, keyferry: &Keyferry) {
    let admin = world.admin(keyferry);
    assert_eq!(admin.list(None, 10).await.unwrap().tenants.len(), 1);
    let read = admin.get("acme").await.unwrap();
    let renamed = TenantChange {
        display_name: Some("Acme, renamed".into()),
        ..TenantChange::default()
    };
    let updated = admin.update(&read, &renamed).await.unwrap();
    let suspended = admin.suspend(&updated).await.unwrap();
    let resumed = admin.resume(&suspended).await.unwrap();
    admin.delete(&resumed).await.unwrap();
}

/// Requests that no client makes: secrets in the wrong field, in a body that breaks off, under a token that is not one.
async fn raw_mistakes(refused: &mut Refused, keyferry: &Keyferry, token: &str, key: &[u8], plaintext: &[u8]) {
    let (key, plaintext) = (
        URL_SAFE_NO_PAD.encode_to_string(key),
        URL_SAFE_NO_PAD.encode_to_string(plaintext),
    );
    let bodies = [
        (
            "wrap",
            format!("{{\"key\":\"{key}\",\"no_such_field\":\"{plaintext}\"}}"),
        ),
        ("wrap", format!("{{\"{key}\":1}}")),
        ("encrypt", format!("{{\"plaintext\":\"{plaintext}=\"}}")),
        ("encrypt", format!("{{\"plaintext\":\"{plaintext}")),
        ("unwrap", format!("{{\"wrapped_key\":\"{key}\"}}")),
        ("decrypt", format!("{{\"ciphertext\":{{\"{plaintext}\":[]}}}}")),
    ];
    for (operation, body) in bodies {
        let request = refused.post(keyferry, &format!("/v1/tenants/acme/{operation}"), token);
        refused
            .ask(request.header("content-type", "application/json").body(body))
            .await;
    }
}
