//! Several replicas of one world, each a process of its own, with ways to the registry and to Azure that can be cut one by one.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

use keyferry_client::{Client, http_client};
use url::Url;

use crate::{Apart, Cut, Keyferry, Lane, Pace, Site, World, command, eventually};

/// Replicas, in the order in which they were started.
pub struct Fleet {
    /// How fast they live.
    pub pace: Pace,
    replicas: Vec<Replica>,
}

/// How replicas reach the registry and Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// As this machine does.
    Straight,
    /// Each by wires of its own: cutting one breaks its connections, and every new one at once.
    Wires,
    /// Each from a network namespace of its own: cutting a way loses what is sent on it. By wires, where no namespace can be
    /// had, which is said aloud.
    Apart,
}

/// One replica, running or not. It keeps its address.
pub struct Replica {
    // In this order: what runs in a namespace ends before it.
    process: Option<Keyferry>,
    config: PathBuf,
    client: Client,
    registry: Option<Cut>,
    azure: Option<Cut>,
    apart: Option<Apart>,
}

impl Fleet {
    /// So many replicas, all of them ready.
    pub async fn start(world: &World, pace: Pace, replicas: usize, ways: Ways) -> Self {
        let mut fleet = Self {
            pace,
            replicas: Vec::new(),
        };
        for _ in 0..replicas {
            fleet.join(world, ways).await;
        }
        fleet
    }

    /// Starts one more.
    pub async fn join(&mut self, world: &World, ways: Ways) {
        let name = format!("replica-{}.toml", self.replicas.len());
        self.replicas.push(Replica::start(world, &name, self.pace, ways).await);
    }

    /// One of them.
    #[must_use]
    pub fn replica(&self, number: usize) -> &Replica {
        &self.replicas[number]
    }

    /// The same, to have something done to its process.
    pub fn replica_mut(&mut self, number: usize) -> &mut Replica {
        &mut self.replicas[number]
    }

    /// All of them.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// A client of each, with a platform service's token.
    #[must_use]
    pub fn clients(&self) -> Vec<Client> {
        self.replicas.iter().map(|replica| replica.client.clone()).collect()
    }
}

impl Replica {
    async fn start(world: &World, name: &str, pace: Pace, ways: Ways) -> Self {
        let straight = world.site();
        let apart = (ways == Ways::Apart).then(Apart::new).flatten();
        let address = |lane| match &apart {
            Some(apart) => apart.near(lane),
            None => Ipv4Addr::LOCALHOST.into(),
        };
        let (mut registry, mut azure) = (None, None);
        let mut site = Site {
            listen: match &apart {
                // Nobody else is in there.
                Some(apart) => SocketAddr::from((apart.far(Lane::Callers), PORT_APART)),
                None => free_address(),
            },
            pace: Some(pace),
            ..straight.clone()
        };
        if ways != Ways::Straight {
            let wire = Cut::at(address(Lane::Azure), straight.azure).await;
            site.azure = wire.addr();
            azure = Some(wire);
        }
        // A file is reached by no wire.
        if let Some(target) = server_of(&straight.registry).filter(|_| ways != Ways::Straight) {
            let wire = Cut::at(address(Lane::Registry), target).await;
            let mut url: Url = straight.registry.parse().unwrap();
            url.set_ip_host(wire.addr().ip()).unwrap();
            url.set_port(Some(wire.addr().port())).unwrap();
            site.registry = url.into();
            registry = Some(wire);
        }
        let http = http_client([]).build().unwrap();
        let base = format!("http://{}/", site.listen).parse().unwrap();
        let mut replica = Self {
            process: None,
            config: world.file(name, world.config(&site).as_bytes()),
            client: Client::with_http(http, base, world.service_token().await.into()),
            registry,
            azure,
            apart,
        };
        replica.begin().await;
        replica
    }

    /// A client of it, with a platform service's token.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Keyferry {
        self.process.as_ref().unwrap()
    }

    /// Starts its process, which is not running, and waits until it is ready.
    pub async fn begin(&mut self) {
        let mut command = self.apart.as_ref().map_or_else(command, Apart::command);
        command.args(["serve", "--config"]).arg(&self.config);
        self.process = Some(Keyferry::start_by(&mut command));
        eventually("the replica is ready", async || self.client.is_ready().await).await;
    }

    /// Kills its process (SIGKILL).
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Has its process end well (SIGTERM).
    pub fn end(&mut self) {
        let status = self.process.take().unwrap().terminate();
        assert!(status.success(), "{status}");
    }

    /// Holds its process where it is (SIGSTOP).
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets its process go on (SIGCONT).
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Cuts a way of its.
    pub fn cut(&self, lane: Lane) {
        match &self.apart {
            Some(apart) => apart.cut(lane),
            None => self.wire(lane).cut(),
        }
    }

    /// Mends it.
    pub fn mend(&self, lane: Lane) {
        match &self.apart {
            Some(apart) => apart.mend(lane),
            None => self.wire(lane).mend(),
        }
    }

    /// Leads its way to the registry to another server from now on.
    pub fn lead_registry_to(&self, server: SocketAddr) {
        self.wire(Lane::Registry).lead_to(server);
    }

    fn wire(&self, lane: Lane) -> &Cut {
        let wire = match lane {
            Lane::Registry => &self.registry,
            Lane::Azure => &self.azure,
            Lane::Callers => &None,
        };
        wire.as_ref()
            .unwrap_or_else(|| panic!("there is no wire to cut: {lane:?}"))
    }
}

/// The server of a registry's URL, if it has one.
fn server_of(registry: &str) -> Option<SocketAddr> {
    let url: Url = registry.parse().ok()?;
    format!("{}:{}", url.host_str()?, url.port()?).parse().ok()
}

/// An address that is free now; nothing else takes it that asks for any free one while the machine has others.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Where a replica serves that is alone in its network.
const PORT_APART: u16 = 8080;
