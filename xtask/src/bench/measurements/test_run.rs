//! What one packet costs in the programs alone: `BPF_PROG_TEST_RUN` runs them many times on it.
//! The kernel keeps a packet as the run before left it. A packet of a known flow would be rewritten
//! once only, so the rules lead there and back, and both ways are known flows.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use aya::programs::{
    ProgramInfo, SchedClassifier, TestRun as _, TestRunOptions, TestRunResult, Xdp,
};
use aya_obj::{generated::bpf_prog_type, programs::XdpAttachType};

use super::{Numbers, Stage, empty::Empty, program};
use crate::bench::{
    contenders::{FRONT, TARGET, instance::KNOWN},
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

const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;

enum Program {
    Empty(Empty),
    Classifier(SchedClassifier),
    Xdp(Xdp),
}

pub fn packets(stage: &Stage<'_>) -> Result<Numbers> {
    stage.instance()?.know()?;
    let (ingress, egress) = programs(stage)?;
    let nothing = Program::Empty(Empty::load()?);
    // Test runs belong to the network namespace of their caller.
    stage.lan.server.enter(|| {
        ensure!(
            rewrites(&ingress, DESTINATION_PORT)? && rewrites(&egress, SOURCE_PORT)?,
            "a packet of the known flow was not rewritten there and back"
        );
        let ours = (&ingress, &egress);
        let mut numbers = [
            (
                Figure::Empty,
                (&nothing, &nothing),
                [UNRELATED; 2],
                Vec::new(),
            ),
            (Figure::Unrelated, ours, [UNRELATED; 2], Vec::new()),
            (Figure::Direct, ours, [DIRECT; 2], Vec::new()),
            (Figure::Known, ours, [FRONT, TARGET], Vec::new()),
        ];
        for _ in 0..REPETITIONS {
            for (_, (ingress, egress), [port, answer], times) in &mut numbers {
                let inbound = ingress.run(&mut inbound(*port), REPEAT)?;
                let outbound = egress.run(&mut outbound(*answer), REPEAT)?;
                times.push((inbound.duration + outbound.duration).as_nanos() as f64);
            }
        }
        Ok(numbers
            .into_iter()
            .filter_map(|(figure, .., times)| Some((figure, median(&times)?)))
            .collect())
    })
}

/// What a packet of `eth0` meets: an XDP program instead of the classifier where there is one.
fn programs(stage: &Stage<'_>) -> Result<(Program, Program)> {
    let pins = program::pins(stage)?;
    let with_link_layer = |pin: &&PathBuf| !pin.to_string_lossy().ends_with("_l3");
    let (egress, ingress): (Vec<_>, Vec<_>) = pins
        .iter()
        .filter(with_link_layer)
        .partition(|pin| program::is_egress(pin));
    let mut found = Vec::new();
    for pin in ingress {
        found.push(Program::open(pin)?);
    }
    found.sort_by_key(|program| matches!(program, Program::Classifier(_)));
    let ingress = found.into_iter().next().context("no ingress program")?;
    let egress = egress.first().context("no egress program")?;
    Ok((ingress, Program::open(egress)?))
}

impl Program {
    fn open(pin: &PathBuf) -> Result<Self> {
        let is_xdp = ProgramInfo::from_pin(pin)?.program_type() == bpf_prog_type::BPF_PROG_TYPE_XDP;
        Ok(if is_xdp {
            Self::Xdp(Xdp::from_pin(pin, XdpAttachType::Interface)?)
        } else {
            Self::Classifier(SchedClassifier::from_pin(pin)?)
        })
    }

    /// Runs the program so many times; the packet is then as the last run left it.
    fn run(&self, packet: &mut [u8], repeat: u32) -> Result<TestRunResult> {
        let before = packet.to_vec();
        let options = TestRunOptions {
            data_in: Some(&before),
            data_out: Some(packet),
            repeat,
            ..TestRunOptions::default()
        };
        let result = match self {
            Self::Empty(program) => program.classifier()?.test_run(options),
            Self::Classifier(program) => program.test_run(options),
            Self::Xdp(program) => program.test_run(options),
        };
        Ok(result?)
    }
}

/// Whether one run leads to the other port, and two runs back.
fn rewrites(program: &Program, place: usize) -> Result<bool> {
    let (fresh, one, other) = match place {
        DESTINATION_PORT => (inbound(FRONT), FRONT, TARGET),
        _ => (outbound(TARGET), TARGET, FRONT),
    };
    for (repeat, expected) in [(1, other), (2, one)] {
        let mut packet = fresh;
        program.run(&mut packet, repeat)?;
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

/// An acknowledgment of TCP. Nobody looks at its checksums.
fn packet(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> [u8; 60] {
    let [ip, tcp, addresses, ports] = [14, 34, 26, SOURCE_PORT];
    let mut packet = [0; 60];
    let mut put = |place: usize, bytes: &[u8]| {
        for (to, from) in packet.iter_mut().skip(place).zip(bytes) {
            *to = *from;
        }
    };
    put(12, &[0x08, 0x00]);
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
