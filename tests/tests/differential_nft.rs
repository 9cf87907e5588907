//! To a client the redirector and nftables' `redirect` are the same: what two servers answer to
//! generated packets is compared packet by packet, byte by byte.
//!
//! Netfilter leaves alone what conntrack calls invalid. Where a switch of its own ends that, the nft
//! server has it set ([`integration::answering`]); elsewhere [`integration::story`] keeps away from
//! such packets and says why. An ordinary run of 5,000 sequences takes 15 to 20 seconds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use integration::answering::{Answers, Server};
use integration::datapath::Datapath;
use integration::normal::{self, ICMP, ICMPV6, TCP, UDP};
use integration::ordinary_or_long;
use integration::random::Random;
use integration::story::{Step, Talk};
use integration::topology::SERVER;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const SEQUENCES: u64 = 5_000;
const SEQUENCES_OF_THE_LONG_RUN: u64 = 50_000;
const LENGTH: usize = 12;

const CLIENT_PORT: u16 = 40_000;
/// Mostly the one whose target is open.
const PORTS: [u16; 4] = [80, 80, 80, 81];

/// What repeats a SYN-ACK ends first, after a second. A sequence that takes longer may show answers
/// to no packet, and another client plays it again.
const SHORTEST_TIMER: Duration = Duration::from_millis(900);

#[test]
fn a_client_cannot_tell_it_from_nft() {
    let mut random = Random::from_printed_seed();
    stay_on_one_cpu();
    let mut servers = [Datapath::Nft, Datapath::Redirector].map(Server::new);
    let mut seen = BTreeMap::new();
    let mut repeated = 0;
    for number in 0..ordinary_or_long(SEQUENCES, SEQUENCES_OF_THE_LONG_RUN) {
        let before = random.clone();
        let (steps, answers) = loop {
            random = before.clone();
            // Both families take turns.
            let (client, server) = addresses(number % 2 == 0, number / 2 + repeated);
            let mut talk = Talk::new((client, CLIENT_PORT), server, PORTS.to_vec());
            let steps: Vec<_> = (0..LENGTH).map(|_| talk.step(&mut random)).collect();
            let started = Instant::now();
            let answers = servers.each_mut().map(|server| server.play(client, &steps));
            if started.elapsed() < SHORTEST_TIMER {
                break (steps, answers);
            }
            println!("sequence {number} is repeated");
            repeated += 1;
        };
        let name = format!("REDIRECTOR_SEED={}, sequence {number}", random.seed());
        assert_same(&name, &steps, &answers);
        for answer in answers[0].iter().flatten() {
            *seen.entry(kind(answer)).or_insert(0) += 1;
        }
    }
    println!("{seen:#?}");
    assert_coverage(&seen);
}

/// Of a client that only one sequence has, since servers remember things of clients, such as the MTU
/// of the path, and of the server.
fn addresses(is_ipv4: bool, number: u64) -> (IpAddr, IpAddr) {
    let [.., high, middle, low] = number.to_be_bytes();
    if is_ipv4 {
        return (IpAddr::from([198, 18 + high, middle, low]), SERVER.v4);
    }
    let low = u16::from_be_bytes([middle, low]);
    let client = [0x2001, 0xdb8, 0, 0, 0, 0, high.into(), low];
    (IpAddr::from(client), SERVER.v6)
}

/// Packets of two namespaces are then handled in the order in which they are sent.
fn stay_on_one_cpu() {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("the CPUs of this thread");
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let first = (0..CpuSet::count()).find(is_allowed).expect("a CPU");
    let mut one = CpuSet::new();
    one.set(first).expect("the CPU is in range");
    sched_setaffinity(this, &one).expect("this thread stays on one CPU");
}

#[track_caller]
fn assert_same(name: &str, steps: &[Step], [nft, redirector]: &[Answers; 2]) {
    let Some(position) = (0..nft.len()).find(|&at| nft[at] != redirector[at]) else {
        return;
    };
    for (step, answers) in steps.iter().zip(nft).take(position) {
        println!("{step:02x?}\n  both: {answers:02x?}");
    }
    panic!(
        "{name}, packet {position} (or the end): {:02x?}\n  nft:        {:02x?}\n  redirector: {:02x?}",
        steps.get(position),
        nft[position],
        redirector[position]
    );
}

fn kind(answer: &[u8]) -> String {
    let version = answer[0] >> 4;
    match normal::transport(answer) {
        Some((TCP, at)) => format!("{version} tcp {:02x}", answer[at + 13]),
        Some((UDP, _)) => format!("{version} udp"),
        Some((ICMP | ICMPV6, at)) => format!("{version} icmp {}", answer[at]),
        other => format!("{version} {other:?}"),
    }
}

/// RST, ACK, FIN, SYN-ACK, RST to a SYN, data, datagrams, unreachable, parameter problem.
fn assert_coverage(seen: &BTreeMap<String, u64>) {
    for (version, errors) in [(4, [3, 12]), (6, [1, 4])] {
        let tcp = [0x04, 0x10, 0x11, 0x12, 0x14, 0x18].map(|flags| format!("tcp {flags:02x}"));
        let icmp = errors.map(|kind| format!("icmp {kind}"));
        for kind in tcp.iter().chain(&icmp).map(String::as_str).chain(["udp"]) {
            let kind = format!("{version} {kind}");
            assert!(seen.contains_key(&kind), "no answer was {kind}");
        }
    }
}
