//! A client and a server: two network namespaces joined by a veth pair.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

use super::process::{Background, LIMIT, run};

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listening socket in `/proc/net/tcp` (`include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// A network namespace, removed when it is dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    fn new(role: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}-{role}", process::id());
        run(Command::new("ip").args(["netns", "add", &name]), LIMIT)?;
        let namespace = Self { name };
        namespace.run("ip link set lo up")?;
        // Proxies are clients too. Above the ports in use, and enough for some seconds of connections.
        namespace.sysctl("ipv4/ip_local_port_range", "10240 65535")?;
        namespace.sysctl("ipv4/conf/all/rp_filter", "0")?;
        namespace.sysctl("core/somaxconn", "4096")?;
        Ok(namespace)
    }

    /// A program that will run here. `ip netns exec` would hide `/sys/fs/bpf`. If this program is
    /// killed, the other one is asked to end.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .args(["--", "setpriv", "--pdeathsig", "TERM", "--", program]);
        command
    }

    /// Runs a program with arguments separated by blanks; it must succeed.
    pub fn run(&self, line: &str) -> Result<String> {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default();
        run(self.command(program).args(words), LIMIT)
    }

    /// Runs a closure here. Sockets it makes stay here wherever they are used later.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = format!("/run/netns/{}", self.name);
        let handle = File::open(&path).with_context(|| path.clone())?;
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(handle, CloneFlags::CLONE_NEWNET).context("setns")?;
                    action()
                })
                .join()
                .map_err(|_| anyhow!("a thread of a namespace panicked"))?
        })
    }

    fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| fs::write(&path, value).with_context(|| path.clone()))
    }

    /// Waits until something listens on a TCP port, without sending it a packet.
    pub fn await_listener(&self, port: u16, server: &mut Background) -> Result<()> {
        let start = Instant::now();
        while !self.listens_on(port)? {
            server.check()?;
            if start.elapsed() > PATIENCE {
                bail!("nobody listens on port {port}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn listens_on(&self, port: u16) -> Result<bool> {
        let end = format!(":{port:04X}");
        self.enter(|| {
            for file in ["tcp", "tcp6"] {
                let sockets = fs::read_to_string(format!("/proc/thread-self/net/{file}"))?;
                let listens = sockets.lines().any(|line| {
                    let mut words = line.split_whitespace().skip(1);
                    let local = words.next().unwrap_or_default();
                    local.ends_with(&end) && words.nth(1) == Some(LISTEN)
                });
                if listens {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = run(
            Command::new("ip").args(["netns", "delete", &self.name]),
            LIMIT,
        ) {
            eprintln!("warning: ip netns delete {}: {error:#}", self.name);
        }
    }
}

/// Each host has one `eth0`.
pub struct Lan {
    pub client: Namespace,
    pub server: Namespace,
}

impl Lan {
    pub fn new() -> Result<Self> {
        let client = Namespace::new("client")?;
        let server = Namespace::new("server")?;
        let pair = [
            "link",
            "add",
            "name",
            "eth0",
            "netns",
            &client.name,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &server.name,
        ];
        run(Command::new("ip").args(pair), LIMIT)?;
        for (host, address) in [(&client, CLIENT), (&server, SERVER)] {
            host.run(&format!("ip address add {address}/24 dev eth0"))?;
            host.run("ip link set eth0 up")?;
        }
        Ok(Self { client, server })
    }
}
