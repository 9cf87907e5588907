//! Network namespaces: a host each.

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{panic, process, thread};

use nix::sched::{CloneFlags, setns};

use crate::process::run;

/// States of `include/net/tcp_states.h`.
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offloads {
    On,
    Off,
}

/// A host. The namespace is removed with the last clone, also after a panic.
#[derive(Clone)]
pub struct Namespace(Arc<Inner>);

struct Inner {
    name: String,
}

impl Namespace {
    /// A host with loopback up and no other interface.
    ///
    /// # Panics
    /// Without root.
    pub fn new(role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "the integration tests need root: run `cargo xtask test`"
        );
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("redirector-{}-{number}-{role}", process::id());
        run(Command::new("ip").args(["netns", "add", &name])).success("ip netns add");
        let namespace = Self(Arc::new(Inner { name }));
        namespace.ip("link set lo up");
        // Spoofed and asymmetric packets are what the tests send; the host's default may drop them.
        for key in ["ipv4.conf.all.rp_filter", "ipv4.conf.default.rp_filter"] {
            namespace.sysctl(key, "0");
        }
        namespace
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// A veth pair between two hosts, up at both ends.
    pub fn connect(&self, interface: &str, peer: &Self, peer_interface: &str) {
        run(Command::new("ip")
            .args(["link", "add", "name", interface, "netns", &self.0.name])
            .args([
                "type",
                "veth",
                "peer",
                "name",
                peer_interface,
                "netns",
                &peer.0.name,
            ]))
        .success("ip link add");
        self.ip(&format!("link set {interface} up"));
        peer.ip(&format!("link set {peer_interface} up"));
    }

    /// Adds an address such as `10.0.0.1/24`, usable at once.
    pub fn address(&self, interface: &str, address: &str) {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("address add {address} dev {interface} {nodad}"));
    }

    /// Runs `ip` with arguments separated by blanks.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> String {
        self.run(&format!("ip {arguments}"))
    }

    /// Runs a program with arguments separated by blanks; it must succeed.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a program");
        run(self.command(program).args(words)).success(line)
    }

    /// A program that will run on this host. It sees the same mounts as the test, hence
    /// `nsenter`: `ip netns exec` would hide `/sys/fs/bpf` behind a new sysfs.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.0.name))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs a closure on this host. Sockets it makes stay here wherever they are used later.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let handle = File::open(format!("/run/netns/{}", self.0.name)).expect("the namespace");
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(handle, CloneFlags::CLONE_NEWNET).expect("setns");
                    action()
                })
                .join()
                .unwrap_or_else(|payload| panic::resume_unwind(payload))
        })
    }

    /// Writes a key below `net.`, e.g. `ipv4.ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{}", key.replace('.', "/"));
        self.enter(|| fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Checksum, segmentation and receive offloads of an interface. What loopback cannot
    /// change (it never computes a checksum) stays.
    pub fn offloads(&self, interface: &str, offloads: Offloads) {
        let state = match offloads {
            Offloads::On => "on",
            Offloads::Off => "off",
        };
        let features: &[&str] = if interface == "lo" {
            &["tso", "gso", "gro"]
        } else {
            &["tx", "tso", "gso", "gro"]
        };
        let mut command = self.command("ethtool");
        command.args(["-K", interface]);
        for feature in features {
            command.args([feature, state]);
        }
        run(&mut command).success("ethtool -K");
    }

    /// A counter of `/proc/net/snmp` such as `("Tcp", "InCsumErrors")`.
    pub fn snmp(&self, protocol: &str, counter: &str) -> u64 {
        self.counter("snmp", protocol, counter)
    }

    /// A counter of `/proc/net/netstat` such as `("TcpExt", "SyncookiesRecv")`.
    pub fn netstat(&self, protocol: &str, counter: &str) -> u64 {
        self.counter("netstat", protocol, counter)
    }

    fn counter(&self, file: &str, protocol: &str, counter: &str) -> u64 {
        let text = self
            .enter(|| fs::read_to_string(format!("/proc/thread-self/net/{file}")))
            .expect(file);
        let mut lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{protocol}:")));
        let (names, values) = lines.next().zip(lines.next()).expect("a protocol");
        names
            .split_whitespace()
            .zip(values.split_whitespace())
            .find_map(|(name, value)| (name == counter).then(|| value.parse().expect("a number")))
            .unwrap_or_else(|| panic!("no {counter} of {protocol}"))
    }

    /// True when a TCP socket listens on `port`, found without sending a packet.
    pub fn listens_on(&self, port: u16) -> bool {
        self.tcp_sockets().contains(&(port, LISTEN))
    }

    /// True when a UDP socket receives on `port`.
    pub fn receives_on(&self, port: u16) -> bool {
        let sockets = self.run("ss -Hlnu");
        let suffix = format!(":{port}");
        let mut locals = sockets
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3));
        locals.any(|local| local.ends_with(&suffix))
    }

    /// True while a TCP connection may still send something by itself.
    pub fn has_live_connections(&self) -> bool {
        self.live_connections() != 0
    }

    /// Ends of connections that may still send something by themselves.
    pub fn live_connections(&self) -> usize {
        self.tcp_sockets()
            .iter()
            .filter(|(_, state)| ![LISTEN, TIME_WAIT, CLOSE].contains(state))
            .count()
    }

    /// Local port and state of every TCP socket, both families.
    fn tcp_sockets(&self) -> Vec<(u16, u8)> {
        let hexadecimal = |text: &str| u16::from_str_radix(text, 16).ok();
        let socket = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let (_, port) = words.next()?.rsplit_once(':')?;
            Some((
                hexadecimal(port)?,
                u8::try_from(hexadecimal(words.nth(1)?)?).ok()?,
            ))
        };
        ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
            .iter()
            .map(|file| {
                self.enter(|| fs::read_to_string(file))
                    .expect("the list of sockets")
            })
            .flat_map(|list| list.lines().filter_map(socket).collect::<Vec<_>>())
            .collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let output = run(Command::new("ip").args(["netns", "delete", &self.name]));
        if output.code != Some(0) && !thread::panicking() {
            panic!("ip netns delete: {output:#?}");
        }
    }
}
