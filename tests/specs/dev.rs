//! `keyferry dev`: a newcomer's first minute.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use keyferry_tests::{PATIENCE, command, ended, output_of, process_signal};

/// A running `keyferry dev`, in an empty environment, on free ports.
pub struct Dev {
    child: Child,
    output: mpsc::Receiver<String>,
    lines: String,
}

impl Dev {
    /// Starts it, and reads what it prints up to the last line to type.
    pub fn start(home: &Path) -> Self {
        let mut child = in_home(home)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (said, output) = mpsc::channel();
        let printed = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || printed.lines().try_for_each(|line| said.send(line.unwrap())));
        let mut dev = Self {
            child,
            output,
            lines: String::new(),
        };
        while !dev.lines.contains("salaries") {
            let Ok(line) = dev.output.recv_timeout(PATIENCE) else {
                panic!("dev ended, or says nothing more: {}", dev.lines)
            };
            dev.lines.push_str(&line);
            dev.lines.push('\n');
        }
        dev
    }

    /// What it says to type.
    pub fn to_type(&self) -> &str {
        self.lines.get(self.lines.find("TOKEN=").unwrap()..).unwrap()
    }

    /// What stands behind a name, in the line that begins with it.
    pub fn line_of(&self, name: &str) -> &str {
        let mut lines = self.lines.lines().map(str::trim_start);
        lines.find_map(|line| line.strip_prefix(name)).unwrap()
    }

    /// The first word behind a name.
    pub fn after(&self, name: &str) -> &str {
        self.line_of(name).split_whitespace().next().unwrap()
    }

    /// Ctrl-C.
    fn interrupt(mut self) -> String {
        process_signal(&self.child, "INT");
        assert!(ended(&mut self.child, "keyferry dev, after Ctrl-C").success());
        self.output.iter().collect()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that starts it.
fn in_home(home: &Path) -> Command {
    let free = "127.0.0.1:0";
    let mut dev = command();
    dev.args([
        "dev",
        "--listen",
        free,
        "--azure",
        free,
        "--control",
        free,
        "--portal",
        free,
    ])
    .current_dir(home)
    .env("HOME", home);
    dev
}

/// What a shell printed: the answers, and those that were passed on to a variable as well.
pub struct Printed {
    /// What it printed on standard output.
    pub answers: String,
    passed_on: String,
}

/// Types lines into a shell that knows nothing else.
pub fn shell(lines: &str) -> Printed {
    let mut shell = Command::new("sh");
    shell.args(["-ec", lines]).env_clear();
    let output = output_of(shell.env("PATH", std::env::var("PATH").unwrap()));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    Printed {
        answers: text(&output.stdout),
        passed_on: text(&output.stderr),
    }
}

/// The value of a JSON field in what was printed.
pub fn field<'a>(printed: &'a str, name: &str) -> Vec<&'a str> {
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
    ended(&mut crashed.child, "a killed keyferry dev");
    let third = Dev::start(home.path());
    let setup: Vec<_> = third.to_type().lines().take(2).collect();
    let printed = shell(&format!("{}\n{decrypt}", setup.join("\n"))).answers;
    assert_eq!(field(&printed, "plaintext"), ["cGF5cm9sbA"], "{printed}");
    let listed = output_of(command().args(["tenant", "list"]).current_dir(home.path()));
    assert!(
        String::from_utf8_lossy(&listed.stdout).contains("acme"),
        "the operator's access is found beside it"
    );
    third.interrupt();
}

/// What a first start brings about, by the file that shows it and what it then holds, in this order.
const PROGRESS: [(&str, &str); 14] = [
    ("", ""),
    ("emulator/emulator.json", "authority"),
    ("world.json", "platform"),
    ("client-secret", ""),
    ("link-key", ""),
    ("emulator/emulator.json", "Keyferry.Operator"),
    ("emulator/emulator.json", "private-endpoints"),
    ("emulator/emulator.json", "acme-demo.vault.azure.net"),
    ("emulator/emulator.json", "crypto-user"),
    ("emulator/emulator.json", "customer-key"),
    ("keyferry.toml", ""),
    ("registry.db", ""),
    ("registry.db", "tenants"),
    ("service.json", ""),
];

#[test]
fn a_first_start_that_is_killed_at_any_moment_is_taken_up_by_the_next() {
    for (file, content) in PROGRESS {
        let home = tempfile::tempdir().unwrap();
        let shown = home.path().join(".keyferry").join(file);
        let has_come = || match std::fs::read(&shown) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).contains(content),
            Err(_) => shown.is_dir(),
        };
        let mut first = in_home(home.path()).stdout(Stdio::null()).spawn().unwrap();
        loop {
            let is_over = first.try_wait().unwrap().is_some() || home.path().join(".keyferry/service.json").exists();
            if has_come() {
                break;
            }
            assert!(!is_over, "{file} {content} never came");
            std::thread::yield_now();
        }
        first.kill().unwrap();
        first.wait().unwrap();

        let second = Dev::start(home.path());
        let printed = shell(second.to_type()).answers;
        assert_eq!(
            field(&printed, "plaintext"),
            ["cGF5cm9sbA"],
            "killed at {file} {content}: {printed}"
        );
        second.interrupt();
    }
}

#[test]
fn a_customer_waits_to_be_onboarded_at_every_start() {
    let home = tempfile::tempdir().unwrap();
    let page = |dev: &Dev| dev.after("its page").to_owned();
    let get = |url: &str| shell(&format!("curl -s -o - -w '\\n%{{http_code}}' '{url}'")).answers;
    let first = Dev::start(home.path());
    let before = page(&first);
    let shown = get(&before);
    assert!(shown.ends_with("200") && shown.contains("Globex"), "{shown}");
    let portal = get(first.after("its Azure"));
    assert!(portal.ends_with("200") && portal.contains("Globex"), "{portal}");
    let stage = output_of(command().args(["tenant", "show", "globex"]).current_dir(home.path()));
    let stage = String::from_utf8(stage.stdout).unwrap();
    assert!(stage.contains("onboarding (open)"), "{stage}");
    first.interrupt();

    let second = Dev::start(home.path());
    let after = page(&second);
    assert!(get(&after).ends_with("200"));
    // The service may have another port now; what its path says is what was good once.
    let place = |link: &str| link.find("/onboarding/").unwrap();
    let old = format!("{}{}", &after[..place(&after)], &before[place(&before)..]);
    assert!(!get(&old).ends_with("200"), "a new link ends the one before");
    second.interrupt();
}

#[test]
fn a_world_that_cannot_be_read_stops_dev_and_is_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    Dev::start(home.path()).interrupt();
    let world = home.path().join(".keyferry/world.json");
    std::fs::write(&world, "{").unwrap();
    let output = in_home(home.path()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("world.json cannot be read"), "{error}");
    assert_eq!(std::fs::read_to_string(&world).unwrap(), "{");
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
