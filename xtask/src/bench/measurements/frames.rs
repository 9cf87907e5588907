//! Small frames as fast as a link could bring them: the kernel sends one frame again and again over
//! the client's veth, without a sender's sockets (`BPF_F_TEST_XDP_LIVE_FRAMES`, `net/bpf/test_run.c`).
//! What reaches the server's socket counts, which nobody reads: the kernel drops it there.

use std::{
    fs,
    net::UdpSocket,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use nix::errno::Errno;
use serde_json::Value;

use super::{
    Numbers, Stage,
    assembled::{EXIT, Instruction, load, set},
};
use crate::bench::{
    contenders::TARGET,
    figures::Figure,
    topology::{CLIENT, Namespace, SERVER},
};

/// The payload of a datagram; with the headers a frame of 60 bytes, the least of Ethernet.
const PAYLOAD: usize = 18;
const FRAME: usize = HEADERS + PAYLOAD;
const HEADERS: usize = ETHERNET + IPV4 + UDP;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const PORT: usize = ETHERNET + IPV4 + 2;
const CHECKSUM: usize = ETHERNET + IPV4 + 6;

const SOURCE_PORT: u16 = 40_000;
const PATIENCE: Duration = Duration::from_secs(5);

const NAME: &str = "send";
/// `NAPI_POLL_WEIGHT`, which is what the kernel takes where none is given.
const BATCH: u32 = 64;
/// Frames of one call: the time is looked at in between.
const REPEAT: u32 = 100_000;

pub fn rate(stage: &Stage<'_>) -> Result<Numbers> {
    let lan = &stage.lan;
    // veth takes frames for a peer with NAPI only, and GRO switches that on (`veth_xdp_xmit()`).
    lan.server.run("ethtool --offload eth0 gro on")?;
    let (mac, _) = link(&lan.server)?;
    let (own, index) = link(&lan.client)?;
    let frame = frame([mac, own].concat(), stage.port);
    let bind = |host: &Namespace, address, port| {
        host.enter(|| UdpSocket::bind((address, port)).context("cannot bind"))
    };
    let target = bind(&lan.server, SERVER, TARGET)?;
    let client = bind(&lan.client, CLIENT, SOURCE_PORT)?;
    let sender = sender(&frame, index)?;
    // One answer makes the flow known to whoever keeps track.
    send(stage, &sender, &frame, Duration::ZERO)?;
    let mut datagram = [0; PAYLOAD];
    let (_, peer) = target.recv_from(&mut datagram)?;
    target.send_to(&datagram, peer)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.recv_from(&mut datagram).context("no answer")?;
    let before = arrived(&lan.server)?;
    let took = send(
        stage,
        &sender,
        &frame,
        Duration::from_secs(stage.seconds.into()),
    )?;
    let arrived = arrived(&lan.server)?
        .checked_sub(before)
        .context("counted backwards")?;
    drop((target, client));
    if arrived == 0 {
        bail!("no frame reached the target");
    }
    Ok(vec![(Figure::Frames, arrived as f64 / took.as_secs_f64())])
}

fn send(stage: &Stage<'_>, sender: &Ebpf, frame: &[u8], least: Duration) -> Result<Duration> {
    let program: &Xdp = sender.program(NAME).context("no program")?.try_into()?;
    stage.lan.client.enter(|| {
        let start = Instant::now();
        loop {
            let run = program.test_run(TestRunOptions {
                data_in: Some(frame),
                repeat: REPEAT,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::default()
            });
            match run {
                Ok(_) => {}
                Err(ProgramError::SyscallError(error))
                    if error.io_error.raw_os_error() == Some(Errno::EINTR as i32) => {}
                Err(error) => return Err(error).context("BPF_F_TEST_XDP_LIVE_FRAMES"),
            }
            if start.elapsed() >= least {
                return Ok(start.elapsed());
            }
        }
    })
}

/// Sends every frame out of the interface. A frame comes back to be sent once more as its receiver left
/// it, so the port and the checksum are written each time.
fn sender(frame: &[u8], index: u32) -> Result<Ebpf> {
    const XDP_DROP: u32 = 1;
    const BPF_REDIRECT: u32 = 23;
    let instructions = [
        // r2 = data; r3 = data_end
        [0x61, 0x12, 0, 0, 0, 0, 0, 0],
        [0x61, 0x13, 4, 0, 0, 0, 0, 0],
        // r4 = r2 + HEADERS; if r4 > r3, over the next six
        [0xbf, 0x24, 0, 0, 0, 0, 0, 0],
        [0x07, 0x04, 0, 0, HEADERS as u8, 0, 0, 0],
        [0x2d, 0x34, 6, 0, 0, 0, 0, 0],
        store(frame, PORT)?,
        store(frame, CHECKSUM)?,
        set(1, index),
        set(2, 0),
        [0x85, 0, 0, 0, BPF_REDIRECT as u8, 0, 0, 0],
        EXIT,
        set(0, XDP_DROP),
        EXIT,
    ];
    let mut loaded = load("xdp", NAME, &instructions)?;
    let program: &mut Xdp = loaded.program_mut(NAME).context("no program")?.try_into()?;
    program.load()?;
    Ok(loaded)
}

/// `*(u16 *)(r2 + place) = ` what the frame has there.
fn store(frame: &[u8], place: usize) -> Result<Instruction> {
    let bytes = frame.get(place..place + 2).context("a short frame")?;
    let at = u8::try_from(place)?;
    Ok([0x6a, 0x02, at, 0, bytes[0], bytes[1], 0, 0])
}

/// A datagram of the client with right checksums.
fn frame(addresses: Vec<u8>, port: u16) -> Vec<u8> {
    let length = |bytes: usize| (bytes as u16).to_be_bytes();
    let mut ip = [[0x45, 0], length(IPV4 + UDP + PAYLOAD), [0; 2], [0; 2]].concat();
    // Time to live and protocol.
    ip.extend([64, 17, 0, 0]);
    ip.extend(CLIENT.octets());
    ip.extend(SERVER.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let mut udp = [
        SOURCE_PORT.to_be_bytes(),
        port.to_be_bytes(),
        length(UDP + PAYLOAD),
        [0; 2],
    ]
    .concat();
    udp.extend([0; PAYLOAD]);
    let pseudo = [&ip[12..], &[0, 17], &length(UDP + PAYLOAD), &udp].concat();
    udp[6..8].copy_from_slice(&checksum(&pseudo));
    let mut frame = [addresses, vec![0x08, 0x00], ip, udp].concat();
    frame.resize(FRAME, 0);
    frame
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!sum as u16).to_be_bytes()
}

/// Hardware address and index of `eth0`.
fn link(host: &Namespace) -> Result<(Vec<u8>, u32)> {
    let links: Value = serde_json::from_str(&host.run("ip -json link show dev eth0")?)?;
    let address = links[0]["address"].as_str().context("no address")?;
    let bytes: Result<Vec<_>, _> = address
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect();
    let index = links[0]["ifindex"].as_u64().context("no index")?;
    Ok((bytes?, u32::try_from(index)?))
}

/// Datagrams that a socket had no room for.
fn arrived(host: &Namespace) -> Result<u64> {
    let text = host.enter(|| Ok(fs::read_to_string("/proc/thread-self/net/snmp")?))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = lines.next().zip(lines.next()).context("no line of UDP")?;
    let mut pairs = names.split(' ').zip(values.split(' '));
    let (_, count) = pairs
        .find(|(name, _)| *name == "RcvbufErrors")
        .context("no RcvbufErrors")?;
    Ok(count.parse()?)
}
