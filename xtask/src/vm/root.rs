//! The root file system: files of this host under the names they have here, the kernel's modules,
//! and an init.

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Write as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::machine::Machine;
use crate::sys;

/// What the tests run. Python is not there: its library is larger than all of this.
const PROGRAMS: [&str; 11] = [
    "curl", "ethtool", "ip", "modprobe", "nft", "nginx", "nsenter", "setpriv", "tc", "tcpdump",
    "wg",
];
/// nginx looks up users.
const FILES: [&str; 3] = ["/etc/group", "/etc/nsswitch.conf", "/etc/passwd"];
const INIT: &str = include_str!("init.sh");

/// Writes the archive that the kernel unpacks: the kernel takes several in a row as one.
pub fn archive(machine: &Machine, program: &Path, arguments: &[OsString]) -> Result<()> {
    let tree = machine.path("tree");
    write_tree(&tree, program, arguments)?;
    let path = machine.path("root");
    let mut archive =
        File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    append(&mut archive, Path::new("/"), &files_of_host(program)?)?;
    for directory in [&machine.kernel.root, &tree] {
        append(&mut archive, directory, &everything_in(directory)?)?;
    }
    Ok(())
}

fn write_tree(tree: &Path, program: &Path, arguments: &[OsString]) -> Result<()> {
    // Where the kernel looks for them.
    for (path, program) in [("bin/sh", "busybox"), ("sbin/modprobe", "modprobe")] {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap_or(tree))?;
        symlink(found(program)?, path)?;
    }
    write_init(tree, INIT)?;
    fs::write(tree.join("command"), command(program, arguments)?)?;
    Ok(())
}

pub fn write_init(tree: &Path, text: &str) -> Result<()> {
    let init = tree.join("init");
    fs::write(&init, text)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Everything in a directory, for the kernel to unpack.
pub fn archive_tree(tree: &Path, path: &Path) -> Result<()> {
    let mut archive =
        File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    append(&mut archive, tree, &everything_in(tree)?)
}

/// A line for the shell.
fn command(program: &Path, arguments: &[OsString]) -> Result<String> {
    let mut line = "exec env".to_owned();
    let mut push = |word: &OsStr| -> Result<()> {
        let word = word.to_str().context("a word that is not UTF-8")?;
        line.push(' ');
        line.push_str(&quoted(word));
        Ok(())
    };
    for (name, value) in variables() {
        let mut assignment = name;
        assignment.push("=");
        assignment.push(value);
        push(&assignment)?;
    }
    push(program.as_os_str())?;
    for argument in arguments {
        push(argument)?;
    }
    line.push('\n');
    Ok(line)
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os()
        .filter(|(name, _)| name.as_bytes().starts_with(b"REDIRECTOR_") || name == "RUST_BACKTRACE")
}

/// Programs with their libraries, and the directories on the way to them.
fn files_of_host(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut programs = vec![program.to_owned(), found("busybox")?];
    programs.extend(env::var_os("REDIRECTOR_BIN").map(PathBuf::from));
    for name in PROGRAMS {
        programs.push(found(name)?);
    }
    let mut files: BTreeSet<PathBuf> = FILES
        .iter()
        .map(PathBuf::from)
        .filter(|file| file.is_file())
        .collect();
    for program in programs {
        files.extend(libraries(&program));
        files.insert(program);
    }
    let directories: Vec<_> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .map(Path::to_owned)
        .collect();
    files.extend(directories);
    files
        .iter()
        .filter(|file| *file != Path::new("/"))
        .map(|file| Ok(file.strip_prefix("/")?.to_owned()))
        .collect()
}

/// On PATH.
fn found(program: &str) -> Result<PathBuf> {
    sys::which(program).with_context(|| format!("there is no {program} here"))
}

/// What the loader would map; nothing for a static program.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let list = sys::ask(Command::new("ldd").arg(program)).unwrap_or_default();
    list.split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

fn everything_in(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))?;
        for entry in entries {
            let entry = entry?;
            found.insert(entry.path().strip_prefix(directory)?.to_owned());
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn append(archive: &mut File, directory: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--format=newc", "--null", "--quiet"])
        .args(["--owner=0:0", "--dereference"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(archive.try_clone()?);
    let mut child = cpio.spawn().context("cannot run cpio")?;
    let mut names = child.stdin.take().context("a pipe to cpio")?;
    for file in files {
        names.write_all(file.as_os_str().as_bytes())?;
        names.write_all(b"\0")?;
    }
    drop(names);
    let status = child.wait()?;
    ensure!(status.success(), "cpio failed: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn the_shell_sees_one_word() {
        assert_eq!(quoted("a $b"), "'a $b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
