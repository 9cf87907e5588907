//! A machine with a disk, which outlives its boots.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    sys,
    vm::{kernel::Kernel, machine},
    workspace,
};

const INIT: &str = include_str!("init.sh");
const PROOF: &str = include_str!("proof.sh");
/// What the disk needs before it can be read.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "ext4"];
/// Seconds, for one boot.
const LIMIT: u32 = 1500;
const ANSWER: &str = "the application on 8000";

pub struct Machine {
    machine: machine::Machine,
    /// On this host; leads to port 80 of the machine.
    port: u16,
    reached: Arc<AtomicBool>,
}

/// Why a boot ended.
pub enum End {
    Reboot,
    Done,
    Failed(String),
}

impl Machine {
    /// With a disk of its own from `base`, and a second one with two packages.
    pub fn new(kernel: Kernel, base: &Path, packages: &[PathBuf; 2]) -> Result<Self> {
        let machine = machine::Machine::new(kernel, LIMIT)?;
        let mut copy = Command::new("cp");
        copy.args(["--sparse=always", "--reflink=auto"])
            .arg(base)
            .arg(machine.path("disk"));
        sys::run("cp", &mut copy)?;
        let brought = machine.path("brought");
        fs::create_dir_all(&brought)?;
        fs::write(brought.join("proof.sh"), PROOF)?;
        fs::write(brought.join("commands"), commands(&manual()?))?;
        for (package, name) in packages.iter().zip(["old.deb", "new.deb"]) {
            fs::copy(package, brought.join(name))?;
        }
        let mut make = Command::new("mke2fs");
        make.args(["-q", "-F", "-t", "ext4", "-d"])
            .arg(&brought)
            .arg(machine.path("second"))
            .arg("64M");
        sys::run("mke2fs", &mut make)?;
        initrd(&machine)?;
        Ok(Self {
            machine,
            port: free_port()?,
            reached: Arc::default(),
        })
    }

    pub fn boot(&self) -> Result<End> {
        let is_over = Arc::new(AtomicBool::new(false));
        let client = thread::spawn({
            let (port, is_over) = (self.port, Arc::clone(&is_over));
            let reached = Arc::clone(&self.reached);
            move || visit(port, &is_over, &reached)
        });
        let outcome = sys::run("the virtual machine", &mut sys::limit(LIMIT, &self.qemu()));
        is_over.store(true, Ordering::Relaxed);
        client.join().ok().context("the client from outside")?;
        outcome?;
        let code = self.machine.read("code");
        Ok(match code.trim() {
            "reboot" => End::Reboot,
            "0" => End::Done,
            "" => {
                eprintln!("{}", machine::tail(&self.machine.read("console")));
                End::Failed("no word".to_owned())
            }
            code => End::Failed(code.to_owned()),
        })
    }

    /// Fails if port 80 never answered a client outside the machine.
    pub fn was_reached(&self) -> Result<()> {
        ensure!(
            self.reached.load(Ordering::Relaxed),
            "port 80 of the machine never answered from outside"
        );
        println!("ok: port 80 answered a client outside the machine");
        Ok(())
    }

    fn qemu(&self) -> Command {
        let disk = |file: &str| {
            let path = self.machine.path(file);
            format!("if=virtio,format=raw,file={}", path.display())
        };
        let mut qemu = self.machine.emulator(&self.machine.path("initrd"));
        qemu.args([
            "-append",
            "console=ttyS0 quiet oops=panic panic=-1 net.ifnames=0 systemd.journald.forward_to_console=1",
        ])
        .args(["-drive", &disk("disk")])
        .args(["-drive", &disk("second")])
        .arg("-nic")
        .arg(format!(
            "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{}-:80",
            self.port
        ));
        qemu
    }
}

fn manual() -> Result<String> {
    let path = workspace::root().join("docs/operating.md");
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The lines of every block that needs systemd.
fn commands(page: &str) -> String {
    let mut commands = String::new();
    let mut is_inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_inside = line == "```systemd";
        } else if is_inside {
            commands.push_str(line);
            commands.push('\n');
        }
    }
    commands
}

/// Asks until there is an answer.
fn visit(port: u16, is_over: &AtomicBool, reached: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) && !reached.load(Ordering::Relaxed) {
        if ask(port).is_ok_and(|answer| answer.contains(ANSWER)) {
            reached.store(true, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// A shell, the modules of the disk, and an init that hands over to the disk's.
fn initrd(machine: &machine::Machine) -> Result<()> {
    let tree = machine.path("initrd.tree");
    for directory in ["bin", "dev", "proc", "root", "modules.d"] {
        fs::create_dir_all(tree.join(directory))?;
    }
    let busybox = sys::which("busybox").context("there is no busybox here")?;
    fs::copy(busybox, tree.join("bin/busybox"))?;
    for program in ["sh", "mount", "insmod", "sleep", "switch_root"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(program))?;
    }
    let mut list = String::new();
    for module in modules(&machine.kernel)? {
        let name = module.file_name().context("a module's name")?;
        let name = name.to_string_lossy().into_owned();
        fs::copy(&module, tree.join("modules.d").join(&name))?;
        list.push_str(&format!("/modules.d/{name}\n"));
    }
    fs::write(tree.join("modules"), list)?;
    crate::vm::root::write_init(&tree, INIT)?;
    crate::vm::root::archive_tree(&tree, &machine.path("initrd"))
}

/// In the order in which they can be loaded.
fn modules(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let version = kernel.version()?;
    let mut modules = Vec::new();
    for module in MODULES {
        let mut modprobe = Command::new(sys::which("modprobe").context("no modprobe here")?);
        modprobe
            .args(["--show-depends", "--set-version", &version, "--dirname"])
            .arg(&kernel.root)
            .arg(module);
        let depends = sys::ask(&mut modprobe).with_context(|| format!("no module {module}"))?;
        for line in depends.lines() {
            // The rest is built in.
            if let Some(path) = line.trim().strip_prefix("insmod ") {
                let path = PathBuf::from(path.trim());
                if !modules.contains(&path) {
                    modules.push(path);
                }
            }
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn the_page_s_commands_are_found() {
        let commands = commands(include_str!("../../../../docs/operating.md"));
        for command in [
            "dpkg --install redirector.deb",
            "systemctl reload redirector",
        ] {
            assert!(commands.lines().any(|line| line == command), "{commands}");
        }
        assert!(!commands.contains("cargo"), "{commands}");
    }
}
