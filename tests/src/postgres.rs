//! A Postgres of the test's own, to be killed, stopped, and taken over from.

use std::{
    ffi::OsStr,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::{eventually, needs, output_of};

/// A server with a directory of its own. It ends with this, whatever state it is in, and with this process, however that ends.
pub struct PostgresServer {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    /// Stops the server when there is nobody left who could write to it.
    watcher: Child,
}

impl PostgresServer {
    /// An empty one, if this machine has Postgres: it has, where tests are given a server.
    #[must_use]
    pub fn start() -> Option<Self> {
        needs("KEYFERRY_TEST_POSTGRES", "Postgres")?;
        Some(Self::new())
    }

    /// An empty one, on a machine that has Postgres where Debian puts it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> Self {
        let server = Self::prepare();
        let data = server.data();
        server.run(
            "initdb",
            [
                "-D".as_ref(),
                data.as_os_str(),
                "-A".as_ref(),
                "trust".as_ref(),
                "-U".as_ref(),
                "postgres".as_ref(),
                "--encoding=UTF8".as_ref(),
                "--locale=C.UTF-8".as_ref(),
                "--no-sync".as_ref(),
            ],
        );
        server.start_again();
        server
    }

    /// A standby that follows this one, which from now on answers no commit before the standby has it: so nothing that
    /// was answered is lost with this one.
    pub async fn standby(&self) -> Self {
        let standby = Self::prepare();
        let port = self.port.to_string();
        let data = standby.data();
        standby.run(
            "pg_basebackup",
            [
                "-D".as_ref(),
                data.as_os_str(),
                "-h".as_ref(),
                "127.0.0.1".as_ref(),
                "-p".as_ref(),
                OsStr::new(&port),
                "-U".as_ref(),
                "postgres".as_ref(),
                "-R".as_ref(),
                "--checkpoint=fast".as_ref(),
                "--no-sync".as_ref(),
            ],
        );
        standby.start_again();
        self.execute("alter system set synchronous_standby_names = '*'").await;
        self.execute("select pg_reload_conf()").await;
        eventually("the standby is followed synchronously", async || {
            let streaming = "select count(*) from pg_stat_replication where sync_state = 'sync'";
            self.number(streaming).await == 1
        })
        .await;
        standby
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A new database of that name, by its URL.
    pub async fn database(&self, name: &str) -> String {
        self.execute(&format!("create database {name}")).await;
        self.url(name)
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Kills it with all its processes at once (SIGKILL), as a machine does that loses power.
    pub fn kill(&self) {
        let lock = self.data().join("postmaster.pid");
        let pid = std::fs::read_to_string(&lock).unwrap();
        let pid = pid.lines().next().unwrap();
        // Stopped first, so that it makes no child meanwhile.
        let killed = r#"kill -s STOP "$0"; kill -s KILL $(cat /proc/"$0"/task/"$0"/children) "$0""#;
        let killed = Command::new("sh").args(["-c", killed, pid]).status();
        assert!(killed.unwrap().success());
        // Whoever starts it again takes a dead process for a living one as long as nobody has asked how it ended.
        std::fs::remove_file(lock).unwrap();
    }

    /// Has it end all sessions and end (`fast`).
    pub fn stop(&self) {
        self.control(&["-m", "fast", "-w", "stop"]);
    }

    /// Starts it after it was stopped or killed, and waits until it takes connections.
    pub fn start_again(&self) {
        // No socket in a file: that has a lock of its own, which a kill would leave.
        let options = format!(
            "-p {} -c unix_socket_directories='' -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300",
            self.port
        );
        let log = self.dir.path().join("log");
        self.control(&["-l", log.to_str().unwrap(), "-o", &options, "-w", "start"]);
    }

    /// Has a standby take over: it follows nobody from now on, and takes writes.
    pub fn promote(&self) {
        self.control(&["-w", "promote"]);
    }

    /// A server that is nothing but its directory and its port.
    fn prepare() -> Self {
        let bins = std::fs::read_dir("/usr/lib/postgresql").unwrap();
        let bins = bins.map(|version| version.unwrap().path().join("bin"));
        let bin = bins.filter(|bin| bin.join("initdb").exists()).max().unwrap();
        let dir = tempfile::tempdir().unwrap();
        if is_root() {
            // Postgres refuses to run as root.
            let own = output_of(Command::new("chown").arg("postgres").arg(dir.path()));
            assert!(own.status.success());
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        let stop = as_postgres("sh".as_ref(), dir.path())
            .args(["-c", r#"read -r _; exec "$0" -D data -m immediate stop"#])
            .arg(bin.join("pg_ctl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let watcher = stop.unwrap();
        Self {
            bin,
            dir,
            port,
            watcher,
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.data();
        let arguments = arguments.iter().map(OsStr::new);
        self.run("pg_ctl", ["-D".as_ref(), data.as_os_str()].into_iter().chain(arguments));
    }

    fn run<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) {
        // What it leaves running keeps what it writes to: so that is a file, and no pipe that would have no end.
        let said = tempfile::tempfile().unwrap();
        let status = as_postgres(&self.bin.join(program), self.dir.path())
            .args(arguments)
            .stdout(said.try_clone().unwrap())
            .stderr(said.try_clone().unwrap())
            .status();
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(status.unwrap().success(), "{program}: {}\n{log}", all_of(said));
    }

    async fn execute(&self, statement: &str) {
        let mut admin = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        statement.execute(&mut admin).await.unwrap();
    }

    async fn number(&self, query: &str) -> i64 {
        let mut admin = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        query.fetch_one(&mut admin).await.unwrap()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Its input ends with this. The server may be stopped, or dead, already.
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// A program of Postgres's, as its user if we are root.
fn as_postgres(program: &Path, dir: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(dir);
    command
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    let id = output_of(Command::new("id").arg("-u"));
    id.stdout.trim_ascii() == b"0"
}

fn all_of(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_answered_outlives_a_kill_and_a_failover() {
        let Some(server) = PostgresServer::start() else { return };
        server.execute("create table kept (number bigint)").await;
        server.execute("insert into kept values (1)").await;
        server.kill();
        server.start_again();
        let standby = server.standby().await;
        server.execute("insert into kept values (2)").await;
        server.kill();
        standby.promote();
        assert_eq!(standby.number("select sum(number)::bigint from kept").await, 3);
        standby.execute("insert into kept values (3)").await;
        standby.stop();
        standby.start_again();
        assert_eq!(standby.number("select sum(number)::bigint from kept").await, 6);
    }
}
