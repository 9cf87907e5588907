//! Asks the programs in force what they would do with a packet, without sending one.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use aya::programs::{SchedClassifier, TestRun, TestRunOptions};

use super::{Error, Instance};
use crate::config::{Interface, Port, Protocol};

/// The first packet of somebody else's connection or exchange, as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    pub interface: &'a Interface,
    /// The interface's own Ethernet address.
    pub ethernet: [u8; 6],
    pub protocol: Protocol,
    pub to: IpAddr,
    pub port: Port,
}

const ETHERNET: usize = 14;
/// Of documentation (RFC 5737, RFC 3849): nobody's, so that no flow of anybody is disturbed.
const FROM_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const FROM_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 77);
const FROM_PORT: u16 = 7777;

/// The destination port that the packet has behind the programs of an instance. Counts as a packet of the
/// rule; the claim that it leaves is one of a client that never comes back.
///
/// # Errors
/// [`Error::Probe`] where the kernel does not run the program: it must be one for Ethernet.
pub fn probe(instance: &Instance, probe: &Probe<'_>) -> Result<u16, Error> {
    let pin = instance.directory.join("programs/ingress");
    let packet = packet(probe);
    let failed = |reason: String| Error::Probe {
        interface: probe.interface.name.clone(),
        reason,
    };
    let program = open(&pin).map_err(failed)?;
    let context = context(probe.interface.index);
    let mut after = vec![0; packet.len()];
    program
        .test_run(TestRunOptions {
            data_in: Some(&packet),
            data_out: Some(&mut after),
            ctx_in: Some(&context),
            ..TestRunOptions::default()
        })
        .map_err(|error| failed(error.to_string()))?;
    let port = packet.len() - transport(probe.protocol).len() + 2;
    Ok(u16::from_be_bytes([after[port], after[port + 1]]))
}

fn open(pin: &Path) -> Result<SchedClassifier, String> {
    fs::metadata(pin).map_err(|error| error.to_string())?;
    SchedClassifier::from_pin(pin).map_err(|error| error.to_string())
}

/// `struct __sk_buff` of `include/uapi/linux/bpf.h`, up to `ifindex`.
fn context(index: u32) -> [u8; 44] {
    let mut context = [0; 44];
    context[40..].copy_from_slice(&index.to_ne_bytes());
    context
}

/// Checksums are 0: the programs change them, and nobody receives this.
fn packet(probe: &Probe<'_>) -> Vec<u8> {
    let payload = transport(probe.protocol);
    let number = match probe.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    };
    let length = payload.len() as u16;
    let (kind, header) = match probe.to {
        IpAddr::V4(to) => {
            let [high, low] = (20 + length).to_be_bytes();
            let start = [0x45, 0, high, low, 0, 0, 0, 0, 64, number, 0, 0];
            (
                0x0800u16,
                [&start[..], &FROM_V4.octets(), &to.octets()].concat(),
            )
        }
        IpAddr::V6(to) => {
            let [high, low] = length.to_be_bytes();
            let start = [0x60, 0, 0, 0, high, low, number, 64];
            (
                0x86dd,
                [&start[..], &FROM_V6.octets(), &to.octets()].concat(),
            )
        }
    };
    let mut packet = Vec::with_capacity(ETHERNET + header.len() + payload.len());
    packet.extend(probe.ethernet);
    packet.extend([2, 0, 0, 0, 0, 1]);
    packet.extend(kind.to_be_bytes());
    packet.extend(header);
    let start = packet.len();
    packet.extend(payload);
    packet[start + 2..start + 4].copy_from_slice(&probe.port.get().to_be_bytes());
    packet
}

/// Without its destination port: a SYN, or an empty datagram.
fn transport(protocol: Protocol) -> Vec<u8> {
    let mut header = match protocol {
        Protocol::Tcp => {
            let mut header = vec![0; 20];
            header[12] = 5 << 4;
            header[13] = 2;
            header[14] = 1;
            header
        }
        Protocol::Udp => vec![0, 0, 0, 0, 0, 8, 0, 0],
    };
    header[..2].copy_from_slice(&FROM_PORT.to_be_bytes());
    header
}
