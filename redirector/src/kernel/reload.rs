use redirector_common::abi::SLOTS;

use super::{
    Error, Outcome, Table,
    attach::{self, Site},
    bpffs::BpfFs,
    capability, conflict,
    fault::Steps,
    instance::Instance,
    load::{switch, write_interfaces, write_slot},
    maps::Plain,
    object, supervision, upgrade, wanted,
};
use crate::{
    check::Netfilter,
    config::{Config, Interface, Name},
    plan::{Hooks, Loaded, Plan},
};

/// Changes an instance in place. Packets see the old rules or the new ones, and a connection keeps
/// the target it began with. `netfilter` as in a load.
pub fn reload(
    name: &Name,
    config: &Config,
    netfilter: &dyn Fn() -> Netfilter,
) -> Result<Outcome, Error> {
    capability::require()?;
    let _bpffs = BpfFs::lock_if_mounted()?;
    supervision::refuse(name)?;
    reload_locked(name, config, &mut Hooks::default(), netfilter)
}

/// For whoever holds the lock on the bpffs, and the instance's if anybody does. `hooks` are those that
/// interfaces had before, and learns those that they have.
pub fn reload_locked(
    name: &Name,
    config: &Config,
    hooks: &mut Hooks,
    netfilter: &dyn Fn() -> Netfilter,
) -> Result<Outcome, Error> {
    let mut steps = Steps::new();
    let (instance, loaded) = open(name)?;
    hooks.learn(&loaded);
    let plan = Plan::new(Some(&loaded), config);
    if plan.is_empty() {
        let slot = instance.settings.slot;
        switch(&instance.maps, slot, &instance.table(slot)?, netfilter())?;
        wanted::write(&instance.maps, &config.wanted)?;
        attach::settle(&instance.directory, config)?;
        return Ok(Outcome::Unchanged);
    }
    let (table, sites) = admit(&instance, config, hooks)?;
    let replaced = match plan.programs {
        true => Some(upgrade::replace(&instance, &mut steps)?),
        false => None,
    };
    let idle = (instance.settings.slot + 1) % SLOTS;
    let stale = instance.table(idle)?;
    write_slot(&instance.maps, idle, &stale, &table)?;
    let switched = attach_new(&instance, &plan, &sites, &mut steps).and_then(|notices| {
        steps.next()?;
        switch(&instance.maps, idle, &table, netfilter())?;
        Ok(notices)
    });
    let mut notices = match switched {
        Ok(notices) => notices,
        Err(error) => {
            // Half-done is undone; the first error is the one worth telling.
            let _ = detach(&instance, &plan.added(&loaded));
            let _ = take_back(&instance, &plan, &loaded, &sites, &mut steps);
            return Err(error);
        }
    };
    detach(&instance, &plan.detach)?;
    write_interfaces(&instance.maps, &sites)?;
    wanted::write(&instance.maps, &config.wanted)?;
    attach::settle(&instance.directory, config)?;
    notices.extend(replaced);
    Ok(Outcome::Done {
        plan,
        sites,
        notices,
    })
}

/// What a reload would do, or why it would be refused; `None` if everything is as wanted already.
/// Changes nothing.
pub fn rehearse_reload(name: &Name, config: &Config) -> Result<Option<(Plan, Vec<Site>)>, Error> {
    capability::require()?;
    let _bpffs = BpfFs::lock_if_mounted()?;
    supervision::refuse(name)?;
    rehearse_locked(name, config)
}

/// The same, whoever keeps the instance.
pub fn rehearse_change(name: &Name, config: &Config) -> Result<Option<(Plan, Vec<Site>)>, Error> {
    capability::require()?;
    let _bpffs = BpfFs::lock_if_mounted()?;
    rehearse_locked(name, config)
}

fn rehearse_locked(name: &Name, config: &Config) -> Result<Option<(Plan, Vec<Site>)>, Error> {
    let (instance, loaded) = open(name)?;
    let plan = Plan::new(Some(&loaded), config);
    if plan.is_empty() {
        return Ok(None);
    }
    let (_, sites) = admit(&instance, config, &loaded.hooks())?;
    let changed = sites.iter().filter(|site| is_changed(&plan, site));
    attach::rehearse(&instance.directory, changed)?;
    Ok(Some((plan, sites)))
}

fn open(name: &Name) -> Result<(Instance, Loaded), Error> {
    let instance = Instance::open(name)?;
    instance.require_namespace()?;
    let loaded = instance.loaded()?;
    Ok((instance, loaded))
}

/// What is to be in force, and where.
fn admit(instance: &Instance, config: &Config, hooks: &Hooks) -> Result<(Table, Vec<Site>), Error> {
    conflict::refuse(&instance.name, config)?;
    let capacity = instance.maps.counters()?.len() as usize;
    let table = instance.table(instance.settings.slot)?;
    let table = table.next(&config.rules, capacity)?;
    let sites = attach::choose(&instance.name, config, hooks)?;
    Ok((table, sites))
}

/// What is new, and what is to be elsewhere.
fn attach_new(
    instance: &Instance,
    plan: &Plan,
    sites: &[Site],
    steps: &mut Steps,
) -> Result<Vec<String>, Error> {
    let changed = sites.iter().filter(|site| is_changed(plan, site));
    let sites: Vec<_> = changed.cloned().collect();
    load_missing(instance, &sites)?;
    write_interfaces(&instance.maps, &sites)?;
    let attached = attach::attach(&instance.directory, &sites, steps)?;
    attach::pin_all(attached, steps)
}

fn is_changed(plan: &Plan, site: &Site) -> bool {
    plan.attach.contains(&site.interface) || plan.rehook.contains(&site.interface)
}

/// What was to be elsewhere is where it was.
fn take_back(
    instance: &Instance,
    plan: &Plan,
    loaded: &Loaded,
    sites: &[Site],
    steps: &mut Steps,
) -> Result<(), Error> {
    let before = |site: &Site| {
        let mut interfaces = loaded.interfaces.iter();
        let loaded = interfaces.find(|loaded| loaded.interface == site.interface)?;
        let xdp = loaded.hook.xdp_mode();
        Some(Site {
            xdp,
            ..site.clone()
        })
    };
    let sites: Vec<_> = sites
        .iter()
        .filter(|site| plan.rehook.contains(&site.interface))
        .filter_map(before)
        .collect();
    let attached = attach::attach(&instance.directory, &sites, steps)?;
    attach::pin_all(attached, steps).map(drop)
}

/// New interfaces run the programs that are pinned already; one of another link layer than any so
/// far needs its own, which are loaded onto the same maps.
fn load_missing(instance: &Instance, sites: &[Site]) -> Result<(), Error> {
    let directory = instance.directory.join("programs");
    let mut missing = attach::programs(sites);
    missing.retain(|name| !directory.join(name).exists());
    if missing.is_empty() {
        return Ok(());
    }
    let settings = instance.object_settings()?;
    let maps = instance.directory.join("maps");
    let mut object = object::load(settings, missing, Some(&maps))?;
    object::pin_programs(&mut object, &directory, "")
}

fn detach(instance: &Instance, interfaces: &[Interface]) -> Result<(), Error> {
    let mut map = instance.maps.writable().interfaces()?;
    for interface in interfaces {
        let key = Plain(interface.index);
        let record = map.get(&key, 0).map(|Plain(record)| record);
        attach::remove(
            &instance.directory,
            interface.index,
            &record.as_ref().copied().unwrap_or_default(),
        )?;
        if record.is_ok() {
            map.remove(&key).map_err(Error::map("INTERFACES"))?;
        }
    }
    Ok(())
}
