use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, MsgFlags, bind, send};
use redirector_common::native::craft::Craft;
use socket2::{Domain, Protocol, Socket, Type};

use super::network::Network;
use crate::netns::Namespace;
use crate::packet::{Packet, datagram, packet};
use crate::wait;

/// IEEE 802: for experiments of a site's own.
const MARKER_TYPE: [u8; 2] = 0x88b5u16.to_be_bytes();
const BUFFER: usize = 16 << 20;

/// The client's end of its cable: everything that passes is captured, and crafted packets can be
/// sent. From the address [`GHOST`](crate::topology::GHOST) no kernel interferes.
pub struct Tap {
    link: Link,
    neighbour: Link,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    ends: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Tap {
    pub(super) fn start(network: &Network) -> Self {
        let link = Link::open(&network.client);
        let frames = Arc::<Mutex<Vec<_>>>::default();
        let ends = Arc::<AtomicBool>::default();
        let reader = thread::spawn({
            let (socket, frames, ends) = (link.receiver(), frames.clone(), ends.clone());
            move || {
                let mut buffer = vec![0; 1 << 17];
                while !ends.load(Ordering::Relaxed) {
                    if let Ok(length) = (&socket).read(&mut buffer) {
                        let frame = buffer[..length].to_vec();
                        frames.lock().expect("the frames").push(frame);
                    }
                }
            }
        });
        Self {
            neighbour: Link::open(&network.neighbour),
            link,
            frames,
            ends,
            reader: Some(reader),
        }
    }

    /// Sends a packet to the server or the router, whichever the cable leads to.
    pub fn send(&self, craft: &Craft) {
        let frame = craft.frame().bytes;
        let (_, rest) = frame.split_at(12);
        self.send_bytes(rest);
    }

    /// Sends a frame given from its EtherType onwards.
    pub fn send_bytes(&self, rest: &[u8]) {
        self.link.send(self.neighbour.mac(), rest);
    }

    /// The TCP and UDP packets so far, both directions, fragments left out.
    pub fn packets(&self) -> Vec<Packet> {
        self.frames()
            .iter()
            .filter_map(|frame| packet(&datagram(frame)?))
            .collect()
    }

    /// Waits for a packet, which may have passed already.
    #[track_caller]
    pub fn expect(&self, what: &str, is_it: impl Fn(&Packet) -> bool) -> Packet {
        wait::until_some(what, || self.packets().into_iter().find(&is_it))
    }

    /// Waits for a packet, and gives its bytes from the IP header onwards.
    #[track_caller]
    pub fn expect_bytes(&self, what: &str, is_it: impl Fn(&Packet) -> bool) -> Vec<u8> {
        let fits = |frame: &Vec<u8>| {
            datagram(frame)
                .and_then(|datagram| packet(&datagram))
                .is_some_and(|packet| is_it(&packet))
        };
        let mut frame = wait::until_some(what, || self.frames().into_iter().find(fits));
        frame.split_off(14)
    }

    /// Everything until now; a marker from either end is behind it.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        let marker = [MARKER_TYPE.as_slice(), &[0; 46]].concat();
        self.link.send(self.neighbour.mac(), &marker);
        self.neighbour.send(self.link.mac(), &marker);
        let is_marker = |frame: &Vec<u8>| frame[12..14] == MARKER_TYPE;
        wait::until("the capture has come to its end", || {
            let frames = self.frames.lock().expect("the frames");
            frames.iter().filter(|frame| is_marker(frame)).count() == 2
        });
        self.end();
        let mut frames = self.frames();
        frames.retain(|frame| !is_marker(frame));
        frames
    }

    fn frames(&self) -> Vec<Vec<u8>> {
        self.frames.lock().expect("the frames").clone()
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of the capture");
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end();
    }
}

/// A packet socket on a host's `eth0`.
struct Link {
    socket: Socket,
    address: LinkAddr,
    host: Namespace,
}

impl Link {
    fn open(host: &Namespace) -> Self {
        let address = host
            .enter(|| {
                getifaddrs()
                    .expect("the interfaces")
                    .filter(|each| each.interface_name == "eth0")
                    .find_map(|each| each.address?.as_link_addr().copied())
            })
            .expect("an eth0");
        Self {
            socket: packet_socket(host, 0, &address),
            address,
            host: host.clone(),
        }
    }

    fn receiver(&self) -> Socket {
        const EVERYTHING: u16 = 3;
        let socket = packet_socket(&self.host, EVERYTHING, &self.address);
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a read timeout");
        socket
    }

    fn mac(&self) -> [u8; 6] {
        self.address.addr().expect("a hardware address")
    }

    fn send(&self, to: [u8; 6], rest: &[u8]) {
        let frame = [&to, &self.mac(), rest].concat();
        send(self.socket.as_raw_fd(), &frame, MsgFlags::empty()).expect("send a frame");
    }
}

fn packet_socket(host: &Namespace, protocol: u16, address: &LinkAddr) -> Socket {
    let protocol = Protocol::from(i32::from(protocol.to_be()));
    let socket = host
        .enter(|| Socket::new(Domain::PACKET, Type::RAW, Some(protocol)))
        .expect("a packet socket");
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &BUFFER)
        .expect("a large buffer");
    bind(socket.as_raw_fd(), address).expect("bind a packet socket");
    socket
}
