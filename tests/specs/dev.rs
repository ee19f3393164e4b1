//! `keyferry dev`: a newcomer's first minute.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use keyferry_tests::{command, process_signal};

/// A running `keyferry dev`, in an empty environment, on free ports.
struct Dev {
    child: Child,
    output: BufReader<ChildStdout>,
    lines: String,
}

impl Dev {
    /// Starts it, and reads what it prints up to the last line to type.
    fn start(home: &Path) -> Self {
        let free = "127.0.0.1:0";
        let mut child = command()
            .args(["dev", "--listen", free, "--azure", free, "--control", free])
            .current_dir(home)
            .env("HOME", home)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut lines, mut line) = (String::new(), String::new());
        while !line.contains("salaries") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "dev ended: {lines}");
            lines.push_str(&line);
        }
        Self { child, output, lines }
    }

    /// What it says to type.
    fn to_type(&self) -> &str {
        self.lines.get(self.lines.find("TOKEN=").unwrap()..).unwrap()
    }

    /// Ctrl-C.
    fn interrupt(mut self) -> String {
        process_signal(&self.child, "INT");
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a shell printed: the answers, and those that were passed on to a variable as well.
struct Printed {
    answers: String,
    passed_on: String,
}

/// Types lines into a shell that knows nothing else.
fn shell(lines: &str) -> Printed {
    let output = Command::new("sh")
        .args(["-ec", lines])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    Printed {
        answers: text(&output.stdout),
        passed_on: text(&output.stderr),
    }
}

/// The value of a JSON field in what was printed.
fn field<'a>(printed: &'a str, name: &str) -> Vec<&'a str> {
    let pattern = format!("\"{name}\":\"");
    printed
        .split(&pattern)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn the_lines_that_dev_prints_work_as_printed_and_a_second_start_finds_its_data() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let Printed { answers, passed_on } = shell(dev.to_type());
    let generated = field(&passed_on, "plaintext");
    assert_eq!(generated.len(), 1);
    assert_eq!(
        field(&answers, "key"),
        generated,
        "the generated key is unwrapped: {answers}"
    );
    assert_eq!(
        field(&answers, "plaintext"),
        ["cGF5cm9sbA"],
        "what was encrypted is decrypted: {answers}"
    );
    assert_eq!(
        field(&answers, "type"),
        ["https://keyferry.dev/problems/not-authentic"],
        "another context is refused: {answers}"
    );
    let sealed = field(&passed_on, "ciphertext").first().unwrap().to_string();
    assert!(dev.interrupt().contains("stopped"));

    let again = Dev::start(home.path());
    let setup: Vec<_> = again.to_type().lines().take(2).collect();
    let decrypt =
        format!("call decrypt '{{\"ciphertext\":\"{sealed}\",\"encryption_context\":{{\"table\":\"payroll\"}}}}'");
    let printed = shell(&format!("{}\n{decrypt}", setup.join("\n"))).answers;
    assert_eq!(field(&printed, "plaintext"), ["cGF5cm9sbA"], "{printed}");
    // And so does one after a crash.
    let mut crashed = again;
    crashed.child.kill().unwrap();
    crashed.child.wait().unwrap();
    let third = Dev::start(home.path());
    let setup: Vec<_> = third.to_type().lines().take(2).collect();
    let printed = shell(&format!("{}\n{decrypt}", setup.join("\n"))).answers;
    assert_eq!(field(&printed, "plaintext"), ["cGF5cm9sbA"], "{printed}");
    let listed = command()
        .args(["tenant", "list"])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&listed.stdout).contains("acme"),
        "the operator's access is found beside it"
    );
    third.interrupt();
}

#[test]
fn what_dev_keeps_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    Dev::start(home.path()).interrupt();
    let mode = std::fs::metadata(home.path().join(".keyferry"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
