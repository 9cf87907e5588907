//! The programs in the kernel, run on packets by `BPF_PROG_TEST_RUN`, without an interface.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use aya::maps::{Array, Map, MapData, PerCpuArray};
use aya::programs::{Program, SchedClassifier, TestRun, TestRunOptions, TestRunResult, Xdp};
use aya::{Ebpf, maps};
use nix::time::{ClockId, clock_gettime};
use redirector::kernel::{INGRESS_XDP, ObjectSettings, PROGRAMS, Plain, Table, load_object};
use redirector_common::abi::{
    EarlierKey, EarlierTarget, Flow, FlowKey, PortEntry, Protocol, Recent, Rule, RuleCounters,
    RuleKey, Settings, XDP_MARK,
};
use redirector_common::native::Frame;
use redirector_common::recent::place_of;
use redirector_common::{Direction, LinkLayer};

type Keyed<K, V> = maps::HashMap<MapData, Plain<K>, Plain<V>>;

/// What a packet that comes in passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    Tc,
    XdpThenTc,
    /// With XDP as kernels get it that know no packets in fragments there.
    LinearXdpThenTc,
}

impl Hooks {
    fn xdp(self) -> &'static str {
        match self {
            Self::LinearXdpThenTc => "xdp_linear",
            Self::Tc | Self::XdpThenTc => INGRESS_XDP,
        }
    }
}

pub struct Programs {
    object: Ebpf,
    pub hooks: Hooks,
    /// Packets that XDP rewrote.
    pub accelerated: u64,
    settings: Array<MapData, Plain<Settings>>,
    ports: Array<MapData, Plain<PortEntry>>,
    rules: Keyed<RuleKey, Rule>,
    earlier: Keyed<EarlierKey, EarlierTarget>,
    pending: Keyed<FlowKey, Flow>,
    answered: Keyed<FlowKey, Flow>,
    moved: Keyed<FlowKey, Flow>,
    recent: Array<MapData, Plain<Recent>>,
    counters: PerCpuArray<MapData, Plain<RuleCounters>>,
    skipped: PerCpuArray<MapData, Plain<u64>>,
    histograms: PerCpuArray<MapData, Plain<u64>>,
}

impl Programs {
    /// Loads the object; nothing is attached or pinned.
    pub fn load(capacity: u32, hooks: Hooks) -> Self {
        let settings = ObjectSettings {
            capacity,
            log_level: "off".parse().expect("a log level"),
        };
        let programs = PROGRAMS.into_iter().chain([hooks.xdp()]);
        let mut object =
            load_object(settings, programs, None).expect("the kernel takes the programs");
        Self {
            settings: map(&mut object, "SETTINGS"),
            ports: map(&mut object, "PORTS"),
            rules: map(&mut object, "RULES"),
            earlier: map(&mut object, "EARLIER"),
            pending: map(&mut object, "PENDING"),
            answered: map(&mut object, "FLOWS"),
            moved: map(&mut object, "MOVED"),
            recent: map(&mut object, "RECENT"),
            counters: map(&mut object, "COUNTERS"),
            skipped: map(&mut object, "SKIPPED"),
            histograms: map(&mut object, "HISTOGRAMS"),
            object,
            hooks,
            accelerated: 0,
        }
    }

    pub fn fill(&mut self, slot: u32, table: &Table) {
        for (key, rule) in table.rules(slot) {
            self.rules
                .insert(Plain(key), Plain(rule), 0)
                .expect("a rule");
        }
        for (key, target) in table.earlier(slot) {
            self.earlier
                .insert(Plain(key), Plain(target), 0)
                .expect("an earlier target");
        }
        for (index, entry) in table.ports(slot) {
            self.ports.set(index, Plain(entry), 0).expect("a port");
        }
    }

    pub fn switch(&mut self, slot: u32) {
        let settings = Settings {
            slot,
            ..Settings::default()
        };
        self.settings
            .set(0, Plain(settings), 0)
            .expect("the settings");
    }

    /// The packet's bytes after the programs for its direction and link layer.
    pub fn run(&mut self, packet: &Frame, direction: Direction) -> Vec<u8> {
        // The filter of a NIC keeps from XDP what is addressed to others.
        let has_xdp = self.hooks != Hooks::Tc
            && direction == Direction::Ingress
            && packet.link_layer == LinkLayer::Ethernet
            && !packet.other_host;
        if has_xdp && let Some(after) = self.xdp(packet) {
            // `test_run` has no metadata for a socket buffer: with it TC would pass the packet.
            self.accelerated += 1;
            return after;
        }
        self.tc(packet, direction)
    }

    fn tc(&self, packet: &Frame, direction: Direction) -> Vec<u8> {
        const TC_ACT_UNSPEC: u32 = u32::MAX;
        let name = match (direction, packet.link_layer) {
            (Direction::Ingress, LinkLayer::Ethernet) => "ingress",
            (Direction::Egress, LinkLayer::Ethernet) => "egress",
            (Direction::Ingress, LinkLayer::None) => "ingress_l3",
            (Direction::Egress, LinkLayer::None) => "egress_l3",
        };
        let program: &SchedClassifier = self.program(name);
        let (after, result) = test_run(program, packet, 0);
        assert_eq!(result.return_value, TC_ACT_UNSPEC, "{packet:02x?}");
        assert_eq!(after.len(), packet.bytes.len(), "{packet:02x?}");
        after
    }

    /// The bytes of a packet that XDP rewrote, `None` for one that it left to TC.
    fn xdp(&self, packet: &Frame) -> Option<Vec<u8>> {
        const XDP_PASS: u32 = 2;
        let program: &Xdp = self.program(self.hooks.xdp());
        let mark = XDP_MARK.to_ne_bytes();
        // The metadata comes out in front of the packet.
        let (after, result) = test_run(program, packet, mark.len());
        assert_eq!(result.return_value, XDP_PASS, "{packet:02x?}");
        if after.len() == packet.bytes.len() {
            assert_eq!(after, packet.bytes, "changed without a mark");
            return None;
        }
        let (metadata, after) = after.split_at(mark.len());
        assert_eq!(metadata, mark, "{packet:02x?}");
        assert_eq!(after.len(), packet.bytes.len(), "{packet:02x?}");
        assert_ne!(after, packet.bytes, "marked without a change");
        Some(after.to_vec())
    }

    fn program<'a, P>(&'a self, name: &str) -> &'a P
    where
        &'a P: TryFrom<&'a Program, Error: Debug>,
    {
        let program = self.object.program(name).expect("a program");
        program.try_into().expect("a program of this type")
    }

    /// Of one rule, all CPUs together.
    pub fn counters(&self, rule: u32) -> RuleCounters {
        let per_cpu = self.counters.get(&rule, 0).expect("counters");
        per_cpu
            .iter()
            .fold(RuleCounters::default(), |sum, Plain(cpu)| sum + *cpu)
    }

    /// Packets skipped for a reason, all CPUs together.
    pub fn skipped(&self, reason: u32) -> u64 {
        let per_cpu = self.skipped.get(&reason, 0).expect("a counter");
        per_cpu.iter().map(|Plain(count)| count).sum()
    }

    /// An entry of `HISTOGRAMS`, all CPUs together.
    pub fn observed(&self, entry: u32) -> u64 {
        let per_cpu = self.histograms.get(&entry, 0).expect("a counter");
        per_cpu.iter().map(|Plain(count)| count).sum()
    }

    /// What was seen from clients only, and what was answered; then forgets both.
    pub fn take_flows(&mut self) -> [HashMap<FlowKey, Flow>; 3] {
        let taken = [&mut self.pending, &mut self.answered, &mut self.moved].map(|map| {
            let flows: HashMap<_, _> = map
                .iter()
                .map(|entry| entry.expect("a flow"))
                .map(|(Plain(key), Plain(flow))| (key, flow))
                .collect();
            for key in flows.keys() {
                map.remove(&Plain(*key)).expect("the flow is there");
            }
            flows
        });
        // What the programs ended themselves is no longer believed there.
        let [_, answered, _] = &taken;
        for key in answered.keys() {
            self.recent
                .set(place_of(key), Plain(Recent::default()), 0)
                .expect("a place of the cache");
        }
        taken
    }
}

/// A packet's bytes after a program, which may add `room` bytes.
fn test_run<P>(program: &P, packet: &Frame, room: usize) -> (Vec<u8>, TestRunResult)
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    let mut after = vec![0; packet.bytes.len() + room];
    let result = program
        .test_run(TestRunOptions {
            data_in: Some(&packet.bytes),
            data_out: Some(&mut after),
            ..TestRunOptions::default()
        })
        .unwrap_or_else(|error| panic!("{packet:02x?}: {error:?}"));
    after.truncate(result.data_size_out as usize);
    (after, result)
}

fn map<M: TryFrom<Map>>(object: &mut Ebpf, name: &str) -> M {
    let map = object.take_map(name).unwrap_or_else(|| panic!("no {name}"));
    M::try_from(map).unwrap_or_else(|_| panic!("{name} is of another type"))
}

/// Flows as they are whatever the time.
pub fn without_clock(flows: HashMap<FlowKey, Flow>) -> HashMap<FlowKey, Flow> {
    let without = |(key, flow): (FlowKey, Flow)| {
        let is_udp = key.protocol == Protocol::UDP;
        let flow = Flow {
            created: 0,
            fraction: 0,
            opening: if is_udp { 0 } else { flow.opening },
            ..flow
        };
        (key, flow)
    };
    flows.into_iter().map(without).collect()
}

/// What the programs will read, in nanoseconds: not just before its seconds (of 2^30 ns) pass, which
/// choose the port that a connection is moved to.
pub fn the_kernels_clock() -> u64 {
    const SOON: u64 = 50_000_000;
    loop {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).expect("the clock");
        let now = Duration::from(now).as_nanos() as u64;
        if (now + SOON) >> 30 == now >> 30 {
            return now;
        }
        std::thread::yield_now();
    }
}

/// Tells what differs.
pub fn equal<T: PartialEq + Debug>(what: &str, kernel: &T, native: &T) -> Result<(), String> {
    if kernel == native {
        return Ok(());
    }
    Err(format!(
        "{what} differ\nkernel: {kernel:02x?}\nnative: {native:02x?}"
    ))
}
