//! An instance of redirector, and its maps and programs by their pins.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, Map, MapData};
use redirector_common::abi::{
    Address, FLOW_OPENED, FLOW_SOCKETLESS, Flow, FlowKey, KEY_FLOW, Port, Protocol, Settings,
};

use super::{FRONT, TARGET};
use crate::bench::{
    process::{Background, LIMIT, run},
    topology::{CLIENT, Namespace, SERVER},
};

const KEY: usize = size_of::<FlowKey>();
const VALUE: usize = size_of::<Flow>();
const SETTINGS: usize = size_of::<Settings>();

/// The client's port of the flow that test runs belong to.
pub const KNOWN: u16 = 40_000;
/// The same of one whose packets are never noted in the cache.
pub const UNCACHED: u16 = 40_001;

/// Which rules a measurement needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    Tcp,
    /// TCP and UDP.
    Both,
    /// Also from the target back, so that a packet that was rewritten can be rewritten again.
    ThereAndBack,
}

/// What is the same for all instances.
pub struct Load<'a> {
    pub binary: &'a Path,
    pub rules: Rules,
}

/// Unloaded when it is dropped.
pub struct Instance {
    binary: PathBuf,
    name: String,
}

impl Instance {
    pub fn load(server: &Namespace, load: &Load<'_>, options: &[&str], rules: u16) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let instance = Self {
            binary: load.binary.to_owned(),
            name: format!("bench-{}-{number}", process::id()),
        };
        let directory = Background::directory()?;
        let file = directory.path().join("redirector.toml");
        fs::write(&file, configuration(load.rules, rules))
            .context("cannot write a configuration")?;
        let mut command = server.command(&load.binary.to_string_lossy());
        command
            .args(["load", "--name", &instance.name, "--config"])
            .arg(&file)
            .args(options);
        run(&command, LIMIT)?;
        Ok(instance)
    }

    pub fn pins(&self, kind: &str) -> PathBuf {
        Path::new("/sys/fs/bpf/redirector")
            .join(&self.name)
            .join(kind)
    }

    /// Adds live flows of clients that do not exist.
    pub fn fill(&self, flows: u32) -> Result<()> {
        if flows == 0 {
            return Ok(());
        }
        let mut table = self.flows()?;
        for number in 0..flows {
            // Addresses of another network, so that no real client has them.
            let [low, high, ..] = number.to_le_bytes();
            let remote = u32::from(CLIENT) + (1 << 16) + (number >> 16 << 8);
            let port = u16::from_le_bytes([low, high]);
            table.insert(key(remote, port, TARGET), flow(FRONT), 0)?;
        }
        Ok(())
    }

    /// Adds the flows of the test runs, there and back. Packets are not marked, since the same one runs
    /// again and again.
    pub fn know(&self) -> Result<()> {
        let mut settings: Array<MapData, [u8; SETTINGS]> = self.map("SETTINGS")?.try_into()?;
        let unmarked = Settings {
            mark: 0,
            ..bytemuck::pod_read_unaligned(&settings.get(&0, 0)?)
        };
        settings.set(0, bytemuck::cast::<_, [u8; SETTINGS]>(unmarked), 0)?;
        let mut table = self.flows()?;
        for (from, to) in [(FRONT, TARGET), (TARGET, FRONT)] {
            for client in [KNOWN, UNCACHED] {
                table.insert(key(CLIENT.into(), client, to), flow(from), 0)?;
            }
        }
        Ok(())
    }

    fn flows(&self) -> Result<HashMap<MapData, [u8; KEY], [u8; VALUE]>> {
        Ok(HashMap::try_from(self.map("FLOWS")?)?)
    }

    fn map(&self, name: &str) -> Result<Map> {
        let pin = self.pins("maps").join(name);
        MapData::from_pin(&pin)
            .and_then(Map::from_map_data)
            .with_context(|| pin.display().to_string())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let mut command = process::Command::new(&self.binary);
        command.args(["unload", "--any-namespace", "--name", &self.name]);
        // A load that failed left nothing, which unload calls an error.
        if self.pins("maps").exists()
            && let Err(error) = run(&command, LIMIT)
        {
            eprintln!("warning: unload {}: {error:#}", self.name);
        }
    }
}

fn key(remote: u32, remote_port: u16, local_port: u16) -> [u8; KEY] {
    bytemuck::cast(FlowKey {
        remote: Address::ipv4(remote.to_be()),
        local: Address::ipv4(u32::from(SERVER).to_be()),
        remote_port: Port::new(remote_port),
        local_port: Port::new(local_port),
        scope: 0,
        protocol: Protocol::TCP,
        kind: KEY_FLOW,
    })
}

fn flow(from: u16) -> [u8; VALUE] {
    bytemuck::cast(Flow {
        // Old, and no socket here could remember it: a container has it.
        created: 0,
        flags: FLOW_OPENED | FLOW_SOCKETLESS,
        ..Flow::resumed(Port::new(from), 0)
    })
}

fn configuration(rules: Rules, count: u16) -> String {
    let protocol = if rules == Rules::Both { "both" } else { "tcp" };
    let usual = [(FRONT, TARGET), (443, 4430)];
    let back = (rules == Rules::ThereAndBack).then_some((TARGET, FRONT));
    let others = (2..count).map(|number| (10_000 + number, 30_000 + number));
    let mut text = "interfaces = [\"eth0\", \"lo\"]\n".to_owned();
    for (from, to) in usual.into_iter().chain(back).chain(others) {
        // A string takes whatever is written.
        let _ = writeln!(
            text,
            "[[redirect]]\nfrom = {from}\nto = {to}\nprotocol = \"{protocol}\""
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Rules, configuration};

    #[test]
    fn as_many_rules_as_asked_for() {
        let count = |rules, number| configuration(rules, number).matches("[[redirect]]").count();
        assert_eq!(count(Rules::Tcp, 2), 2);
        assert_eq!(count(Rules::Both, 10_000), 10_000);
        assert_eq!(count(Rules::ThereAndBack, 2), 3);
    }
}
