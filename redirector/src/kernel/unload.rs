use super::{
    Error, Maps, attach,
    bpffs::{self, BpfFs},
    capability,
    load::switch_off,
    supervision,
};
use crate::config::Name;

/// Removes an instance, or what an interrupted load left of one. False where there was nothing.
pub fn unload(name: &Name) -> Result<bool, Error> {
    capability::require()?;
    let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
        return Ok(false);
    };
    supervision::refuse(name)?;
    unload_locked(name)
}

/// Removes every instance and tells their names; none if a `redirector run` keeps one of them.
pub fn unload_all() -> Result<Vec<Name>, Error> {
    capability::require()?;
    let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
        return Ok(Vec::new());
    };
    let removed = bpffs::names()?;
    removed.iter().try_for_each(supervision::refuse)?;
    for name in &removed {
        unload_locked(name)?;
    }
    Ok(removed)
}

/// For whoever holds the lock on the bpffs, and the instance's if anybody does.
pub fn unload_locked(name: &Name) -> Result<bool, Error> {
    let directories = [bpffs::directory(name), bpffs::staging(name)];
    let found = directories.iter().any(|directory| directory.exists());
    for directory in directories {
        // First out of force, so that a death on the way leaves nothing that is half in force.
        // Maps of another version, or none, are no reason to leave the rest.
        let _ = switch_off(&Maps::new(directory.join("maps")));
        attach::discard(&directory)?;
        bpffs::remove(&directory)?;
    }
    bpffs::remove_parent_if_empty();
    Ok(found)
}
