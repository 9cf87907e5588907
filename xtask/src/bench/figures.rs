//! What is measured, and what figures that gives.

use clap::ValueEnum;

/// One kind of sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measurement {
    /// Requests a second, with keep-alive
    Requests,
    /// Connections a second, one request each
    Connections,
    /// Bytes to the server
    Upload,
    /// Bytes from the server
    Download,
    /// Latency and CPU time at a fixed rate
    Latency,
    /// Small datagrams a second
    Packets,
    /// Frames of 60 bytes a second, without a sender's sockets
    Frames,
    /// Time a run of the programs under load
    Program,
    /// Time of single packets by test runs of the programs
    TestRun,
}

/// A number of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    Requests,
    Connections,
    Upload,
    Download,
    Median,
    Tail,
    Cpu,
    Packets,
    Frames,
    Ingress,
    Egress,
    Empty,
    NotIp,
    NoPorts,
    Unrelated,
    Direct,
    Known,
    Uncached,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

/// How a figure is shown and explained.
pub struct Facts {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub how: &'static str,
}

/// In the order of the table.
pub const ALL: [Figure; 18] = [
    Figure::Requests,
    Figure::Connections,
    Figure::Upload,
    Figure::Download,
    Figure::Median,
    Figure::Tail,
    Figure::Cpu,
    Figure::Packets,
    Figure::Frames,
    Figure::Ingress,
    Figure::Egress,
    Figure::Empty,
    Figure::NotIp,
    Figure::NoPorts,
    Figure::Unrelated,
    Figure::Direct,
    Figure::Known,
    Figure::Uncached,
];

impl Figure {
    pub const fn facts(self) -> Facts {
        use Better::{Higher, Lower};
        let (name, title, unit, better, how) = match self {
            Self::Requests => (
                "requests",
                "requests, keep-alive",
                "1/s",
                Higher,
                "wrk with 32 connections; nginx answers with 3 bytes",
            ),
            Self::Connections => (
                "connections",
                "connections",
                "1/s",
                Higher,
                "wrk with 32 connections, each closed after one request",
            ),
            Self::Upload => (
                "upload",
                "bulk, upload",
                "Gbit/s",
                Higher,
                "iperf3, one connection, to the server",
            ),
            Self::Download => (
                "download",
                "bulk, download",
                "Gbit/s",
                Higher,
                "iperf3, one connection, from the server",
            ),
            Self::Median => (
                "latency-p50",
                "latency, p50",
                "us",
                Lower,
                "2000 requests a second over 8 connections, from when each was due",
            ),
            Self::Tail => (
                "latency-p99",
                "latency, p99",
                "us",
                Lower,
                "the same requests",
            ),
            Self::Cpu => (
                "cpu",
                "CPU time per request",
                "us",
                Lower,
                "the same requests: run time of client, server and proxy, interrupts of theirs included",
            ),
            Self::Packets => (
                "packets",
                "small packets",
                "1/s",
                Higher,
                "iperf3, datagrams of 64 bytes as fast as they go, those that arrive",
            ),
            Self::Frames => (
                "frames",
                "frames of 60 bytes",
                "1/s",
                Higher,
                "UDP by XDP live frames, one flow, as fast as they go; those that reach the server's socket",
            ),
            Self::Ingress => (
                "program-ingress",
                "ingress program, under load",
                "ns",
                Lower,
                "the kernel's run time by run count during keep-alive requests, in a pass of its own; XDP's and TC's together",
            ),
            Self::Egress => (
                "program-egress",
                "egress program, under load",
                "ns",
                Lower,
                "the same pass",
            ),
            Self::Empty => (
                "empty-programs",
                "two programs that do nothing",
                "ns",
                Lower,
                "BPF_PROG_TEST_RUN, as below: what it takes by itself, and so is in all that follows",
            ),
            Self::NotIp => (
                "not-ip",
                "packet that is not IP, in and out",
                "ns",
                Lower,
                "BPF_PROG_TEST_RUN of a frame of type 0x88b5: median of 25 interleaved repetitions",
            ),
            Self::NoPorts => (
                "no-ports",
                "IP without ports, in and out",
                "ns",
                Lower,
                "the same of IPv4 with ESP: its IP header is read",
            ),
            Self::Unrelated => (
                "unrelated-packet",
                "unrelated packet, in and out",
                "ns",
                Lower,
                "the same of TCP to and from port 9999: its ports are read, and what they mean is looked up",
            ),
            Self::Direct => (
                "direct-packet",
                "packet to and from a target, in and out",
                "ns",
                Lower,
                "the same with port 4430, of no flow: its headers are read, and flows are asked on the way out",
            ),
            Self::Known => (
                "known-packet",
                "packet of a known flow, in and out",
                "ns",
                Lower,
                "the same of a flow in RECENT, by rules that lead there and back: every run rewrites",
            ),
            Self::Uncached => (
                "uncached-packet",
                "packet of a flow in the table alone",
                "ns",
                Lower,
                "the same of a flow in FLOWS that is not in RECENT",
            ),
        };
        Facts {
            name,
            title,
            unit,
            better,
            how,
        }
    }
}
