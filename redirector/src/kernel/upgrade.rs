//! Programs of another build are replaced where they run: packets meet the old ones or the new ones, on the
//! same maps. So flows and counters stay, and connections do not notice.

use std::{fs, io, path::Path, process};

use super::{Error, attach, fault::Steps, instance::Instance, object, version};

/// Between a program's name and the process that is about to replace it.
const MARK: char = '~';

/// All of them or none. Whoever dies on the way leaves programs of both builds, which do the same, and the
/// next reload replaces them again. Tells what was done.
pub fn replace(instance: &Instance, steps: &mut Steps) -> Result<String, Error> {
    let directory = instance.directory.join("programs");
    let suffix = format!("{MARK}{}", process::id());
    let names: Vec<_> = object::NAMES
        .into_iter()
        .filter(|name| directory.join(name).exists())
        .collect();
    let settings = instance.object_settings()?;
    let maps = instance.directory.join("maps");
    let mut object = object::load(settings, names.iter().copied(), Some(&maps))?;
    steps.next()?;
    let replaced = object::pin_programs(&mut object, &directory, &suffix)
        .and_then(|()| attach::run_pinned(&instance.directory, &suffix, steps))
        .and_then(|()| steps.next());
    if let Err(error) = replaced {
        // Half-done is undone; the first error is the one worth telling.
        let _ = attach::run_pinned(&instance.directory, "", &mut Steps::none());
        let _ = remove_marked(&directory);
        return Err(error);
    }
    for name in names {
        let path = directory.join(format!("{name}{suffix}"));
        fs::rename(&path, directory.join(name)).map_err(Error::io("rename", &path))?;
    }
    remove_marked(&directory)?;
    let before = version::of(&instance.directory);
    version::write(&instance.directory)?;
    let before = before.as_deref().unwrap_or("an earlier build");
    Ok(format!(
        "its programs were of {before} and were replaced in place by those of {}",
        version::own()
    ))
}

/// The name that a pin's program has in the object.
pub fn name(pin: &Path) -> Option<&str> {
    let name = pin.file_name()?.to_str()?;
    Some(name.split_once(MARK).map_or(name, |(name, _)| name))
}

/// Also what one left that did not live to its end.
fn remove_marked(directory: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(directory).map_err(Error::io("read", directory))?;
    for entry in entries {
        let path = entry.map_err(Error::io("read", directory))?.path();
        if !path.to_string_lossy().contains(MARK) {
            continue;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
