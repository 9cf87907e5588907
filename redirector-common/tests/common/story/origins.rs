//! Which wire ports a client came through to a target: replies leave from no other.

use std::collections::{HashMap, HashSet};

use redirector_common::{
    Direction, Peer, Skip, Verdict,
    abi::{Address, Port, SocketFlow},
    native::{Frame, Memory, Tuple},
};

use crate::common::{
    invariants::cross,
    locate::{Located, TCP, locate, u16_at},
};

/// The tuple has the port that the application's socket has.
type Flow = (u8, Tuple);

#[derive(Default)]
pub struct Origins(HashMap<Flow, HashSet<u16>>);

impl Origins {
    /// A packet crosses, sent by the socket that the kernel has for its tuple.
    pub fn cross(
        &mut self,
        frame: &mut Frame,
        memory: &mut Memory,
        direction: Direction,
    ) -> Result<Verdict, Skip> {
        let before = locate(frame).map(|at| (at, flow(frame, &at, direction)));
        let sender = before.map(|(_, flow)| flow);
        let sender = sender.filter(|flow| direction == Direction::Egress && flow.0 == TCP);
        memory.socket = match sender.and_then(|(_, tuple)| memory.peers.get(&tuple)) {
            Some(Peer::Connected { origin }) => Some(*origin),
            _ => None,
        };
        let verdict = cross(frame, memory, direction);
        if let (Some(origin), Some((_, tuple))) = (memory.socket, sender) {
            memory.peers.insert(tuple, Peer::Connected { origin });
        }
        if let (Ok(Verdict::Redirected { .. }), Some((at, before))) = (verdict, before) {
            let after = flow(frame, &at, direction);
            match direction {
                Direction::Ingress => self.note(after, before.1.3),
                Direction::Egress => {
                    let port = after.1.3.get();
                    let came = self.of(&before);
                    assert!(
                        came.contains(&port),
                        "{port} is none of {came:?}: {frame:02x?}"
                    );
                }
            }
        }
        verdict
    }

    /// What a socket remembers counts as well.
    pub fn note_socket(&mut self, tuple: Tuple, origin: SocketFlow) {
        self.note((TCP, tuple), origin.from);
    }

    pub fn of(&self, flow: &Flow) -> HashSet<u16> {
        self.0.get(flow).cloned().unwrap_or_default()
    }

    fn note(&mut self, flow: Flow, from: Port) {
        self.0.entry(flow).or_default().insert(from.get());
    }
}

pub fn flow(frame: &Frame, at: &Located, direction: Direction) -> Flow {
    let ip = &frame.bytes[at.network..];
    let [source, destination] = if ip[0] >> 4 == 4 {
        [12, 16].map(|from| {
            let bytes = ip[from..from + 4].try_into().expect("4 bytes");
            Address::ipv4(u32::from_ne_bytes(bytes))
        })
    } else {
        [8, 24].map(|from| Address::ipv6(ip[from..from + 16].try_into().expect("16 bytes")))
    };
    let [source_port, destination_port] =
        [0, 2].map(|from| Port::new(u16_at(&frame.bytes, at.transport + from).expect("a port")));
    let tuple = match direction {
        Direction::Ingress => (source, source_port, destination, destination_port),
        Direction::Egress => (destination, destination_port, source, source_port),
    };
    (at.protocol, tuple)
}
