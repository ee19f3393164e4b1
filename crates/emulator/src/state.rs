//! The world behind its lock, with what watches and disturbs it; kept in a directory if one is given.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use serde::{Deserialize, Serialize};

use crate::{
    background::Background,
    calls::Calls,
    encoding::hex_name,
    events::Events,
    fault::Faults,
    form::FormToken,
    keyvault::Throttle,
    private::PrivateNetwork,
    rsa::RsaKey,
    tls::{Authority, Certificates},
    world::{SigningKey, World},
};

/// All of the emulator's state.
pub(crate) struct State {
    world: Mutex<World>,
    authority: Authority,
    file: Option<PathBuf>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
    pub(crate) throttle: Throttle,
    pub(crate) private: PrivateNetwork,
    pub(crate) form_token: FormToken,
    pub(crate) events: Events,
    pub(crate) background: Background,
    /// How many connections were taken so far, and what came between them that has to be told from them.
    pub(crate) connections: AtomicU64,
}

/// What is kept between runs.
#[derive(Deserialize)]
struct Kept {
    authority: Authority,
    world: World,
}

/// The same, to be written.
#[derive(Serialize)]
struct Keep<'a> {
    authority: &'a Authority,
    world: &'a World,
}

impl State {
    /// Reads what is kept in `directory`, or begins anew. Making the first keys takes a moment: not for an async thread.
    pub(crate) fn open(directory: Option<&Path>, signing_key: Option<&[u8]>) -> io::Result<Self> {
        if let Some(directory) = directory {
            fs::create_dir_all(directory)?;
        }
        let file = directory.map(|directory| directory.join("emulator.json"));
        let kept = match &file {
            Some(file) if file.exists() => serde_json::from_slice(&fs::read(file)?).map_err(io::Error::other)?,
            _ => Kept {
                authority: Authority::generate().map_err(io::Error::other)?,
                world: new_world(signing_key)?,
            },
        };
        let certificates = Certificates::new(&kept.authority).map_err(io::Error::other)?;
        let state = Self {
            world: Mutex::new(kept.world),
            authority: kept.authority,
            file,
            certificates: Arc::new(certificates),
            faults: Faults::default(),
            calls: Calls::default(),
            throttle: Throttle::default(),
            private: PrivateNetwork::default(),
            form_token: FormToken::draw(),
            events: Events::default(),
            background: Background::default(),
            connections: AtomicU64::new(0),
        };
        state.save(&state.world())?;
        Ok(state)
    }

    pub(crate) fn ca_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// The world, to look at.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world, with who is connected to it, and keeps the change before it is answered. A failure to write is only told: the emulator goes on.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world();
        let result = act(&mut world);
        self.private.settle(&world);
        if let Err(error) = self.save(&world) {
            tracing::warn!(%error, "the emulator's state was not written");
        }
        result
    }

    /// Written beside and renamed, so that a kill leaves the old state or the new one.
    fn save(&self, world: &World) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let beside = file.with_extension("json.new");
        let text = serde_json::to_vec(&Keep {
            authority: &self.authority,
            world,
        })?;
        let mut out = fs::File::create(&beside)?;
        out.write_all(&text)?;
        out.sync_all()?;
        fs::rename(&beside, file)
    }
}

fn new_world(signing_key: Option<&[u8]>) -> io::Result<World> {
    let key = match signing_key {
        Some(pkcs8) => RsaKey::from_pkcs8(pkcs8),
        None => RsaKey::generate(2048),
    };
    let key = key.map_err(|_| io::Error::other("no RSA key could be made"))?;
    Ok(World::new(SigningKey {
        kid: hex_name(),
        key: Arc::new(key),
    }))
}
