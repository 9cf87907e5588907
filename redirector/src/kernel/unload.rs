use super::{
    Error, Maps, attach,
    bpffs::{self, BpfFs},
    capability,
    instance::Instance,
    load::switch_off,
    namespace::{Place, Way},
    supervision,
};
use crate::config::Name;

/// Which network namespaces an unload reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The calling thread's, and those that are gone.
    Here,
    Anywhere,
}

/// What came of the instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unloaded {
    pub removed: Vec<Name>,
    /// Of other network namespaces, and left alone.
    pub left: Vec<(Name, Way)>,
    /// Removed, but for the filters on clsact qdiscs, which only their own network namespace can remove.
    /// They redirect nothing any more.
    pub with_filters: Vec<(Name, Way)>,
}

/// Removes an instance, or what an interrupted load left of one. None is removed where there was nothing.
pub fn unload(name: &Name, reach: Reach) -> Result<Unloaded, Error> {
    let unloaded = unload_each(reach, || Ok(vec![name.clone()]))?;
    match unloaded.left.into_iter().next() {
        Some((name, way)) => Err(Error::UnloadElsewhere { name, way }),
        None => Ok(Unloaded {
            left: Vec::new(),
            ..unloaded
        }),
    }
}

/// Removes every instance within reach; none if a `redirector run` keeps one of them.
pub fn unload_all(reach: Reach) -> Result<Unloaded, Error> {
    unload_each(reach, bpffs::names)
}

fn unload_each(
    reach: Reach,
    names: impl FnOnce() -> Result<Vec<Name>, Error>,
) -> Result<Unloaded, Error> {
    capability::require()?;
    let mut unloaded = Unloaded::default();
    let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
        return Ok(unloaded);
    };
    let mut reached = Vec::new();
    for name in names()? {
        match place(&name)? {
            Place::Elsewhere(way) if reach == Reach::Here => unloaded.left.push((name, way)),
            place => reached.push((name, place)),
        }
    }
    reached
        .iter()
        .try_for_each(|(name, _)| supervision::refuse(name))?;
    for (name, place) in reached {
        if let Place::Elsewhere(way) = place
            && attach::has_filters(&bpffs::directory(&name))
        {
            unloaded.with_filters.push((name.clone(), way));
        }
        if unload_locked(&name)? {
            unloaded.removed.push(name);
        }
    }
    Ok(unloaded)
}

/// Pins of another version, and what an interrupted load left, are removed wherever they are seen: nobody
/// can tell where the one was loaded, and the other redirects nothing.
fn place(name: &Name) -> Result<Place, Error> {
    match Instance::find(name) {
        Ok(Some(instance)) => instance.place(),
        Ok(None) | Err(_) => Ok(Place::Here),
    }
}

/// For whoever holds the lock on the bpffs, and the instance's if anybody does. False where there was
/// nothing.
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
