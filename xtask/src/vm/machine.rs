//! One boot under qemu, and the directory it happens in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context as _, Result, bail};

use super::kernel::Kernel;
use crate::{sys, workspace};

/// Of a console that is shown when the program never ended.
const LAST_LINES: usize = 40;

const BOOT: &str = "boot-";

/// Gone when dropped, also after an error.
pub struct Machine {
    pub kernel: Kernel,
    /// Seconds.
    limit: u32,
    directory: PathBuf,
}

impl Machine {
    pub fn new(kernel: Kernel, limit: u32) -> Result<Self> {
        let machines = workspace::virtual_machines();
        sweep(&machines);
        let directory = machines.join(format!("{BOOT}{}", process::id()));
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            kernel,
            limit,
            directory,
        })
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Runs the program of the root file system; its output is ours, and so is its failure.
    pub fn boot(&self) -> Result<()> {
        sys::run(
            "the virtual machine",
            &mut sys::limit(self.limit, &self.qemu()),
        )?;
        match self.read("code").trim() {
            "0" => Ok(()),
            "" => {
                eprintln!("{}", tail(&self.read("console")));
                bail!("the program in the virtual machine did not end")
            }
            code => bail!("the program in the virtual machine ended with {code}"),
        }
    }

    /// Emulated throughout: what runs the tests is often a virtual machine itself.
    fn qemu(&self) -> Command {
        let mut qemu = self.emulator(&self.path("root"));
        qemu.args(["-append", "console=ttyS0 quiet oops=panic panic=-1"]);
        qemu
    }

    /// With what every machine here has.
    pub fn emulator(&self, initrd: &Path) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-smp", "2", "-m", "2G"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .arg("-no-reboot")
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(initrd)
            // ttyS0, ttyS1 and ttyS2 of init.sh.
            .args(["-serial", &to_file(&self.path("console"))])
            .args(["-serial", "stdio"])
            .args(["-serial", &to_file(&self.path("code"))]);
        qemu
    }

    pub fn read(&self, file: &str) -> String {
        let bytes = fs::read(self.path(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("warning: {}: {error}", self.directory.display());
        }
    }
}

/// Removes what was left by processes that an interrupt ended.
fn sweep(machines: &Path) {
    for entry in fs::read_dir(machines).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(BOOT));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another process may be sweeping too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn to_file(path: &Path) -> String {
    format!("file:{}", path.display())
}

pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
