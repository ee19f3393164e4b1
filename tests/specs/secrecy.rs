//! Nobody's secrets: everything that a run at the most verbose level emits and keeps is searched for what it was given.

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use keyferry_client::{Context, Error, Secret, TenantChange};
use keyferry_tests::{Collector, Database, Keyferry, SECRET, World, data_key_of, eventually};
use serde_json::json;

/// Things that must show nowhere, each with the name it is reported by.
struct Planted(Vec<(&'static str, Vec<u8>)>);

impl Planted {
    /// Every writing of every secret: as it is, in base64 of either alphabet at any offset, in hexadecimal, and as a list of
    /// numbers, as `Debug` prints bytes.
    fn found_in(&self, text: &[u8]) -> Vec<String> {
        let found = self.0.iter().flat_map(|(name, secret)| {
            let writings = writings(secret);
            let shown = writings.into_iter().filter(|(_, writing)| contains(text, writing));
            shown
                .map(move |(form, _)| format!("{name} in {form}"))
                .collect::<Vec<_>>()
        });
        found.collect()
    }
}

fn writings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("plain text", secret.to_vec()),
        (
            "hexadecimal",
            secret
                .iter()
                .flat_map(|byte| format!("{byte:02x}").into_bytes())
                .collect(),
        ),
        ("a list of numbers", numbers(secret)),
    ];
    for offset in 0..3 {
        // Inside longer data only the groups in the middle are the same.
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(secret.iter().copied()).collect();
        for (form, encoded) in [
            ("base64url", URL_SAFE_NO_PAD.encode_to_string(&padded)),
            ("base64", STANDARD.encode_to_string(&padded)),
        ] {
            let whole_groups = encoded.trim_end_matches('=').len() / 4 * 4;
            let middle = encoded.get(4..whole_groups.saturating_sub(4)).unwrap();
            all.push((form, middle.as_bytes().to_vec()));
        }
    }
    all
}

fn numbers(secret: &[u8]) -> Vec<u8> {
    let numbers: Vec<_> = secret.iter().map(u8::to_string).collect();
    numbers.join(", ").into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_search_finds_what_is_there() {
    let planted = Planted(vec![("key", b"a secret that is planted".to_vec())]);
    let text = |text: String| planted.found_in(text.as_bytes());
    assert_eq!(text("nothing".into()), Vec::<String>::new());
    assert_eq!(text("x a secret that is planted x".into()), ["key in plain text"]);
    assert_eq!(
        text(format!("{:?}", b"a secret that is planted")),
        ["key in a list of numbers"]
    );
    assert!(!text(STANDARD.encode_to_string("xy a secret that is planted xy")).is_empty());
    assert!(!text(URL_SAFE_NO_PAD.encode_to_string("?? a secret that is planted")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_no_trace_no_metric_no_error_and_no_database_holds_a_secret() {
    for database in Database::each().await {
        let collector = Collector::start().await;
        let mut world = World::new(database).await;
        world.extra = format!(
            "[telemetry]\nlog = \"trace\"\nlog_format = \"json\"\ntrace_ratio = 1.0\notlp_endpoint = \"{}\"\n",
            collector.url()
        );
        let keyferry = world.start().await;
        let (planted, errors) = exercise(&world, &keyferry).await;
        let metrics = reqwest::get(keyferry.url("/metrics"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        eventually("traces arrive", async || {
            contains(&collector.received(), b"TraceService")
        })
        .await;
        let (log, dump) = (keyferry.log(), world.database.dump().await);
        assert!(keyferry.terminate().success());
        let sent = collector.received();
        // What is searched is there: names that must show do.
        assert!(contains(&log, b"\"level\":\"TRACE\"") && contains(&log, b"acme"));
        assert!(contains(&sent, b"MetricsService") && contains(&sent, b"keyferry"));
        assert!(contains(&metrics, b"keyferry_") && contains(&dump, b"acme"));
        for (place, text) in [
            ("log", &log),
            ("telemetry", &sent),
            ("metrics", &metrics.to_vec()),
            ("database", &dump),
            ("errors", &errors),
        ] {
            assert_eq!(planted.found_in(text), Vec::<String>::new(), "found in the {place}");
        }
    }
}

/// Uses every endpoint, rightly and wrongly, with secrets that can be recognised. Answers them, and every error.
async fn exercise(world: &World, keyferry: &Keyferry) -> (Planted, Vec<u8>) {
    let acme = world.tenant(keyferry, "acme", None).await;
    let data = world.data(keyferry, "acme");
    let context = Context::from([("account".to_owned(), "a planted context value".to_owned())]);
    let other = Context::from([("account".to_owned(), "another planted context value".to_owned())]);
    let (key, plaintext) = (
        b"a planted key of thirty-two byte".to_vec(),
        b"a planted plaintext, which nobody may see".to_vec(),
    );
    let mut errors = Vec::new();
    let mut fails = |error: Error| errors.extend_from_slice(format!("{error} {error:?}").as_bytes());

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
    for (operation, item) in batches {
        let malformed = json!({"wrapped_key": "!"});
        let answers = data
            .batch::<serde_json::Value>(operation, &[item, malformed])
            .await
            .unwrap();
        let [done, refused] = <[_; 2]>::try_from(answers).unwrap();
        assert!(done.into_result().is_ok(), "{operation}");
        fails(Error::Problem(refused.into_result().unwrap_err()));
    }
    fails(data.unwrap(&wrapped.wrapped_key, &other).await.map(drop).unwrap_err());
    fails(data.decrypt(&sealed.ciphertext, &other).await.map(drop).unwrap_err());
    fails(data.decrypt_bytes(bytes, &other).await.map(drop).unwrap_err());
    fails(data.unwrap(&sealed.ciphertext, &context).await.map(drop).unwrap_err());

    let token = world.service_token().await;
    raw_mistakes(keyferry, &token, &key, &plaintext, &mut fails).await;
    let admin = world.admin(keyferry);
    fails(
        admin
            .create(&acme.registration(None), None)
            .await
            .map(drop)
            .unwrap_err(),
    );
    // Refused by the customer, with an unwrap that must go to the vault.
    world.order(acme.set_key(Some(false), None));
    let fresh = world.start().await;
    fails(
        world
            .data(&fresh, "acme")
            .unwrap(&wrapped.wrapped_key, &context)
            .await
            .map(drop)
            .unwrap_err(),
    );
    errors.extend_from_slice(&fresh.log());
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

    let planted = Planted(vec![
        ("the application's secret", SECRET.into()),
        // All tokens begin alike, those that Keyferry got for the vault among them.
        ("a token's beginning", token.split('.').next().unwrap().into()),
        ("a caller's token", token.into_bytes()),
        ("the data key", data_key_of(&sealed.ciphertext)),
        ("a key", key),
        ("a generated key", generated.plaintext.unwrap().expose().to_vec()),
        ("a plaintext", plaintext),
        ("a context's value", b"a planted context value".to_vec()),
        ("another context's value", b"another planted context value".to_vec()),
    ]);
    (planted, errors)
}

/// Requests that no client makes: secrets in the wrong field, in a body that breaks off, under a token that is not one.
async fn raw_mistakes(keyferry: &Keyferry, token: &str, key: &[u8], plaintext: &[u8], fails: &mut impl FnMut(Error)) {
    let http = reqwest::Client::new();
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
        for token in [token.to_owned(), format!("{token}x")] {
            let url = keyferry.url(&format!("/v1/tenants/acme/{operation}"));
            let request = http
                .post(url)
                .bearer_auth(token)
                .header("content-type", "application/json");
            let answer = request.body(body.clone()).send().await.unwrap();
            assert!(answer.status().is_client_error());
            let problem: keyferry_client::Problem = answer.json().await.unwrap();
            fails(Error::Problem(Box::new(problem)));
        }
    }
}
