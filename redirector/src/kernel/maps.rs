//! Typed access to the maps of an instance, by their pins.

use std::{os::fd::OwnedFd, path::PathBuf};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use redirector_common::abi::{
    EarlierKey, EarlierTarget, Flow, FlowKey, InterfaceRecord, PortEntry, Rule, RuleCounters,
    RuleKey, Settings, TraceControl, WantedRecord,
};

use super::{
    Error,
    sys::{self, Access},
};

/// A map key or value of `redirector_common::abi`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: bytemuck promises what aya asks for: any bytes are a value, and no padding.
#[expect(unsafe_code, reason = "aya has a trait of its own for plain data")]
unsafe impl<T: bytemuck::Pod> aya::Pod for Plain<T> {}

pub type Values<V> = Array<MapData, Plain<V>>;
pub type Table<K, V> = HashMap<MapData, Plain<K>, Plain<V>>;
pub type PerCpu<V> = PerCpuArray<MapData, Plain<V>>;

/// The maps pinned in one directory, opened for reading alone: whoever may read the pins needs no
/// capability for that.
#[derive(Clone, Debug)]
pub struct Maps {
    directory: PathBuf,
    access: Access,
}

impl Maps {
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            access: Access::Read,
        }
    }

    /// The same maps for a change.
    pub fn writable(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            access: Access::ReadWrite,
        }
    }

    pub fn settings(&self) -> Result<Values<Settings>, Error> {
        self.open("SETTINGS")
    }

    pub fn ports(&self) -> Result<Values<PortEntry>, Error> {
        self.open("PORTS")
    }

    pub fn rules(&self) -> Result<Table<RuleKey, Rule>, Error> {
        self.open("RULES")
    }

    pub fn earlier(&self) -> Result<Table<EarlierKey, EarlierTarget>, Error> {
        self.open("EARLIER")
    }

    /// Flows that the application has not answered.
    pub fn pending(&self) -> Result<Table<FlowKey, Flow>, Error> {
        self.open("PENDING")
    }

    pub fn flows(&self) -> Result<Table<FlowKey, Flow>, Error> {
        self.open("FLOWS")
    }

    /// Every entry of [`pending`](Self::pending), also of a full table in little time.
    pub fn each_pending(&self, each: impl FnMut(FlowKey, Flow)) -> Result<(), Error> {
        self.each("PENDING", each)
    }

    /// Every entry of [`flows`](Self::flows).
    pub fn each_flow(&self, each: impl FnMut(FlowKey, Flow)) -> Result<(), Error> {
        self.each("FLOWS", each)
    }

    /// The storage of sockets, whose values only the kernel can list.
    pub fn sockets(&self) -> Result<OwnedFd, Error> {
        let path = self.directory.join("SOCKETS");
        sys::object_get(&path, Access::ReadWrite).map_err(Error::io("open", path))
    }

    pub fn counters(&self) -> Result<PerCpu<RuleCounters>, Error> {
        self.open("COUNTERS")
    }

    pub fn skipped(&self) -> Result<PerCpu<u64>, Error> {
        self.open("SKIPPED")
    }

    pub fn histograms(&self) -> Result<PerCpu<u64>, Error> {
        self.open("HISTOGRAMS")
    }

    pub fn trace(&self) -> Result<Values<TraceControl>, Error> {
        self.open("TRACE")
    }

    /// Whoever reads it takes the records out, so it must be writable.
    pub fn traced(&self) -> Result<RingBuf<MapData>, Error> {
        self.open("TRACED")
    }

    pub fn trace_lost(&self) -> Result<PerCpu<u64>, Error> {
        self.open("TRACE_LOST")
    }

    /// The kernel's id of a map, which another load's map does not have.
    pub fn id(&self, name: &str) -> Result<u32, Error> {
        let info = self.data(name).and_then(|map| map.info());
        Ok(info.map_err(Error::map(name))?.id())
    }

    pub fn interfaces(&self) -> Result<Table<u32, InterfaceRecord>, Error> {
        self.open("INTERFACES")
    }

    pub fn wanted(&self) -> Result<Table<u32, WantedRecord>, Error> {
        self.open("WANTED")
    }

    /// Opens a pin; aya compares the sizes of key and value with those of the type.
    fn open<M: TryFrom<Map, Error = MapError>>(&self, name: &str) -> Result<M, Error> {
        self.data(name)
            .and_then(Map::from_map_data)
            .and_then(M::try_from)
            .map_err(Error::map(name))
    }

    fn each(&self, name: &str, each: impl FnMut(FlowKey, Flow)) -> Result<(), Error> {
        let map = self.data(name);
        map.and_then(|map| sys::entries(&map, each))
            .map_err(Error::map(name))
    }

    fn data(&self, name: &str) -> Result<MapData, MapError> {
        sys::object_get(&self.directory.join(name), self.access)
            .map_err(MapError::IoError)
            .and_then(MapData::from_fd)
    }
}
