//! The command as a process.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread::{self, JoinHandle},
};

use keyferry_client::{Client, http_client};
use url::Url;

use crate::PATIENCE;

/// The command, with an environment that says nothing.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(program());
    command.env_clear();
    command
}

/// The command's file: beside the tests', unless [`stand_in`] was told of another.
#[must_use]
pub fn program() -> PathBuf {
    let told = PROGRAM.get().cloned();
    told.unwrap_or_else(|| {
        let specs = std::env::current_exe().unwrap();
        specs.parent().unwrap().parent().unwrap().join("keyferry-under-test")
    })
}

/// Has another program stand for the command, from the start of this process on.
pub fn stand_in(program: PathBuf) {
    PROGRAM.set(program).unwrap();
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Runs a command to its end. One that has none is killed, and named.
#[must_use]
pub fn output_of(command: &mut Command) -> Output {
    let named = format!("{command:?}");
    let (out, err) = (Stdio::piped(), Stdio::piped());
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    // Read meanwhile, because a full pipe would keep it from its end.
    let (out, err) = (
        read_all(child.stdout.take().unwrap()),
        read_all(child.stderr.take().unwrap()),
    );
    let status = ended(&mut child, &named);
    Output {
        status,
        stdout: out.join().unwrap(),
        stderr: err.join().unwrap(),
    }
}

/// Waits until a process has ended. One that does not is killed, and named.
pub fn ended(child: &mut Child, named: &str) -> ExitStatus {
    let (poll, polls) = crate::polls();
    for _ in 0..polls {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(poll);
    }
    let _ = child.kill();
    panic!("it did not end in {PATIENCE:?}: {named}");
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// A running `keyferry serve`. Dropping it kills it.
pub struct Keyferry {
    child: Child,
    addr: SocketAddr,
    log: Arc<Mutex<Vec<u8>>>,
    following: Option<JoinHandle<()>>,
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
        let mut command = command();
        command.args(["serve", "--config"]).arg(config);
        Self::start_by(command.envs(environment.iter().copied()))
    }

    /// The same by a command that ends in one that serves.
    #[must_use]
    pub fn start_by(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::default();
        let (following, addresses) = follow(child.stderr.take().unwrap(), Arc::clone(&log));
        let Ok(addr) = addresses.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!(
                "keyferry did not start: {}",
                String::from_utf8_lossy(&log.lock().unwrap())
            );
        };
        Self {
            child,
            addr,
            log,
            following: Some(following),
        }
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

    /// What it answers at a path to one who shows no token.
    pub async fn get(&self, path: &str) -> String {
        let answer = http_client([])
            .build()
            .unwrap()
            .get(self.url(path))
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    }

    /// How much memory it has, in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1_024
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.log.lock().unwrap().clone()
    }

    /// Holds it where it is (SIGSTOP): it keeps its connections, and does nothing.
    pub fn pause(&self) {
        signal(&self.child, "STOP");
    }

    /// Lets it go on (SIGCONT), unaware of the time that passed.
    pub fn resume(&self) {
        signal(&self.child, "CONT");
    }

    /// Kills it, with nothing said (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        ended(&mut self.child, "a killed keyferry");
    }

    /// Asks it to end (SIGTERM), and waits.
    #[must_use]
    pub fn terminate(mut self) -> ExitStatus {
        self.end()
    }

    /// Has it end well, and answers all that it has logged until then.
    #[must_use]
    pub fn last_words(mut self) -> Vec<u8> {
        let status = self.end();
        assert!(status.success(), "{status}");
        if let Some(following) = self.following.take() {
            following.join().unwrap();
        }
        self.log()
    }

    fn end(&mut self) -> ExitStatus {
        signal(&self.child, "TERM");
        ended(&mut self.child, "keyferry serve, after SIGTERM")
    }
}

impl Drop for Keyferry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name. By the shell's own `kill`, which is there where no such program is.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid])
        .status();
    assert!(sent.unwrap().success());
}

/// Keeps what a process writes, and passes on the address that it names.
fn follow(
    output: impl Read + Send + 'static,
    log: Arc<Mutex<Vec<u8>>>,
) -> (JoinHandle<()>, mpsc::Receiver<SocketAddr>) {
    let (found, addresses) = mpsc::channel();
    let following = thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if let Some((_, addr)) = text.trim_end().split_once("keyferry serves on ") {
                let _ = found.send(addr.parse().unwrap());
            }
            log.lock().unwrap().append(&mut line);
        }
    });
    (following, addresses)
}
