//! The packet path in the kernel and the one of the native tests are the same: what each does to
//! a packet, what it counts and what it remembers.

use std::net::IpAddr;

use integration::generate::World;
use integration::netns::Namespace;
use integration::ordinary_or_long;
use integration::random::Random;
use integration::testrun::{Hooks, Programs, equal, the_kernels_clock, without_clock};
use redirector::config::{Interface, Port, Protocol, Rule};
use redirector::kernel::Table;
use redirector_common::abi::{BUCKETS, Histogram, SLOT_OFF};
use redirector_common::headers::{ETH_P_IPV4, ETH_P_IPV6};
use redirector_common::native::{Frame, Memory, craft};
use redirector_common::{Direction, LinkLayer, Skip, redirect};

const SEQUENCES: u64 = 5_000;
const SEQUENCES_OF_THE_LONG_RUN: u64 = 100_000;
const LENGTH: usize = 12;
const CAPACITY: u32 = 64;

/// `test_run` gives packets to loopback.
const LOOPBACK: u32 = 1;
const ELSEWHERE: u32 = 7;

const CLIENTS: [&str; 5] = [
    "203.0.113.9",
    "203.0.113.10",
    "2001:db8::9",
    "fe80::9",
    "2001:db8::a",
];
const SERVERS: [&str; 8] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.2",
    FORWARDED[0],
    "2001:db8:1::1",
    "2001:db8:1::2",
    "2001:db8:1::2",
    FORWARDED[1],
];
/// Routing has other plans for them than this host.
const FORWARDED: [&str; 2] = ["192.0.2.99", "2001:db8:1::99"];

/// Address, interface, from and to: every scope, and a target that is another rule's source.
type Spec = (Option<&'static str>, u32, u16, u16);

const BEFORE: [Spec; 11] = [
    (None, 0, 80, 8000),
    (None, 0, 443, 4430),
    (None, LOOPBACK, 81, 8100),
    (None, ELSEWHERE, 81, 8200),
    (Some("192.0.2.2"), 0, 80, 9000),
    (Some("2001:db8:1::2"), LOOPBACK, 80, 9001),
    (Some("192.0.2.2"), 0, 82, 8300),
    (None, 0, 5000, 5001),
    (None, 0, 5001, 5002),
    (None, 0, u16::MAX, u16::MAX - 1),
    (None, 0, 83, u16::MAX),
];
/// Retargeted, removed, added and kept.
const AFTER: [Spec; 7] = [
    (None, 0, 80, 8001),
    (None, LOOPBACK, 81, 8101),
    (None, ELSEWHERE, 81, 8200),
    (Some("192.0.2.2"), LOOPBACK, 80, 9002),
    (None, 0, 82, 8301),
    (None, 0, 5000, 5001),
    (None, 0, 5001, 5003),
];

#[test]
fn kernel_and_native_agree() {
    assert_agreement(Hooks::Tc);
}

/// With XDP before TC nothing comes out differently.
#[test]
fn kernel_with_xdp_and_native_agree() {
    assert_agreement(Hooks::XdpThenTc);
}

#[test]
fn kernel_with_linear_xdp_and_native_agree() {
    assert_agreement(Hooks::LinearXdpThenTc);
}

fn assert_agreement(hooks: Hooks) {
    let mut random = Random::from_printed_seed();
    let host = Namespace::new("differential");
    for (version, forwarded) in [("4", FORWARDED[0]), ("6", FORWARDED[1])] {
        host.ip(&format!("-{version} route add blackhole {forwarded}"));
    }
    // A host that forwards nothing takes every packet for its own.
    host.sysctl("ipv4.ip_forward", "1");
    host.sysctl("ipv6.conf.all.forwarding", "1");
    host.enter(|| {
        let mut pair = Pair::new(hooks);
        let world = world();
        let sequences = ordinary_or_long(SEQUENCES, SEQUENCES_OF_THE_LONG_RUN);
        for number in 0..sequences {
            let sequence = Sequence::generate(&world, &mut random, number);
            pair.assert_agreement(&sequence);
        }
        pair.assert_coverage(sequences);
    });
}

/// What crosses the host's interface.
struct Sequence {
    name: String,
    packets: Vec<(Frame, Direction)>,
    /// The slot of the rules in force after half of the packets.
    second_slot: u32,
}

impl Sequence {
    fn generate(world: &World, random: &mut Random, number: u64) -> Self {
        let mut talk = world.talk(random);
        Self {
            name: format!("REDIRECTOR_SEED={}, sequence {number}", random.seed()),
            packets: (0..LENGTH)
                .map(|_| talk.packet(random))
                .map(|(frame, direction)| (without_link_layer(frame), direction))
                .collect(),
            second_slot: if number % 20 == 19 { SLOT_OFF } else { 1 },
        }
    }
}

/// `BPF_PROG_TEST_RUN` has every packet begin with an Ethernet header, of whose type the program for devices without
/// one asks the kernel: nothing else may look like that of IP there.
fn without_link_layer(mut frame: Frame) -> Frame {
    const TYPES: [[u8; 2]; 2] = [ETH_P_IPV4.to_ne_bytes(), ETH_P_IPV6.to_ne_bytes()];
    if frame.link_layer == LinkLayer::None
        && let Some(address) = frame.bytes.get_mut(12..14)
        && TYPES.iter().any(|ethertype| address == ethertype)
    {
        address[1] ^= 1;
    }
    frame
}

/// When counters are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    EachPacket,
    AtTheEnd,
}

/// One host, twice.
struct Pair {
    kernel: Programs,
    native: Memory,
}

impl Pair {
    fn new(hooks: Hooks) -> Self {
        let mut kernel = Programs::load(CAPACITY, hooks);
        let mut native = Memory {
            ifindex: LOOPBACK,
            remote: FORWARDED.map(address).map(craft::address).into(),
            ..Memory::default()
        };
        let before = next(&Table::default(), &BEFORE);
        let after = next(&before, &AFTER);
        for (slot, table) in [(0, &before), (1, &after)] {
            kernel.fill(slot, table);
            native.rules.extend(table.rules(slot));
            native.earlier.extend(table.earlier(slot));
            native.ports.extend(table.ports(slot));
        }
        Self { kernel, native }
    }

    /// Counters are compared once a sequence, as that takes longer than the packets do; where they
    /// disagree a second run looks for the packet.
    #[track_caller]
    fn assert_agreement(&mut self, sequence: &Sequence) {
        if let Err(end) = self.run(sequence, Comparison::AtTheEnd) {
            let first = Self::new(self.kernel.hooks).run(sequence, Comparison::EachPacket);
            panic!("{}: {}", sequence.name, first.err().unwrap_or(end));
        }
    }

    /// From nothing; the rules change on the way.
    fn run(&mut self, sequence: &Sequence, comparison: Comparison) -> Result<(), String> {
        self.switch(0);
        for (position, (packet, direction)) in sequence.packets.iter().enumerate() {
            if position == LENGTH / 2 {
                self.switch(sequence.second_slot);
            }
            let outcome = self.packet(packet, *direction);
            let outcome = match comparison {
                Comparison::EachPacket => outcome.and_then(|()| self.counters()),
                Comparison::AtTheEnd => outcome,
            };
            outcome.map_err(|difference| {
                format!("packet {position}, {direction:?}, {packet:02x?}: {difference}")
            })?;
        }
        self.counters()?;
        let Memory {
            pending,
            answered,
            moved,
            recent,
            ..
        } = &mut self.native;
        let native = [pending, answered, moved].map(std::mem::take);
        recent.clear();
        let kernel = self.kernel.take_flows();
        equal(
            "flows",
            &kernel.map(without_clock),
            &native.map(without_clock),
        )
    }

    fn switch(&mut self, slot: u32) {
        self.kernel.switch(slot);
        self.native.slot = slot;
    }

    fn packet(&mut self, packet: &Frame, direction: Direction) -> Result<(), String> {
        self.native.now = the_kernels_clock();
        let kernel = self.kernel.run(packet, direction);
        let mut native = packet.clone();
        let verdict = redirect(&mut native, &mut self.native, direction);
        if let Err(skip) = verdict {
            *self.native.skipped.entry(skip as u32).or_default() += 1;
        }
        equal("bytes", &kernel, &native.bytes)
    }

    fn counters(&self) -> Result<(), String> {
        for skip in Skip::ALL {
            let native = self.native.skipped.get(&(skip as u32)).copied();
            let kernel = self.kernel.skipped(skip as u32);
            equal(skip.name(), &kernel, &native.unwrap_or(0))?;
        }
        for rule in 0..(BEFORE.len() + AFTER.len()) as u32 {
            let native = self.native.counters.get(&rule).copied();
            let kernel = self.kernel.counters(rule);
            equal(
                &format!("rule {rule}"),
                &kernel,
                &native.unwrap_or_default(),
            )?;
        }
        for entry in entries(Histogram::PacketSize) {
            equal(
                "packet sizes",
                &self.kernel.observed(entry),
                &self.observed(entry),
            )?;
        }
        // How long one took depends on the clock.
        for histogram in [Histogram::SynAckDelay, Histogram::AckDelay] {
            let kernel = entries(histogram).map(|entry| self.kernel.observed(entry));
            let native = self.delays(histogram);
            equal(&format!("{histogram:?}"), &kernel.sum(), &native)?;
        }
        Ok(())
    }

    fn delays(&self, histogram: Histogram) -> u64 {
        entries(histogram).map(|entry| self.observed(entry)).sum()
    }

    fn observed(&self, entry: u32) -> u64 {
        self.native.histograms.get(&entry).copied().unwrap_or(0)
    }

    /// What was generated reaches what it is meant to reach.
    fn assert_coverage(&self, sequences: u64) {
        let sum = |count: fn(&_) -> u64| self.native.counters.values().map(count).sum::<u64>();
        let redirected = sum(|rule| rule.in_packets) + sum(|rule| rule.out_packets);
        let connections = sum(|rule| rule.connections);
        println!("{redirected} redirected, {connections} connections, skipped:");
        // The other reasons need sockets.
        for skip in [
            Skip::Malformed,
            Skip::Fragment,
            Skip::OtherHost,
            Skip::NotLocal,
            Skip::Outgoing,
            Skip::Direct,
        ] {
            let count = self.native.skipped.get(&(skip as u32)).copied();
            println!("{count:>10?} {}", skip.name());
            assert!(count.is_some(), "{skip:?} was never seen");
        }
        assert!(redirected > sequences && connections > sequences / 40);
        let resets = sum(|rule| rule.in_resets) + sum(|rule| rule.out_resets);
        let syns = sum(|rule| rule.syns);
        let answered = sum(|rule| rule.answered_syns);
        let proven = self.delays(Histogram::AckDelay);
        println!("{resets} resets, {syns} SYNs, {answered} answered, {proven} proven");
        assert!(resets > 0 && (1..syns).contains(&answered));
        let accelerated = self.kernel.accelerated;
        println!("{accelerated} by XDP");
        match self.kernel.hooks {
            Hooks::Tc => assert_eq!(accelerated, 0),
            Hooks::XdpThenTc => assert!(accelerated > sequences / 10),
            // Tags, options and extension headers are for TC.
            Hooks::LinearXdpThenTc => assert!(accelerated > sequences / 50),
        }
    }
}

fn entries(histogram: Histogram) -> impl Iterator<Item = u32> {
    (0..BUCKETS).map(move |bucket| histogram.first() + bucket)
}

fn world() -> World {
    World {
        clients: CLIENTS.map(address).into(),
        servers: SERVERS.map(address).into(),
        ports: BEFORE
            .iter()
            .chain(&AFTER)
            .map(|&(_, _, from, to)| (from, to))
            .collect(),
    }
}

/// The table after a change to these rules, for TCP and UDP.
fn next(table: &Table, specs: &[Spec]) -> Table {
    let port = |number| Port::new(number).expect("a port");
    let rules: Vec<Rule> = [Protocol::Tcp, Protocol::Udp]
        .iter()
        .flat_map(|protocol| specs.iter().map(move |spec| (*protocol, spec)))
        .map(|(protocol, &(local, index, from, to))| Rule {
            protocol,
            address: local.map(address),
            from: port(from),
            to: port(to),
            interfaces: match index {
                0 => Vec::new(),
                index => vec![Interface {
                    name: format!("if{index}"),
                    index,
                }],
            },
        })
        .collect();
    table
        .next(&rules, CAPACITY as usize)
        .expect("there is room")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
