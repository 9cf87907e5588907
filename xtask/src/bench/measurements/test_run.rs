//! What one packet costs in the programs alone: `BPF_PROG_TEST_RUN` runs them many times on it.
//! The kernel keeps a packet as the run before left it. A packet of a known flow would be rewritten
//! once only, so the rules lead there and back, and both ways are known flows.

use anyhow::{Context as _, Result, ensure};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, TestRunResult};

use super::{Numbers, Stage, empty::Empty, program};
use crate::bench::{
    contenders::{
        FRONT, TARGET,
        instance::{KNOWN, UNCACHED},
    },
    figures::Figure,
    statistics::median,
    topology::{CLIENT, SERVER},
};

/// No rule has this port.
const UNRELATED: u16 = 9999;
/// A target that is no other rule's source.
const DIRECT: u16 = 4430;

const REPETITIONS: usize = 25;
/// Runs of one repetition.
const REPEAT: u32 = 20_000;

const ETHER_TYPE: usize = 12;
const IP_PROTOCOL: usize = 23;
const SOURCE_ADDRESS: usize = 26;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;
const SEQUENCE: usize = 38;

pub fn packets(stage: &Stage<'_>) -> Result<Numbers> {
    stage.instance()?.know()?;
    let [ingress, egress] = [open(stage, "ingress")?, open(stage, "egress")?];
    let empty = Empty::load()?;
    let nothing = empty.classifier()?;
    // Test runs belong to the network namespace of their caller.
    stage.lan.server.enter(|| {
        ensure!(
            rewrites(&ingress, DESTINATION_PORT)? && rewrites(&egress, SOURCE_PORT)?,
            "a packet of the known flow was not rewritten there and back"
        );
        let nothing = (nothing, nothing);
        let ours = (&ingress, &egress);
        let tcp = |port, answer| [inbound(port), outbound(answer)];
        let unrelated = tcp(UNRELATED, UNRELATED);
        let mut numbers = [
            (Figure::Empty, nothing, unrelated),
            (Figure::NotIp, ours, unrelated.map(not_ip)),
            (Figure::NoPorts, ours, unrelated.map(without_ports)),
            (Figure::Unrelated, ours, unrelated),
            (Figure::Direct, ours, tcp(DIRECT, DIRECT)),
            (Figure::Known, ours, tcp(FRONT, TARGET)),
            (Figure::Uncached, ours, tcp(FRONT, TARGET).map(uncached)),
        ]
        .map(|(figure, programs, packets)| (figure, programs, packets, Vec::new()));
        for _ in 0..REPETITIONS {
            for (_, (ingress, egress), [request, answer], times) in &mut numbers {
                let inbound = run(ingress, &mut request.clone(), REPEAT)?;
                let outbound = run(egress, &mut answer.clone(), REPEAT)?;
                times.push((inbound.duration + outbound.duration).as_nanos() as f64);
            }
        }
        Ok(numbers
            .into_iter()
            .filter_map(|(figure, .., times)| Some((figure, median(&times)?)))
            .collect())
    })
}

/// What a packet of `eth0` meets in one direction.
fn open(stage: &Stage<'_>, name: &str) -> Result<SchedClassifier> {
    let pins = program::pins(stage)?;
    let pin = pins.iter().find(|pin| pin.ends_with(name));
    let pin = pin.with_context(|| format!("no program {name}"))?;
    Ok(SchedClassifier::from_pin(pin)?)
}

/// Runs the program so many times; the packet is then as the last run left it.
fn run(program: &SchedClassifier, packet: &mut [u8], repeat: u32) -> Result<TestRunResult> {
    let before = packet.to_vec();
    Ok(program.test_run(TestRunOptions {
        data_in: Some(&before),
        data_out: Some(packet),
        repeat,
        ..TestRunOptions::default()
    })?)
}

/// Whether one run leads to the other port, and two runs back.
fn rewrites(program: &SchedClassifier, place: usize) -> Result<bool> {
    let (fresh, one, other) = match place {
        DESTINATION_PORT => (inbound(FRONT), FRONT, TARGET),
        _ => (outbound(TARGET), TARGET, FRONT),
    };
    for (repeat, expected) in [(1, other), (2, one)] {
        let mut packet = fresh;
        run(program, &mut packet, repeat)?;
        if packet.get(place..place + 2) != Some(&expected.to_be_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn inbound(port: u16) -> [u8; 60] {
    packet((CLIENT.octets(), KNOWN), (SERVER.octets(), port))
}

fn outbound(port: u16) -> [u8; 60] {
    packet((SERVER.octets(), port), (CLIENT.octets(), KNOWN))
}

/// The same with the EtherType of a local experiment.
fn not_ip(mut packet: [u8; 60]) -> [u8; 60] {
    [packet[ETHER_TYPE], packet[ETHER_TYPE + 1]] = [0x88, 0xb5];
    packet
}

/// The same of the other flow, with a sequence number that is not one of those at which a flow is noted.
fn uncached(mut packet: [u8; 60]) -> [u8; 60] {
    let client = UNCACHED.to_be_bytes();
    let place = if packet[SOURCE_ADDRESS..][..4] == CLIENT.octets() {
        SOURCE_PORT
    } else {
        DESTINATION_PORT
    };
    [packet[place], packet[place + 1]] = client;
    packet[SEQUENCE + 3] = 1;
    packet
}

/// The same as ESP.
fn without_ports(mut packet: [u8; 60]) -> [u8; 60] {
    packet[IP_PROTOCOL] = 50;
    packet
}

/// An acknowledgment of TCP. Nobody looks at its checksums.
fn packet(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> [u8; 60] {
    let [ip, tcp, addresses, ports] = [14, 34, SOURCE_ADDRESS, SOURCE_PORT];
    let mut packet = [0; 60];
    let mut put = |place: usize, bytes: &[u8]| {
        for (to, from) in packet.iter_mut().skip(place).zip(bytes) {
            *to = *from;
        }
    };
    put(ETHER_TYPE, &[0x08, 0x00]);
    // Version, length in words, total length; time to live and protocol.
    put(ip, &[0x45, 0, 0, 46]);
    put(ip + 8, &[64, 6]);
    put(addresses, &source.0);
    put(addresses + 4, &destination.0);
    put(ports, &source.1.to_be_bytes());
    put(ports + 2, &destination.1.to_be_bytes());
    // Length in words, and ACK.
    put(tcp + 12, &[0x50, 0x10]);
    packet
}
