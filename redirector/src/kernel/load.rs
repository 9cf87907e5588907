use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use redirector_common::abi::{ABI_VERSION, PortEntry, SLOT_OFF, Settings};

use super::{
    Error, Maps, Table,
    attach::{self, Site},
    bpffs::{self, BpfFs},
    capability, conflict,
    fault::Steps,
    instance::{self, Instance},
    maps::Plain,
    namespace, object,
    pin_mode::PinMode,
    table, version, wanted,
};
use crate::{
    check::Netfilter,
    config::{Config, Name},
    plan::{Hooks, Plan},
};

/// The slot that a load fills.
const FIRST_SLOT: u32 = 0;

/// Places for rules, however few there are, so that reloads can add some.
const MIN_CAPACITY: usize = 1024;

/// What is fixed at the load, beside the rules and interfaces.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// What the programs log.
    pub log_level: log::LevelFilter,
    pub pins: PinMode,
}

#[derive(Debug)]
pub enum Outcome {
    Done {
        plan: Plan,
        sites: Vec<Site>,
        /// What the operator should hear.
        notices: Vec<String>,
    },
    /// It was as wanted already.
    Unchanged,
}

/// Loads an instance: all of it, or nothing.
///
/// Everything is built in a directory beside the final one with the rules switched off. One write
/// to `SETTINGS` puts it in force, after the last step that can fail. Before that `netfilter` is asked
/// whether netfilter redirects the same ports, and so may have live connections.
pub fn load(
    name: &Name,
    config: &Config,
    options: LoadOptions,
    netfilter: &dyn Fn() -> Netfilter,
) -> Result<Outcome, Error> {
    load_and(name, config, options, netfilter, || Ok(())).map(|(outcome, ())| outcome)
}

/// The same, and then something that nobody else's change comes before.
pub fn load_and<T>(
    name: &Name,
    config: &Config,
    options: LoadOptions,
    netfilter: &dyn Fn() -> Netfilter,
    then: impl FnOnce() -> Result<T, Error>,
) -> Result<(Outcome, T), Error> {
    capability::require()?;
    let mut steps = Steps::new();
    steps.next()?;
    let bpffs = BpfFs::mount_and_lock()?;
    let outcome = load_locked(name, config, options, netfilter, &mut steps)
        .and_then(|outcome| Ok((outcome, then()?)));
    if outcome.is_err() {
        bpffs::remove_parent_if_empty();
        bpffs.undo_mount();
    }
    outcome
}

/// What a load would do, or why it would be refused; `None` if everything is as wanted already.
/// Changes nothing.
pub fn rehearse_load(name: &Name, config: &Config) -> Result<Option<(Plan, Vec<Site>)>, Error> {
    capability::require()?;
    BpfFs::rehearse_mount()?;
    let Some(plan) = admit(name, config)? else {
        return Ok(None);
    };
    let sites = attach::choose(name, config, &Hooks::default())?;
    attach::rehearse(&bpffs::directory(name), &sites)?;
    Ok(Some((plan, sites)))
}

/// `None` if it is loaded so already.
fn admit(name: &Name, config: &Config) -> Result<Option<Plan>, Error> {
    if let Some(instance) = Instance::find(name)? {
        instance.require_namespace()?;
        // Whose programs they are is a reload's business.
        let plan = Plan {
            programs: false,
            ..Plan::new(Some(&instance.loaded()?), config)
        };
        if plan.is_empty() {
            return Ok(None);
        }
        return Err(Error::Differs { name: name.clone() });
    }
    conflict::refuse(name, config)?;
    Ok(Some(Plan::new(None, config)))
}

fn load_locked(
    name: &Name,
    config: &Config,
    options: LoadOptions,
    netfilter: &dyn Fn() -> Netfilter,
    steps: &mut Steps,
) -> Result<Outcome, Error> {
    let Some(plan) = admit(name, config)? else {
        return Ok(Outcome::Unchanged);
    };
    // Whatever is there was left by a load or unload that did not live to its end.
    for leftover in [bpffs::staging(name), bpffs::directory(name)] {
        attach::discard(&leftover)?;
        bpffs::remove(&leftover)?;
    }
    let sites = attach::choose(name, config, &Hooks::default())?;
    let directory = Building {
        directory: bpffs::staging(name),
    };
    let (table, notices) = build(&directory.directory, config, &sites, options, steps)?;
    let directory = directory.publish(bpffs::directory(name), steps)?;
    steps.next()?;
    let maps = Maps::new(directory.directory.join("maps"));
    switch(&maps, FIRST_SLOT, &table, netfilter())?;
    directory.keep();
    Ok(Outcome::Done {
        plan,
        sites,
        notices,
    })
}

/// A directory of pins that goes away again unless it is kept.
struct Building {
    directory: PathBuf,
}

impl Building {
    fn publish(mut self, to: PathBuf, steps: &mut Steps) -> Result<Self, Error> {
        steps.next()?;
        fs::rename(&self.directory, &to).map_err(Error::io("rename", &self.directory))?;
        self.directory = to;
        Ok(self)
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // The error that brought us here is the one worth telling; the next load tries again.
        let _ = attach::discard(&self.directory);
        let _ = bpffs::remove(&self.directory);
    }
}

fn build(
    directory: &Path,
    config: &Config,
    sites: &[Site],
    options: LoadOptions,
    steps: &mut Steps,
) -> Result<(Table, Vec<String>), Error> {
    let capacity = (2 * table::size(&config.rules)).max(MIN_CAPACITY);
    let wanted = object::Settings {
        capacity: capacity as u32,
        log_level: options.log_level,
    };
    let mut object = object::load(wanted, attach::programs(sites), None)?;
    for part in ["maps", "programs", "links"] {
        steps.next()?;
        bpffs::create(&directory.join(part))?;
    }
    steps.next()?;
    object::pin_maps(&object, &directory.join("maps"))?;
    let closed = bpffs::admit(directory, options.pins)?;
    steps.next()?;
    object::pin_programs(&mut object, &directory.join("programs"), "")?;
    version::write(directory)?;
    let maps = Maps::new(directory.join("maps"));
    steps.next()?;
    write_settings(&maps, &settings(options.log_level)?)?;
    write_interfaces(&maps, sites)?;
    wanted::write(&maps, &config.wanted)?;
    let table = Table::default().next(&config.rules, capacity)?;
    write_slot(&maps, FIRST_SLOT, &Table::default(), &table)?;
    let attached = attach::attach(directory, sites, steps)?;
    let mut notices = attach::pin_all(attached, steps)?;
    notices.extend(closed);
    notices.extend(capability::barriers());
    Ok((table, notices))
}

fn settings(log_level: log::LevelFilter) -> Result<Settings, Error> {
    let netns = namespace::current()?;
    Ok(Settings {
        abi: ABI_VERSION,
        slot: SLOT_OFF,
        since: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        netns,
        // The kernel's field has 16 bits; another namespace's is another one, most probably.
        mark: u32::from(netns as u16) | 1,
        log_level: log_level as u32,
        ..Settings::default()
    })
}

fn write_settings(maps: &Maps, settings: &Settings) -> Result<(), Error> {
    maps.writable()
        .settings()?
        .set(0, Plain(*settings), 0)
        .map_err(Error::map("SETTINGS"))
}

/// Puts a slot in force: the one write that every packet after it sees.
pub fn switch(maps: &Maps, slot: u32, table: &Table, netfilter: Netfilter) -> Result<(), Error> {
    let unused = table.unused();
    change_settings(maps, |settings| Settings {
        slot,
        unused,
        netfilter: match netfilter {
            Netfilter::Nothing => 0,
            Netfilter::Continues => settings.netfilter,
            Netfilter::Redirects => 1,
        },
        ..settings
    })
}

/// Puts nothing in force.
pub fn switch_off(maps: &Maps) -> Result<(), Error> {
    change_settings(maps, |settings| Settings {
        slot: SLOT_OFF,
        ..settings
    })
}

fn change_settings(maps: &Maps, change: impl Fn(Settings) -> Settings) -> Result<(), Error> {
    let Plain(settings) = maps
        .settings()?
        .get(&0, 0)
        .map_err(Error::map("SETTINGS"))?;
    write_settings(maps, &change(settings))?;
    super::sys::wait_for_packets();
    Ok(())
}

/// Before they are attached, so that whatever dies on the way leaves word of its filters.
pub fn write_interfaces(maps: &Maps, sites: &[Site]) -> Result<(), Error> {
    let mut map = maps.writable().interfaces()?;
    for (order, site) in (0..).zip(sites) {
        let key = Plain(site.interface.index);
        let record = instance::record(&site.interface, order, site.flags());
        map.insert(key, Plain(record), 0)
            .map_err(Error::map("INTERFACES"))?;
    }
    Ok(())
}

/// Replaces what an idle slot held by `table`. `PORTS` is emptied first and filled last: whoever is
/// killed between leaves nothing there that `RULES` and `EARLIER` do not tell of.
pub fn write_slot(maps: &Maps, slot: u32, stale: &Table, table: &Table) -> Result<(), Error> {
    let maps = maps.writable();
    let mut ports = maps.ports()?;
    let mut set_port = |index, entry| {
        ports
            .set(index, Plain(entry), 0)
            .map_err(Error::map("PORTS"))
    };
    for index in stale.ports(slot).into_keys() {
        set_port(index, PortEntry::default())?;
    }
    let mut rules = maps.rules()?;
    for (key, _) in stale.rules(slot) {
        rules.remove(&Plain(key)).map_err(Error::map("RULES"))?;
    }
    for (key, rule) in table.rules(slot) {
        rules
            .insert(Plain(key), Plain(rule), 0)
            .map_err(Error::map("RULES"))?;
    }
    let mut earlier = maps.earlier()?;
    for (key, _) in stale.earlier(slot) {
        earlier.remove(&Plain(key)).map_err(Error::map("EARLIER"))?;
    }
    for (key, target) in table.earlier(slot) {
        earlier
            .insert(Plain(key), Plain(target), 0)
            .map_err(Error::map("EARLIER"))?;
    }
    for (index, entry) in table.ports(slot) {
        set_port(index, entry)?;
    }
    Ok(())
}
