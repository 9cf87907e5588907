//! A server that answers, and the wire that shows what.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::datapath::{Datapath, Redirected};
use crate::netns::{Namespace, Offloads};
use crate::normal::{self, ICMP, ICMPV6};
use crate::story::{Numbers, Step};
use crate::topology::SERVER;
use crate::wire::Wire;

/// The first target is open, the second closed.
const RULES: &[&str] = &["80:8000", "80:8000/udp", "81:8001", "81:8001/udp"];
const OPEN_TARGET: u16 = 8000;

const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Between the servers and all clients.
const ROUTERS: [&str; 2] = ["10.77.1.2", "fd77:1::2"];

/// No limits on answers, and room and time for what a run leaves half done.
const SYSCTLS: &[(&str, &str)] = &[
    ("ipv4.icmp_ratemask", "0"),
    ("ipv6.icmp.ratelimit", "0"),
    // A list of types: errors are not on it, so the limit of all together does not count either.
    ("ipv6.icmp.ratemask", "0"),
    ("ipv4.tcp_challenge_ack_limit", "2147483647"),
    ("ipv4.tcp_invalid_ratelimit", "0"),
    ("ipv4.tcp_syncookies", "0"),
    ("ipv4.tcp_early_retrans", "0"),
    ("ipv4.tcp_max_syn_backlog", "262144"),
    ("ipv4.tcp_synack_retries", "1"),
    ("core.somaxconn", "65536"),
    ("ipv4.ipfrag_high_thresh", "1073741824"),
    ("ipv6.ip6frag_high_thresh", "1073741824"),
    ("ipv4.ipfrag_time", "3600"),
    ("ipv6.ip6frag_time", "3600"),
];

/// Numbers outside the window, wrong checksums and RSTs of the past are not invalid: the redirector
/// leaves them to the socket, which knows better.
const CONNTRACK: &[(&str, &str)] = &[
    ("netfilter.nf_conntrack_tcp_be_liberal", "1"),
    ("netfilter.nf_conntrack_checksum", "0"),
    ("netfilter.nf_conntrack_tcp_ignore_invalid_rst", "1"),
    ("netfilter.nf_conntrack_frag6_high_thresh", "1073741824"),
    ("netfilter.nf_conntrack_frag6_timeout", "3600"),
];

/// To each packet of a sequence, and to its end.
pub type Answers = Vec<Vec<Vec<u8>>>;

/// A host that redirects, its applications, and the wire to its clients.
pub struct Server {
    wire: Wire,
    tcp: TcpListener,
    udp: UdpSocket,
    connections: Vec<TcpStream>,
    marker: u16,
    _redirected: Redirected,
    _namespaces: [Namespace; 2],
}

impl Server {
    /// Clients are behind [`ROUTERS`], and exist on the wire only.
    pub fn new(datapath: Datapath) -> Self {
        let [client, server] = ["client", "server"].map(Namespace::new);
        client.connect("eth0", &server, "eth0");
        client.sysctl("ipv6.conf.eth0.disable_ipv6", "1");
        server.ip("link set eth0 address 02:00:00:00:00:01");
        client.ip("link set eth0 address 02:00:00:00:00:02");
        server.address("eth0", &format!("{}/24", SERVER.v4));
        server.address("eth0", &format!("{}/64", SERVER.v6));
        server.offloads("eth0", Offloads::Off);
        for (router, clients) in ROUTERS.into_iter().zip(["198.18.0.0/15", "2001:db8::/32"]) {
            server.ip(&format!(
                "neigh replace {router} lladdr 02:00:00:00:00:02 dev eth0 nud permanent"
            ));
            server.ip(&format!(
                "route add {clients} via {router} rto_min 5s quickack 1"
            ));
        }
        for (key, value) in SYSCTLS {
            server.sysctl(key, value);
        }
        let redirected = datapath.redirect(&server, RULES);
        if datapath == Datapath::Nft {
            for (key, value) in CONNTRACK {
                server.sysctl(key, value);
            }
        }
        let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), OPEN_TARGET);
        let (tcp, udp) = server.enter(|| (listen(any), UdpSocket::bind(any).expect("UDP")));
        tcp.set_nonblocking(true).expect("no blocking");
        udp.set_nonblocking(true).expect("no blocking");
        Self {
            wire: Wire::open(&client, "eth0"),
            tcp,
            udp,
            connections: Vec::new(),
            marker: 0,
            _redirected: redirected,
            _namespaces: [client, server],
        }
    }

    pub fn play(&mut self, client: IpAddr, steps: &[Step]) -> Answers {
        let mut numbers = Numbers::default();
        let mut all = Vec::new();
        for step in steps {
            for frame in step.frames([SERVER_MAC, CLIENT_MAC], numbers) {
                self.wire.send(&frame);
            }
            let mut answers = self.answers(client);
            if self.applications() {
                answers.extend(self.answers(client));
            }
            let normal = answers.iter().map(|answer| {
                numbers.learn(answer);
                normal::normalise(answer, numbers.first)
            });
            all.push(normal.collect());
        }
        self.connections.clear();
        let answers = self.answers(client);
        all.push(
            answers
                .iter()
                .map(|answer| normal::normalise(answer, numbers.first))
                .collect(),
        );
        all
    }

    /// What came before the answer to a ping, which is answered in the order of arrival.
    fn answers(&mut self, client: IpAddr) -> Vec<Vec<u8>> {
        self.marker = self.marker.wrapping_add(1);
        self.wire.send(&ping(self.marker));
        let mut answers = Vec::new();
        loop {
            let frame = self.wire.receive().expect("the answer to a ping");
            let packet = &frame[14..];
            match normal::transport(packet) {
                Some((ICMP, at)) if is_pong(&packet[at..], self.marker) => return answers,
                // Neighbour discovery and the like begin at 128. Other sequences' timers go on.
                Some((ICMPV6, at)) if packet[at] >= 128 => {}
                Some(_) if normal::destination(packet) == client => {
                    answers.push(packet.to_vec());
                }
                _ => {}
            }
        }
    }

    /// Accepts, echoes and closes; says whether there was anything to do.
    fn applications(&mut self) -> bool {
        let mut any = false;
        while let Ok((stream, _)) = self.tcp.accept() {
            stream.set_nonblocking(true).expect("no blocking");
            self.connections.push(stream);
            any = true;
        }
        let mut buffer = [0; 2048];
        loop {
            match self.udp.recv_from(&mut buffer) {
                Ok((length, peer)) => {
                    any = true;
                    // A damaged source address may be unreachable.
                    let _ = self.udp.send_to(&buffer[..length], peer);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => any = true,
            }
        }
        self.connections
            .retain_mut(|stream| match stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                Ok(length) if length > 0 => {
                    any = true;
                    stream.write_all(&buffer[..length]).is_ok()
                }
                _ => {
                    any = true;
                    false
                }
            });
        any
    }
}

/// With room for the handshakes that a run leaves half open.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.bind(&address.into()).expect("the port is free");
    socket.listen(1 << 16).expect("a listener");
    socket.into()
}

fn is_pong(message: &[u8], marker: u16) -> bool {
    message[0] == 0 && message[6..8] == marker.to_be_bytes()
}

fn ping(marker: u16) -> Vec<u8> {
    let mut frame = [SERVER_MAC, CLIENT_MAC].concat();
    frame.extend([
        8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 77, 1, 2, 10, 77, 1, 1,
    ]);
    let sum = !normal::sum(&frame[14..]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend([8, 0, 0, 0, 0x77, 0x77]);
    frame.extend(marker.to_be_bytes());
    let sum = !normal::sum(&frame[34..]);
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}
