//! The binary under test.

use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, thread};

use aya::maps::{Array, HashMap, Map, MapData};
use nix::sys::signal::Signal;
use redirector::kernel::Plain;
use redirector_common::abi::{Flow, FlowKey, Recent};
use redirector_common::recent::place_of;
use serde_json::Value;

use crate::netns::Namespace;
use crate::process::{Background, Output, run};

/// Names the hook that instances are loaded at, unless a test asks for one.
pub const HOOK: &str = "REDIRECTOR_HOOK";
pub const NATIVE_XDP: &str = "xdp-native";

/// The binary under test.
///
/// # Panics
/// When `REDIRECTOR_BIN` does not name a file.
pub fn binary() -> PathBuf {
    let path = env::var_os("REDIRECTOR_BIN")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            panic!("REDIRECTOR_BIN is not set: run the integration tests with `cargo xtask test`")
        });
    assert!(
        path.is_file(),
        "REDIRECTOR_BIN is not a file: {}",
        path.display()
    );
    path
}

pub type FlowTable = HashMap<MapData, Plain<FlowKey>, Plain<Flow>>;

/// An instance with a name of its own on one host. Dropping it unloads it.
pub struct Instance {
    host: Namespace,
    name: String,
    environment: Option<(&'static str, String)>,
}

impl Instance {
    /// A name, nothing loaded yet.
    pub fn unloaded(host: &Namespace) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", process::id());
        binary();
        Self {
            host: host.clone(),
            name,
            environment: None,
        }
    }

    /// Loads with arguments separated by blanks, e.g. `-i eth0 -i lo 80:8000`, at the hook that
    /// `REDIRECTOR_HOOK` names.
    #[track_caller]
    pub fn load(host: &Namespace, arguments: &str) -> Self {
        let instance = Self::unloaded(host);
        let hook = hook_under_test(host, arguments);
        instance
            .run("load", &format!("{hook} {arguments}"))
            .success("load");
        instance
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn host(&self) -> &Namespace {
        &self.host
    }

    pub fn pins(&self) -> PathBuf {
        PathBuf::from("/sys/fs/bpf/redirector").join(&self.name)
    }

    /// Sets an environment variable for the commands to come.
    pub fn set(&mut self, variable: &'static str, value: impl ToString) {
        self.environment = Some((variable, value.to_string()));
    }

    pub fn unset(&mut self) {
        self.environment = None;
    }

    /// A verb with `--name` and arguments separated by blanks.
    #[track_caller]
    pub fn run(&self, verb: &str, arguments: &str) -> Output {
        run(&mut self.command(verb, arguments))
    }

    pub fn command(&self, verb: &str, arguments: &str) -> Command {
        let mut command = self.host.command(&binary().display().to_string());
        command
            .args([verb, "--name", &self.name])
            .args(arguments.split_whitespace());
        command.envs(
            self.environment
                .as_ref()
                .map(|(variable, value)| (variable, value)),
        );
        command
    }

    /// As after many newer flows: the flow tables are emptied, and so is the cache, what sockets remember stays. Says
    /// how many flows that were.
    pub fn forget_flows(&self) -> usize {
        let flows = self.empty_tables();
        let data = MapData::from_pin(self.pins().join("maps/RECENT")).expect("the cache");
        let mut cache: Array<_, Plain<Recent>> =
            Map::Array(data).try_into().expect("places of the cache");
        for key in &flows {
            cache
                .set(place_of(key), Plain(Recent::default()), 0)
                .expect("a place of the cache");
        }
        flows.len()
    }

    /// The cache and sockets alone know any flow. Says which they are.
    pub fn empty_tables(&self) -> Vec<FlowKey> {
        let mut all = Vec::new();
        for name in ["PENDING", "FLOWS"] {
            let mut flows = self.flow_table(name);
            for key in flows.keys().collect::<Vec<_>>() {
                let key = key.expect("a flow");
                flows.remove(&key).expect("remove a flow");
                all.push(key.0);
            }
        }
        all
    }

    /// Other programs are loaded while `reader` is stopped, so that it cannot look in between.
    #[track_caller]
    pub fn load_unseen(&self, reader: &Background, arguments: &str) {
        reader.pause();
        self.run("unload", "").success("unload");
        self.run("load", arguments).success("load");
        reader.signal(Signal::SIGCONT);
    }

    /// `PENDING` or `FLOWS`, to write.
    #[track_caller]
    pub fn flow_table(&self, name: &str) -> FlowTable {
        let data = MapData::from_pin(self.pins().join("maps").join(name)).expect("the table");
        Map::LruHashMap(data).try_into().expect("a table of flows")
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        json(&self.run("status", "--json").success("status --json"))
    }

    #[track_caller]
    pub fn stats(&self) -> Value {
        json(&self.run("stats", "--json").success("stats --json"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.unset();
        let output = self.run("unload", "");
        if output.code != Some(0) && !thread::panicking() {
            panic!("unload: {output:#?}");
        }
    }
}

/// `xdp-native` or `xdp-generic`. Where a driver has no XDP of its own it is generic. Where XDP is refused
/// it is traffic control, which is also the default: for packets without an Ethernet header, on an
/// interface and one above it, and beside another program.
fn hook_under_test(host: &Namespace, arguments: &str) -> &'static str {
    let hook = match env::var(HOOK).as_deref() {
        Err(_) => return "",
        Ok(NATIVE_XDP) => "--hook xdp",
        Ok("xdp-generic") => "--hook xdp --xdp-mode generic",
        Ok(other) => panic!("{HOOK}={other}: `{NATIVE_XDP}` or `xdp-generic`"),
    };
    let words: Vec<_> = arguments.split_whitespace().collect();
    let is_refused = |name: &str| {
        let link = json(&host.ip(&format!("-json link show dev {name}")));
        let link = &link[0];
        let has_ethernet =
            ["ether", "loopback"].contains(&link["link_type"].as_str().unwrap_or_default());
        let is_stacked = ["master", "link"]
            .iter()
            .any(|other| words.contains(&link[other].as_str().unwrap_or_default()));
        !has_ethernet || is_stacked || link.get("xdp").is_some()
    };
    let mut interfaces = words.windows(2).filter(|pair| pair[0] == "-i");
    if words.contains(&"--hook") || interfaces.any(|pair| is_refused(pair[1])) {
        return "";
    }
    hook
}

/// An interface of `status --json`.
#[track_caller]
pub fn interface<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["interfaces"]
        .as_array()
        .and_then(|interfaces| interfaces.iter().find(|each| each["name"] == name))
        .unwrap_or_else(|| panic!("an interface {name} in {status}"))
}

/// One JSON document.
#[track_caller]
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON, {error}: {text}"))
}
