//! The BPF file system: mounted where it is not, and the directories of the instances in it.

mod mount;

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg},
    mount::umount,
    unistd::{AccessFlags, Uid, faccessat},
};

use super::{Error, PinMode};
use crate::config::Name;

const MOUNT_POINT: &str = "/sys/fs/bpf";
const DIRECTORY: &str = "redirector";
/// What a load builds in; bpffs reserves names with dots, and ours cannot contain a tilde.
const STAGING_SUFFIX: &str = "~new";

/// The place for it, which a container may lack.
pub fn require() -> Result<(), Error> {
    fs::metadata(MOUNT_POINT)
        .map(drop)
        .map_err(Error::io("open", MOUNT_POINT))
}

/// The BPF file system, locked against other changes for as long as this lives.
pub struct BpfFs {
    lock: Flock<File>,
    mounted_here: bool,
}

impl BpfFs {
    /// Mounts bpffs if it is not there, and waits for whoever else is changing something.
    pub fn mount_and_lock() -> Result<Self, Error> {
        let mounted_here = !mount::is_mounted()? && mount_once()?;
        let lock = lock_directory()?;
        // Before it is asked whose it is: what is made later could be somebody else's.
        match fs::create_dir(parent()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::io("create", parent()))?,
        }
        refuse_strangers()?;
        Ok(Self { lock, mounted_here })
    }

    /// Why it would be refused, if so. Changes nothing.
    pub fn rehearse_mount() -> Result<(), Error> {
        if !mount::is_mounted()? {
            return mount::refuse_private();
        }
        refuse_strangers()?;
        let mut places = [parent(), MOUNT_POINT.into()].into_iter();
        let Some(place) = places.find(|place| place.exists()) else {
            return Ok(());
        };
        let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(AT_FDCWD, &place, wanted, AtFlags::AT_EACCESS)
            .map_err(|errno| Error::io("write to", place)(errno.into()))
    }

    /// `None` where bpffs is not mounted, so that nothing is loaded.
    pub fn lock_if_mounted() -> Result<Option<Self>, Error> {
        if !mount::is_mounted()? {
            return Ok(None);
        }
        Ok(Some(Self {
            lock: lock_directory()?,
            mounted_here: false,
        }))
    }

    /// Takes back a mount of this very call, for a load that failed.
    pub fn undo_mount(self) {
        let Self { lock, mounted_here } = self;
        if mounted_here {
            drop(lock);
            // Busy means that someone has begun to use it.
            let _ = umount(MOUNT_POINT);
        }
    }
}

/// The directory of an instance. It is loaded if its settings say so.
pub fn directory(name: &Name) -> PathBuf {
    parent().join(name)
}

pub fn staging(name: &Name) -> PathBuf {
    parent().join(format!("{name}{STAGING_SUFFIX}"))
}

/// The names of everything pinned by us, leftovers of interrupted loads included.
pub fn names() -> Result<Vec<Name>, Error> {
    let entries = match fs::read_dir(parent()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("read", parent()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io("read", parent()))?.file_name();
        let name = name.to_string_lossy();
        let name = name.strip_suffix(STAGING_SUFFIX).unwrap_or(&name);
        if let Ok(name) = name.parse() {
            names.push(name);
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

pub fn create(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(Error::io("create", directory))
}

/// Removes a directory of pins, links first so that nothing is attached to what is gone.
pub fn remove(directory: &Path) -> Result<(), Error> {
    for part in ["links", "programs", "maps"] {
        remove_tree(&directory.join(part))?;
    }
    remove_tree(directory)
}

/// Removes our own directory if no instance is left in it.
pub fn remove_parent_if_empty() {
    let is_mark = |name: &OsStr| OPENED.iter().any(|(mark, _)| name == *mark);
    let is_empty = fs::read_dir(parent()).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| is_mark(&entry.file_name())))
    });
    if is_empty {
        // In this order: whoever dies between leaves the marks for the next one.
        let _ = close_mount_point();
        for (mark, _) in OPENED {
            let _ = fs::remove_file(parent().join(mark));
        }
        let _ = fs::remove_dir(parent());
    }
}

/// Lets others read what is pinned, as far as `mode` says. Why they cannot get there, if so.
pub fn admit(directory: &Path, mode: PinMode) -> Result<Option<String>, Error> {
    for part in ["maps", "programs", "links"] {
        set_mode(&directory.join(part), mode.directory())?;
    }
    let maps = directory.join("maps");
    for entry in fs::read_dir(&maps).map_err(Error::io("read", &maps))? {
        let pin = entry.map_err(Error::io("read", &maps))?.path();
        set_mode(&pin, mode.file())?;
    }
    set_mode(directory, mode.passage())?;
    open_mount_point(mode.readers(), mode.directory())
}

/// Links in our own directory that say whom a load has let search the mount point. No mode of it could: those
/// bits that mean nothing there are what `RestrictSUIDSGID=` of systemd.exec(5) forbids.
const OPENED: [(&str, u32); 2] = [("opened~others", 0o001), ("opened~group", 0o010)];

/// systemd and `mount_bpffs` give it mode 0700. Others may search it then, not list it, and every pin has a
/// mode of its own, which is 0600 unless its owner changes that.
fn open_mount_point(readers: u32, directory: u32) -> Result<Option<String>, Error> {
    let parent = parent();
    let point = Path::new(MOUNT_POINT);
    let before = mode_of(point)?;
    let added = readers & !before;
    // Before what they tell of is done.
    for (mark, _) in OPENED.iter().filter(|(_, bit)| added & bit != 0) {
        mark_opened(&parent.join(mark))?;
    }
    let own = mode_of(&parent)? | if readers == 0 { 0 } else { directory };
    set_mode(&parent, own)?;
    if added == 0 {
        return Ok(None);
    }
    Ok(set_mode(point, before | added).err().map(|_| {
        format!(
            "others cannot read what is loaded: {MOUNT_POINT} is closed to them (mode {:04o}), \
             and only its owner can open it",
            before & 0o777
        )
    }))
}

fn mark_opened(mark: &Path) -> Result<(), Error> {
    match symlink(MOUNT_POINT, mark) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", mark)(error))
        }
        _ => Ok(()),
    }
}

fn close_mount_point() -> Result<(), Error> {
    let added = OPENED
        .iter()
        .filter(|(mark, _)| parent().join(mark).is_symlink())
        .fold(0, |all, (_, bit)| all | bit);
    if added == 0 {
        return Ok(());
    }
    let point = Path::new(MOUNT_POINT);
    set_mode(point, mode_of(point)? & !added)
}

fn mode_of(path: &Path) -> Result<u32, Error> {
    let metadata = fs::metadata(path).map_err(Error::io("look at", path))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::io("change the mode of", path))
}

fn parent() -> PathBuf {
    Path::new(MOUNT_POINT).join(DIRECTORY)
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// A directory of ours that is another user's could be emptied by them, and nobody would find what is attached. It takes
/// a mount point that everybody may write to (mode 1777, what mount(8) gives bpffs by itself). Root follows no user there
/// either: whoever may write could put links in the way of what is created, whose targets would get its modes.
fn refuse_strangers() -> Result<(), Error> {
    let Ok(metadata) = fs::symlink_metadata(parent()) else {
        return Ok(());
    };
    let found = Uid::from_raw(metadata.uid());
    if found.is_root() || found == Uid::effective() {
        return Ok(());
    }
    Err(Error::ForeignDirectory {
        path: parent(),
        owner: found.as_raw(),
        loaded: names().unwrap_or_default(),
    })
}

/// Waits for who has it, and says so if that takes long.
fn lock_directory() -> Result<Flock<File>, Error> {
    const QUIET: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(20);
    let error = |errno: Errno| Error::io("lock", MOUNT_POINT)(errno.into());
    let mut root = File::open(MOUNT_POINT).map_err(Error::io("open", MOUNT_POINT))?;
    let start = Instant::now();
    while start.elapsed() < QUIET {
        root = match Flock::lock(root, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((root, Errno::EWOULDBLOCK)) => root,
            Err((_, errno)) => return Err(error(errno)),
        };
        thread::sleep(PAUSE);
    }
    // Nobody above could say so before it is over.
    let note = format!(
        "note: waiting for whoever has {MOUNT_POINT} locked, as another load or unload does"
    );
    let _ = writeln!(io::stderr().lock(), "{note}");
    Flock::lock(root, FlockArg::LockExclusive).map_err(|(_, errno)| error(errno))
}

/// Mounts under a lock of the directory below, so that two first loads do not mount one over the
/// other. False if someone else was faster.
fn mount_once() -> Result<bool, Error> {
    let _below = lock_directory()?;
    if mount::is_mounted()? {
        return Ok(false);
    }
    mount::mount()?;
    Ok(true)
}
