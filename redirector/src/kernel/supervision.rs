//! One `redirector run` at a time keeps an instance: it holds a lock on the instance's directory, which
//! the kernel lets go of when the process ends, however it ends.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::stat::{major, minor},
};
use procfs::LockKind;

use super::{
    Error, Outcome,
    bpffs::{self, BpfFs},
    capability,
    drain::Drain,
    instance::Instance,
    load::{LoadOptions, load_and},
    reload::reload_locked,
    unload::unload_locked,
};
use crate::{
    check::Netfilter,
    config::{Config, Name},
    plan::Hooks,
};

/// The right to change an instance, which nobody else has for as long as this lives.
pub struct Claim {
    name: Name,
    lock: Flock<File>,
    /// Those of interfaces that have gone meanwhile included.
    hooks: Hooks,
}

impl Claim {
    /// Loads as [`load`](super::load()), and has the instance before anybody else.
    pub fn load(
        name: &Name,
        config: &Config,
        options: LoadOptions,
        netfilter: &dyn Fn() -> Netfilter,
    ) -> Result<(Outcome, Self), Error> {
        load_and(name, config, options, netfilter, || Self::new(name))
    }

    /// Of an instance that is loaded. Fails if somebody has it.
    pub fn take(name: &Name) -> Result<Self, Error> {
        capability::require()?;
        let _bpffs = BpfFs::lock_if_mounted()?;
        Instance::open(name)?.require_namespace()?;
        Self::new(name)
    }

    /// As [`reload`](super::reload()).
    pub fn reload(
        &mut self,
        config: &Config,
        netfilter: &dyn Fn() -> Netfilter,
    ) -> Result<Outcome, Error> {
        let _bpffs = BpfFs::lock_if_mounted()?;
        self.require()?;
        reload_locked(&self.name, config, &mut self.hooks, netfilter)
    }

    /// As [`unload`](super::unload()).
    pub fn unload(self) -> Result<bool, Error> {
        let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
            return Ok(false);
        };
        self.require()?;
        unload_locked(&self.name)
    }

    /// As [`Drain::begin`].
    pub fn drain(&self) -> Result<Option<Drain>, Error> {
        let _bpffs = BpfFs::lock_if_mounted()?;
        self.require()?;
        Drain::begin_locked(&self.name)
    }

    /// As [`Drain::finish`].
    pub fn unload_drained(self, drain: Drain) -> Result<bool, Error> {
        let _bpffs = BpfFs::lock_if_mounted()?;
        self.require()?;
        drain.finish_locked()
    }

    /// The caller holds the lock on the bpffs.
    fn new(name: &Name) -> Result<Self, Error> {
        let lock = lock(name, FlockArg::LockExclusiveNonblock)?;
        Ok(Self {
            name: name.clone(),
            lock: lock.ok_or_else(|| Error::not_loaded(name))?,
            hooks: Hooks::default(),
        })
    }

    /// Fails if the directory was removed behind our back, whatever is there now.
    fn require(&self) -> Result<(), Error> {
        let directory = bpffs::directory(&self.name);
        let ours = self
            .lock
            .metadata()
            .map_err(Error::io("look at", &directory))?;
        match fs::metadata(&directory) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            _ => Err(Error::not_loaded(&self.name)),
        }
    }
}

impl Instance {
    /// The process that keeps this instance (`redirector run`), as far as we may see it.
    pub fn supervisor(&self) -> Option<i32> {
        supervisor(&self.directory)
    }

    /// Fails where a change would be refused whatever it is, for those who have something to say before.
    pub fn require_changeable(&self) -> Result<(), Error> {
        self.require_namespace()?;
        match self.supervisor() {
            None => Ok(()),
            pid => Err(Error::Supervised {
                name: self.name.clone(),
                pid,
            }),
        }
    }
}

/// Fails if a `redirector run` keeps the instance. The caller holds the lock on the bpffs.
pub fn refuse(name: &Name) -> Result<(), Error> {
    lock(name, FlockArg::LockSharedNonblock).map(drop)
}

fn supervisor(directory: &Path) -> Option<i32> {
    let metadata = fs::metadata(directory).ok()?;
    let locks = procfs::locks().ok()?;
    let device = (major(metadata.dev()) as u32, minor(metadata.dev()) as u32);
    locks
        .into_iter()
        .filter(|lock| matches!(lock.kind, LockKind::Write))
        .find(|lock| (lock.devmaj, lock.devmin) == device && lock.inode == metadata.ino())
        .and_then(|lock| lock.pid)
}

/// `None` where there is nothing to lock.
fn lock(name: &Name, how: FlockArg) -> Result<Option<Flock<File>>, Error> {
    let directory = bpffs::directory(name);
    let file = match File::open(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::io("open", &directory))?,
    };
    let locked = Flock::lock(file, how).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => Error::Supervised {
            name: name.clone(),
            pid: supervisor(&directory),
        },
        errno => Error::io("lock", &directory)(errno.into()),
    })?;
    Ok(Some(locked))
}
