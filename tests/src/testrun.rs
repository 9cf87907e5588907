//! The programs in the kernel, run on packets by `BPF_PROG_TEST_RUN`, without an interface.

use std::collections::HashMap;

use aya::maps::{Array, Map, MapData, PerCpuArray};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions};
use aya::{Ebpf, maps};
use redirector::kernel::{ObjectSettings, Plain, Table, open_object};
use redirector_common::abi::{
    EarlierKey, EarlierTarget, Flow, FlowKey, PortEntry, Rule, RuleCounters, RuleKey, Settings,
};
use redirector_common::native::Frame;
use redirector_common::{Direction, LinkLayer};

type Keyed<K, V> = maps::HashMap<MapData, Plain<K>, Plain<V>>;

pub struct Programs {
    object: Ebpf,
    settings: Array<MapData, Plain<Settings>>,
    ports: Array<MapData, Plain<PortEntry>>,
    rules: Keyed<RuleKey, Rule>,
    earlier: Keyed<EarlierKey, EarlierTarget>,
    pending: Keyed<FlowKey, Flow>,
    answered: Keyed<FlowKey, Flow>,
    moved: Keyed<FlowKey, Flow>,
    counters: PerCpuArray<MapData, Plain<RuleCounters>>,
    skipped: PerCpuArray<MapData, Plain<u64>>,
}

impl Programs {
    /// Loads the object; nothing is attached or pinned.
    pub fn load(capacity: u32) -> Self {
        let mut object = open_object(ObjectSettings {
            capacity,
            log_level: "off".parse().expect("a log level"),
        })
        .expect("the kernel takes the programs");
        Self {
            settings: map(&mut object, "SETTINGS"),
            ports: map(&mut object, "PORTS"),
            rules: map(&mut object, "RULES"),
            earlier: map(&mut object, "EARLIER"),
            pending: map(&mut object, "PENDING"),
            answered: map(&mut object, "FLOWS"),
            moved: map(&mut object, "MOVED"),
            counters: map(&mut object, "COUNTERS"),
            skipped: map(&mut object, "SKIPPED"),
            object,
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

    /// The packet's bytes after the program for its direction and link layer.
    pub fn run(&self, packet: &Frame, direction: Direction) -> Vec<u8> {
        const TC_ACT_UNSPEC: u32 = u32::MAX;
        let name = match (direction, packet.link_layer) {
            (Direction::Ingress, LinkLayer::Ethernet) => "ingress",
            (Direction::Egress, LinkLayer::Ethernet) => "egress",
            (Direction::Ingress, LinkLayer::None) => "ingress_l3",
            (Direction::Egress, LinkLayer::None) => "egress_l3",
        };
        let program = self.object.program(name).expect("a program");
        let program: &SchedClassifier = program.try_into().expect("a classifier");
        let mut after = vec![0; packet.bytes.len()];
        let result = program
            .test_run(TestRunOptions {
                data_in: Some(&packet.bytes),
                data_out: Some(&mut after),
                ..TestRunOptions::default()
            })
            .unwrap_or_else(|error| panic!("{name} on {packet:02x?}: {error:?}"));
        assert_eq!(result.return_value, TC_ACT_UNSPEC, "{packet:02x?}");
        assert_eq!(result.data_size_out as usize, after.len(), "{packet:02x?}");
        after
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

    /// What was seen from clients only, and what was answered; then forgets both.
    pub fn take_flows(&mut self) -> [HashMap<FlowKey, Flow>; 3] {
        [&mut self.pending, &mut self.answered, &mut self.moved].map(|map| {
            let flows: HashMap<_, _> = map
                .iter()
                .map(|entry| entry.expect("a flow"))
                .map(|(Plain(key), Plain(flow))| (key, flow))
                .collect();
            for key in flows.keys() {
                map.remove(&Plain(*key)).expect("the flow is there");
            }
            flows
        })
    }
}

fn map<M: TryFrom<Map>>(object: &mut Ebpf, name: &str) -> M {
    let map = object.take_map(name).unwrap_or_else(|| panic!("no {name}"));
    M::try_from(map).unwrap_or_else(|_| panic!("{name} is of another type"))
}
