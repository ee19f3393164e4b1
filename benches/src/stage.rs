//! What is driven: `keyferry dev` as a process of its own, an echo as another, and a request for each row of the table.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use keyferry_client::{ClientCredentials, Context, Secret, TenantClient};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

type Failure = Box<dyn std::error::Error>;

/// Everything that a run drives. Ends with it.
pub struct Stage {
    /// The service.
    pub service: SocketAddr,
    /// The yardstick.
    pub echo: SocketAddr,
    /// A platform service's token.
    pub token: String,
    rows: Vec<Row>,
    _processes: [Process; 2],
    _data: TempDir,
}

/// One comparison.
pub struct Row {
    /// Its name in the table.
    pub name: &'static str,
    /// The service's path.
    pub path: String,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// What the echo does with the same body.
    pub yardstick: Yardstick,
}

/// What the echo does.
#[derive(Clone, Copy)]
pub enum Yardstick {
    /// Reads the body and answers as many bytes as the service does.
    Bytes,
    /// The same, for a caller that it knows by the token's hash, with the body parsed as JSON.
    SameAuth,
    /// The same, behind the middleware that any service has.
    SameMiddleware,
    /// Parses the body and writes it back, with `serde_json`.
    Json,
}

/// The access file that `keyferry dev` writes.
#[derive(Deserialize)]
struct Access {
    token_endpoint: String,
    client_id: String,
    client_secret: String,
    scope: String,
    ca_file: String,
    connect: SocketAddr,
}

struct Process {
    child: Child,
    // Kept open: a process that cannot write ends.
    _output: BufReader<ChildStdout>,
}

impl Stage {
    /// Starts both, and prepares the requests.
    pub async fn start() -> Result<Self, Failure> {
        let data = tempfile::tempdir()?;
        let free = "127.0.0.1:0";
        let path = data.path().to_string_lossy().into_owned();
        // The level at which `keyferry serve` logs if nothing else is said.
        let options = [
            "dev",
            "--data-dir",
            &path,
            "--listen",
            free,
            "--azure",
            free,
            "--control",
            free,
            "--log",
            "info",
        ];
        let (dev, line) = Process::start(&options, "  API ")?;
        let server = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let (echo, line) = Process::start(&["echo"], "127.0.0.1:")?;
        let token = token(data.path()).await?;
        let client = keyferry_client::Client::new(server.parse()?, token.clone().into())?;
        Ok(Self {
            service: server.trim_start_matches("http://").parse()?,
            echo: line.trim().parse()?,
            rows: rows(&client.tenant("acme")).await?,
            token,
            _processes: [dev, echo],
            _data: data,
        })
    }

    /// The table's rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

async fn token(data: &Path) -> Result<String, Failure> {
    let access: Access = serde_json::from_slice(&std::fs::read(data.join("service.json"))?)?;
    let endpoint: reqwest::Url = access.token_endpoint.parse()?;
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(access.ca_file)?)?;
    let http = reqwest::Client::builder().no_proxy().add_root_certificate(certificate);
    let http = http
        .resolve(endpoint.host_str().unwrap_or_default(), access.connect)
        .build()?;
    let credentials = ClientCredentials::new(http, endpoint, access.client_id, access.client_secret, access.scope);
    Ok(credentials.token().await?.expose().to_owned())
}

async fn rows(acme: &TenantClient) -> Result<Vec<Row>, Failure> {
    let context = Context::from([
        ("table".to_owned(), "payroll".to_owned()),
        ("row".to_owned(), "4711".to_owned()),
    ]);
    let key = acme.generate_data_key(&context).await?.wrapped_key;
    let (kilobyte, large) = (vec![b'x'; 1024], vec![b'x'; 65_536]);
    let sealed = acme
        .encrypt(&Secret::from(kilobyte.clone()), &context)
        .await?
        .ciphertext;
    let json = |name, operation: &str, body: serde_json::Value, yardstick| Row {
        name,
        path: format!("/v1/tenants/acme/{operation}"),
        content_type: "application/json",
        body: body.to_string().into_bytes(),
        yardstick,
    };
    let (small, big) = (Secret::from(kilobyte), Secret::from(large.clone()));
    let unwrap = |name, yardstick| {
        json(
            name,
            "unwrap",
            json!({"wrapped_key": key, "encryption_context": context}),
            yardstick,
        )
    };
    Ok(vec![
        unwrap("hot unwrap / bare echo", Yardstick::Bytes),
        unwrap("hot unwrap / echo, same auth", Yardstick::SameAuth),
        unwrap("hot unwrap / echo, same auth and middleware", Yardstick::SameMiddleware),
        json(
            "encrypt 1 KiB, JSON / bare echo",
            "encrypt",
            json!({"plaintext": small, "encryption_context": context}),
            Yardstick::Bytes,
        ),
        json(
            "hot decrypt 1 KiB, JSON / bare echo",
            "decrypt",
            json!({"ciphertext": sealed, "encryption_context": context}),
            Yardstick::Bytes,
        ),
        Row {
            name: "encrypt 64 KiB, octet-stream / bare echo",
            path: "/v1/tenants/acme/encrypt".into(),
            content_type: "application/octet-stream",
            body: large,
            yardstick: Yardstick::Bytes,
        },
        // The echo's message has no context.
        json(
            "encrypt 64 KiB, JSON / serde_json echo",
            "encrypt",
            json!({"plaintext": big}),
            Yardstick::Json,
        ),
    ])
}

impl Process {
    /// Starts this program once more, and reads its output up to the line that holds `mark`.
    fn start(arguments: &[&str], mark: &str) -> io::Result<(Self, String)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        while !line.contains(mark) {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!("{arguments:?} ended early")));
            }
        }
        let process = Self { child, _output: output };
        Ok((process, line))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
