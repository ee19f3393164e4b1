//! A network namespace for one process, with a way to callers, one to the registry and one to Azure, each of which can be cut:
//! what is sent on it is lost, and nobody is told, as when a cable is drawn.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{output_of, postgres::is_root, process::program};

/// A way out of the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// To whoever calls.
    Callers,
    /// To the registry.
    Registry,
    /// To Azure.
    Azure,
}

/// A namespace. It ends with this, and its processes have to end before.
pub struct Apart {
    number: u8,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Callers, Self::Registry, Self::Azure];

    /// What it is called within the namespace.
    fn name(self) -> &'static str {
        match self {
            Self::Callers => "callers",
            Self::Registry => "registry",
            Self::Azure => "azure",
        }
    }
}

impl Apart {
    /// One, if this process may make any; else it is said aloud why not.
    #[must_use]
    pub fn new() -> Option<Self> {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let apart = Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        };
        if let Err(why) = apart.make() {
            // Past the capture of a test's output, which would hide it as long as the test passes.
            let _ = writeln!(
                std::io::stderr(),
                "NOTE: no network namespaces ({}): ways are cut by breaking their connections instead",
                why.trim()
            );
            return None;
        }
        Some(apart)
    }

    /// The address at this end of a lane: what listens there is reached from the namespace by that lane alone.
    #[must_use]
    pub fn near(&self, lane: Lane) -> IpAddr {
        self.address(lane, 1)
    }

    /// The address at the namespace's end.
    #[must_use]
    pub fn far(&self, lane: Lane) -> IpAddr {
        self.address(lane, 2)
    }

    /// Loses all that is sent on a lane, in both directions.
    pub fn cut(&self, lane: Lane) {
        self.set(lane, "down");
    }

    /// Lets through again what is sent on it.
    pub fn mend(&self, lane: Lane) {
        self.set(lane, "up");
    }

    /// The command, in the namespace, with an environment that says nothing.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(ip());
        command.env_clear();
        command.args(["netns", "exec", &self.name()]).arg(program());
        command
    }

    fn make(&self) -> Result<(), String> {
        if !is_root() {
            return Err("it takes root to make them".into());
        }
        let name = self.name();
        run(&["netns", "add", &name])?;
        run(&["-n", &name, "link", "set", "lo", "up"])?;
        for lane in Lane::ALL {
            let (near, far) = (self.interface(lane), lane.name());
            run(&[
                "link", "add", &near, "type", "veth", "peer", "name", far, "netns", &name,
            ])?;
            run(&["addr", "add", &format!("{}/30", self.near(lane)), "dev", &near])?;
            run(&["link", "set", "dev", &near, "up"])?;
            run(&[
                "-n",
                &name,
                "addr",
                "add",
                &format!("{}/30", self.far(lane)),
                "dev",
                far,
            ])?;
            run(&["-n", &name, "link", "set", "dev", far, "up"])?;
        }
        Ok(())
    }

    fn set(&self, lane: Lane, state: &str) {
        run(&["link", "set", "dev", &self.interface(lane), state]).unwrap();
    }

    fn name(&self) -> String {
        format!("keyferry-{}-{}", std::process::id(), self.number)
    }

    /// At most 15 letters, which is all that Linux allows.
    fn interface(&self, lane: Lane) -> String {
        let letter = &lane.name()[..1];
        format!("kf{}{letter}{:x}", std::process::id(), self.number)
    }

    /// Told apart from those of other processes by their number, as far as one byte can.
    fn address(&self, lane: Lane, host: u8) -> IpAddr {
        let [process, ..] = std::process::id().to_le_bytes();
        let lane = match lane {
            Lane::Callers => 0,
            Lane::Registry => 4,
            Lane::Azure => 8,
        };
        Ipv4Addr::new(10, process, self.number, lane + host).into()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for lane in Lane::ALL {
            let _ = run(&["link", "del", "dev", &self.interface(lane)]);
        }
        let _ = run(&["netns", "del", &self.name()]);
    }
}

fn run(arguments: &[&str]) -> Result<(), String> {
    let ran = output_of(Command::new(ip()).args(arguments));
    if ran.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&ran.stderr);
        Err(format!("ip {}: {said}", arguments.join(" ")))
    }
}

/// Where Debian and others have it, for an environment without a path.
fn ip() -> &'static str {
    let places = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"];
    let found = places.into_iter().find(|place| std::fs::exists(place).unwrap_or(false));
    found.unwrap_or("ip")
}
