//! A loaded instance, as its pins tell.

use std::{
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aya::{maps::MapError, sys::SyscallError};
use log::LevelFilter;
use redirector_common::abi::{ABI_VERSION, InterfaceRecord, RuleCounters, SLOT_OFF, Settings};

use super::{
    Error, Maps, Table,
    attach::{self, Neighbourhood, Owners},
    bpffs, capability,
    maps::{PerCpu, Plain},
    namespace::{self, Place, Way},
    object, sys, version, wanted,
};
use crate::{
    config::{Interface, Name},
    host::Network,
    plan::{Loaded, LoadedInterface, LoadedRule, Presence},
};

/// An instance whose pins are there and whose layout is ours.
#[derive(Clone, Debug)]
pub struct Instance {
    pub name: Name,
    pub directory: PathBuf,
    pub maps: Maps,
    pub settings: Settings,
}

impl Instance {
    /// Opens an instance to read. Nothing is changed, and no lock is taken.
    pub fn open(name: &Name) -> Result<Self, Error> {
        Self::find(name)?.ok_or_else(|| Error::not_loaded(name))
    }

    /// What else is loaded in the calling thread's network namespace, as far as it can be read.
    pub fn others(name: &Name) -> Vec<Name> {
        let names = bpffs::names().unwrap_or_default().into_iter();
        names
            .filter(|other| other != name)
            .filter(|other| matches!(Self::find(other), Ok(Some(found)) if found.is_here()))
            .collect()
    }

    /// `None` where nothing is loaded by this name, or only what an interrupted load left.
    pub fn find(name: &Name) -> Result<Option<Self>, Error> {
        Ok(Self::find_any(name)?.filter(|instance| instance.settings.slot != SLOT_OFF))
    }

    pub fn loaded(&self) -> Result<Loaded, Error> {
        let names = self.current_names();
        let interfaces = self.interfaces(names.as_deref())?;
        let known: Vec<_> = interfaces
            .iter()
            .map(|loaded| loaded.interface.clone())
            .collect();
        let rules = self
            .table(self.settings.slot)?
            .active(&known)
            .into_iter()
            .map(|(number, rule)| LoadedRule { number, rule })
            .collect();
        let wanted = wanted::read(&self.maps)?;
        let present = names.as_deref().unwrap_or(&known);
        Ok(Loaded {
            missing: wanted::missing(&wanted, present, &interfaces),
            wanted,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(self.settings.since),
            interfaces,
            rules,
            is_outdated: version::of(&self.directory) != Some(version::own()),
        })
    }

    /// Who else is on the hooks of the [present](Loaded::present) interfaces, in their order; nothing can be read of another network
    /// namespace's.
    pub fn neighbours(&self, loaded: &Loaded) -> Result<Vec<Neighbourhood>, Error> {
        if !self.is_here() {
            return Ok(Vec::new());
        }
        let owners = match Owners::of(&self.name) {
            Err(error) if error.is_permission() => {
                let unread = Neighbourhood {
                    unread: vec!["it takes root to tell ours from those of others".to_owned()],
                    ..Neighbourhood::default()
                };
                return Ok(loaded.present().map(|_| unread.clone()).collect());
            }
            owners => owners?,
        };
        Ok(loaded
            .present()
            .map(|interface| owners.neighbourhood(interface.index))
            .collect())
    }

    /// The counters of these rules, summed over the CPUs.
    pub fn counters(&self, numbers: &[u32]) -> Result<Vec<RuleCounters>, Error> {
        let map = self.maps.counters()?;
        numbers
            .iter()
            .map(|number| {
                let per_cpu = map.get(number, 0).map_err(Error::map("COUNTERS"))?;
                Ok(per_cpu
                    .iter()
                    .fold(RuleCounters::default(), |sum, Plain(cpu)| sum + *cpu))
            })
            .collect()
    }

    /// Packets by the discriminant of [`redirector_common::Skip`].
    pub fn skipped(&self) -> Result<Vec<u64>, Error> {
        sums(&self.maps.skipped()?, "SKIPPED")
    }

    /// The entries of every [`Histogram`](redirector_common::abi::Histogram).
    pub fn histograms(&self) -> Result<Vec<u64>, Error> {
        sums(&self.maps.histograms()?, "HISTOGRAMS")
    }

    pub(super) fn table(&self, slot: u32) -> Result<Table, Error> {
        let rules: Vec<_> = self
            .maps
            .rules()?
            .iter()
            .map(|entry| entry.map(|(Plain(key), Plain(rule))| (key, rule)))
            .collect::<Result<_, _>>()
            .map_err(Error::map("RULES"))?;
        let earlier: Vec<_> = self
            .maps
            .earlier()?
            .iter()
            .map(|entry| entry.map(|(Plain(index), Plain(earlier))| (index, earlier)))
            .collect::<Result<_, _>>()
            .map_err(Error::map("EARLIER"))?;
        Ok(Table::of_slot(slot, self.settings.unused, rules, earlier))
    }

    /// What its object was loaded with.
    pub(super) fn object_settings(&self) -> Result<object::Settings, Error> {
        let level = self.settings.log_level;
        let mut levels = LevelFilter::iter();
        Ok(object::Settings {
            capacity: self.maps.counters()?.len(),
            log_level: levels
                .find(|each| *each as u32 == level)
                .unwrap_or(LevelFilter::Warn),
        })
    }

    /// Fails unless this process is in the network namespace of the instance.
    pub fn require_namespace(&self) -> Result<(), Error> {
        match self.place()? {
            Place::Here => Ok(()),
            Place::Elsewhere(way) => Err(Error::OtherNamespace {
                name: self.name.clone(),
                way,
            }),
            Place::Gone => Err(Error::GoneNamespace {
                name: self.name.clone(),
            }),
        }
    }

    /// Whether this process is in the network namespace of the instance.
    pub fn is_here(&self) -> bool {
        namespace::current().ok() == Some(self.settings.netns)
    }

    pub fn place(&self) -> Result<Place, Error> {
        let inode = self.settings.netns;
        if inode == namespace::current()? {
            return Ok(Place::Here);
        }
        Ok(match Way::to(inode) {
            Way::Unknown if attach::is_gone(&self.directory)? => Place::Gone,
            way => Place::Elsewhere(way),
        })
    }

    /// Interfaces may have been renamed since; from another network namespace that is not seen.
    fn current_names(&self) -> Option<Vec<Interface>> {
        if !self.is_here() {
            return None;
        }
        Network::read().ok().map(|network| network.interfaces)
    }

    fn find_any(name: &Name) -> Result<Option<Self>, Error> {
        let directory = bpffs::directory(name);
        let maps = Maps::new(directory.join("maps"));
        let settings = match read_settings(&maps) {
            Err(Error::Map { source, .. }) if is_not_found(&source) => return Ok(None),
            Err(Error::Map { source, .. }) if is_other_size(&source) => {
                return Err(other_version(name, source.to_string()));
            }
            Err(Error::Map { source, .. }) if is_refused(&source) => {
                return Err(match capability::require().is_ok() && sys::is_filtered() {
                    true => Error::Filtered,
                    false => Error::Closed { name: name.clone() },
                });
            }
            settings => settings?,
        };
        if settings.abi != ABI_VERSION {
            let found = format!("map layout {}, ours is {ABI_VERSION}", settings.abi);
            return Err(other_version(name, found));
        }
        Ok(Some(Self {
            name: name.clone(),
            directory,
            maps,
            settings,
        }))
    }

    fn interfaces(&self, names: Option<&[Interface]>) -> Result<Vec<LoadedInterface>, Error> {
        let mut records: Vec<_> = self
            .maps
            .interfaces()?
            .iter()
            .map(|entry| entry.map(|(Plain(index), Plain(record))| (index, record)))
            .collect::<Result<_, _>>()
            .map_err(Error::map("INTERFACES"))?;
        records.sort_by_key(|(_, record): &(u32, InterfaceRecord)| record.order);
        records
            .into_iter()
            .map(|(index, record)| {
                let mut current = names.into_iter().flatten();
                let current = current.find(|interface| interface.index == index);
                let name = current.map_or_else(|| name_of(&record), |found| found.name.clone());
                let (attached, hook) = attach::state(&self.directory, index, &record)?;
                let place = if current.is_some() || names.is_none() {
                    Presence::Here
                } else {
                    match attach::holds(&self.directory, index)? {
                        Some(true) => Presence::Elsewhere,
                        Some(false) => Presence::Gone,
                        None => Presence::GoneOrElsewhere,
                    }
                };
                Ok(LoadedInterface {
                    interface: Interface { name, index },
                    // A link goes with its interface.
                    attached: attached && place == Presence::Here,
                    place,
                    hook,
                })
            })
            .collect()
    }
}

/// Every entry of a map, summed over the CPUs.
fn sums(map: &PerCpu<u64>, name: &str) -> Result<Vec<u64>, Error> {
    map.iter()
        .map(|per_cpu| {
            let per_cpu = per_cpu.map_err(Error::map(name))?;
            Ok(per_cpu.iter().map(|Plain(count)| count).sum())
        })
        .collect()
}

fn read_settings(maps: &Maps) -> Result<Settings, Error> {
    let Plain(settings) = maps
        .settings()?
        .get(&0, 0)
        .map_err(Error::map("SETTINGS"))?;
    Ok(settings)
}

fn is_not_found(error: &MapError) -> bool {
    matches!(
        kind(error),
        Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    )
}

fn is_refused(error: &MapError) -> bool {
    kind(error) == Some(io::ErrorKind::PermissionDenied)
}

fn kind(error: &MapError) -> Option<io::ErrorKind> {
    match error {
        MapError::SyscallError(SyscallError { io_error, .. }) => Some(io_error.kind()),
        MapError::IoError(io_error) => Some(io_error.kind()),
        _ => None,
    }
}

fn is_other_size(error: &MapError) -> bool {
    matches!(
        error,
        MapError::InvalidKeySize { .. }
            | MapError::InvalidValueSize { .. }
            | MapError::InvalidMapType { .. }
    )
}

fn other_version(name: &Name, found: String) -> Error {
    Error::OtherVersion {
        name: name.clone(),
        found,
    }
}

fn name_of(record: &InterfaceRecord) -> String {
    let end = record
        .name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(record.name.len());
    String::from_utf8_lossy(&record.name[..end]).into_owned()
}

/// The record of an interface, at most 15 bytes of name (`IFNAMSIZ`).
pub fn record(interface: &Interface, order: u32, attach: u32) -> InterfaceRecord {
    let mut record = InterfaceRecord {
        order,
        attach,
        ..InterfaceRecord::default()
    };
    for (place, byte) in record.name.iter_mut().zip(interface.name.bytes()) {
        *place = byte;
    }
    record
}
