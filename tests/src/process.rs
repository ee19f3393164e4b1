//! The command as a process.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use keyferry_client::Client;
use url::Url;

/// The command, with an environment that says nothing.
#[must_use]
pub fn command() -> Command {
    let specs = std::env::current_exe().unwrap();
    let binary = specs.parent().unwrap().parent().unwrap().join("keyferry-under-test");
    let mut command = Command::new(binary);
    command.env_clear();
    command
}

/// A running `keyferry serve`. Dropping it kills it.
pub struct Keyferry {
    child: Child,
    addr: SocketAddr,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Keyferry {
    /// Starts one, and waits until it says where it serves.
    #[must_use]
    pub fn start(config: &Path) -> Self {
        Self::start_in(&[], config)
    }

    /// The same in an environment that says something.
    #[must_use]
    pub fn start_in(environment: &[(&str, &Path)], config: &Path) -> Self {
        let mut child = command()
            .args(["serve", "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, addresses) = follow(child.stderr.take().unwrap());
        let Ok(addr) = addresses.recv_timeout(Duration::from_mins(1)) else {
            let _ = child.kill();
            panic!(
                "keyferry did not start: {}",
                String::from_utf8_lossy(&log.lock().unwrap())
            );
        };
        Self { child, addr, log }
    }

    /// Where it serves.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.addr).parse().unwrap()
    }

    /// The same client for this process.
    #[must_use]
    pub fn client(&self, tokens: keyferry_client::TokenSource) -> Client {
        Client::new(self.url("/"), tokens).unwrap()
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.log.lock().unwrap().clone()
    }

    /// Kills it, with nothing said (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM), and waits.
    #[must_use]
    pub fn terminate(mut self) -> ExitStatus {
        signal(&self.child, "TERM");
        self.child.wait().unwrap()
    }
}

impl Drop for Keyferry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Keeps what a process writes, and passes on the address that it names.
fn follow(output: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, mpsc::Receiver<SocketAddr>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (found, addresses) = mpsc::channel();
    let kept = Arc::clone(&log);
    thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if let Some((_, addr)) = text.trim_end().split_once("keyferry serves on ") {
                let _ = found.send(addr.parse().unwrap());
            }
            kept.lock().unwrap().append(&mut line);
        }
    });
    (log, addresses)
}
