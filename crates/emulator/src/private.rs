//! The private network: each private endpoint has an address of its own, where its vault alone is served.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::world::{PrivateEndpoint, World};

/// Who listens and who is connected on the private network.
#[derive(Debug, Default)]
pub(crate) struct PrivateNetwork {
    lines: Mutex<BTreeMap<Ipv4Addr, Line>>,
    builder: OnceLock<Builder>,
}

/// An endpoint's line.
#[derive(Debug, Default)]
struct Line {
    /// Cancelled when the endpoint is gone.
    door: CancellationToken,
    /// Cancelled, and replaced, when connections are to break off.
    connected: CancellationToken,
}

/// An address that is listened at from now on.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    /// Cancelled when it is to be listened at no more.
    pub(crate) closed: CancellationToken,
}

#[derive(Debug)]
struct Builder {
    /// The main address: the private ones have its port.
    https: SocketAddr,
    doors: UnboundedSender<Door>,
}

impl PrivateNetwork {
    /// Opens it for the endpoints that there are; theirs are the first doors. Fails if an address is taken by someone else.
    pub(crate) fn open(&self, https: SocketAddr, world: &World) -> io::Result<UnboundedReceiver<Door>> {
        let (doors, built) = unbounded_channel();
        let _ = self.builder.set(Builder { https, doors });
        for endpoint in world.resources.endpoints.values() {
            self.build(endpoint.address)?;
        }
        Ok(built)
    }

    /// Listens at a free address; none if there is none left.
    pub(crate) fn take_address(&self, world: &World) -> Option<Ipv4Addr> {
        let mut free = ADDRESSES.filter_map(|number| {
            let [high, low] = number.to_be_bytes();
            let address = Ipv4Addr::new(NETWORK[0], NETWORK[1], high, low);
            world.endpoint_at(address).is_none().then_some(address)
        });
        free.find(|address| self.build(*address).is_ok())
    }

    /// Brings the lines to what the world says: what is not open is broken off (unless its vault's
    /// connections linger), what is gone is listened at no more.
    pub(crate) fn settle(&self, world: &World) {
        self.lines().retain(|address, line| {
            let endpoint = world.endpoint_at(*address);
            let lingers =
                |endpoint: &PrivateEndpoint| world.vaults.get(&endpoint.vault).is_some_and(|vault| vault.lingers);
            if endpoint.is_none_or(|endpoint| !endpoint.is_open() && !lingers(endpoint)) {
                std::mem::take(&mut line.connected).cancel();
            }
            if endpoint.is_none() {
                line.door.cancel();
            }
            endpoint.is_some()
        });
    }

    /// What tells a connection at that address that it is to break off; nothing if no endpoint is there.
    pub(crate) fn enter(&self, address: Ipv4Addr) -> Option<CancellationToken> {
        self.lines().get(&address).map(|line| line.connected.clone())
    }

    fn build(&self, address: Ipv4Addr) -> io::Result<()> {
        let builder = self.builder.get().ok_or(io::ErrorKind::NotConnected)?;
        let line = Line::default();
        // Whoever listens at every address does so at this one.
        if !builder.https.ip().is_unspecified() {
            let listener = TcpListener::bind((address, builder.https.port()))?;
            listener.set_nonblocking(true)?;
            let door = Door {
                listener,
                closed: line.door.clone(),
            };
            builder.doors.send(door).map_err(io::Error::other)?;
        }
        self.lines().insert(address, line);
        Ok(())
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Ipv4Addr, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address, if it is of the private network.
pub(crate) fn private_address(address: IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(address) if address.octets().starts_with(&NETWORK) => Some(address),
        _ => None,
    }
}

/// 127.77.0.0/16: all of 127.0.0.0/8 is this machine's own on Linux, and no one else uses this part.
const NETWORK: [u8; 2] = [127, 77];

/// As in Azure, the first addresses are not given out.
const ADDRESSES: std::ops::Range<u16> = 4..u16::MAX;
