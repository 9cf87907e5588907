//! What is attached runs other programs from now on, without a moment in which it runs none.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use aya::programs::ProgramInfo;
use redirector_common::abi::ATTACH_CLSACT;

use super::{DIRECTIONS, clsact, link, link_pins, records};
use crate::kernel::{Error, fault::Steps, upgrade};

/// Every attachment runs the program that is pinned under the name of its own and this suffix.
pub fn run_pinned(directory: &Path, suffix: &str, steps: &mut Steps) -> Result<(), Error> {
    let programs = directory.join("programs");
    let names = names(&programs)?;
    let wanted = |id: u32| -> Option<PathBuf> {
        let path = programs.join(format!("{}{suffix}", names.get(&id)?));
        path.exists().then_some(path)
    };
    for pin in link_pins(directory)? {
        if let Some(program) = link::program(&pin)?.and_then(wanted) {
            steps.next()?;
            link::update(&pin, &program)?;
        }
    }
    for (ifindex, record) in records(directory)? {
        if record.attach & ATTACH_CLSACT == 0 {
            continue;
        }
        for direction in DIRECTIONS {
            for filter in clsact::filters(ifindex, direction)? {
                if let Some(program) = wanted(filter.program) {
                    steps.next()?;
                    clsact::replace(ifindex, direction, &filter, &program)?;
                }
            }
        }
    }
    Ok(())
}

/// Of everything pinned, by the kernel's id.
fn names(programs: &Path) -> Result<HashMap<u32, String>, Error> {
    let mut names = HashMap::new();
    for entry in fs::read_dir(programs).map_err(Error::io("read", programs))? {
        let path = entry.map_err(Error::io("read", programs))?.path();
        let info = ProgramInfo::from_pin(&path)
            .map_err(|error| Error::io("look at", &path)(io::Error::other(error)))?;
        if let Some(name) = upgrade::name(&path) {
            names.insert(info.id(), name.to_owned());
        }
    }
    Ok(names)
}
