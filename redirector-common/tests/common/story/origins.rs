//! Which ports of the wire lead to a tuple that the application knows: replies leave from no other.

use std::collections::{HashMap, HashSet};

use redirector_common::{
    Direction, Peer, Skip, Verdict,
    abi::{self, KEY_FLOW, NO_PORT, Port, SocketFlow},
    native::{Frame, Memory, Tuple},
    parse,
};

use crate::common::{
    invariants::{Subject, cross, known},
    locate::{Flow, TCP},
};

/// The client's port and this host's.
pub type Ports = (u16, u16);

#[derive(Default)]
pub struct Origins {
    /// From what the application knows to what is on the wire.
    came: HashMap<Flow, HashSet<Ports>>,
    /// The other way round.
    went: HashMap<Flow, HashSet<Ports>>,
}

impl Origins {
    /// A packet crosses, sent by the socket that the kernel has for its tuple.
    pub fn cross(
        &mut self,
        frame: &mut Frame,
        memory: &mut Memory,
        direction: Direction,
    ) -> Result<Verdict, Skip> {
        let subject = Subject::of(frame, direction);
        let before = subject.map(|subject| subject.flow(frame));
        let is_packet = subject.is_some_and(|subject| !subject.is_error());
        let sender =
            before.filter(|flow| direction == Direction::Egress && is_packet && flow.0 == TCP);
        memory.socket = match sender.and_then(|(_, tuple)| memory.peers.get(&tuple)) {
            Some(Peer::Connected { origin }) => Some(*origin),
            _ => None,
        };
        let begins = direction == Direction::Ingress
            && matches!(parse(frame), Ok(Some(segment)) if segment.flags.is_opening());
        let at_its_begin = begins.then(|| memory.clone());
        let verdict = cross(frame, memory, direction);
        if let (Some(origin), Some((_, tuple))) = (memory.socket, sender) {
            memory.peers.insert(tuple, Peer::Connected { origin });
        }
        if let (Ok(Verdict::Redirected { .. }), Some(before)) = (verdict, before) {
            let after = subject.expect("it has ports").flow(frame);
            let (wire, application) = match direction {
                Direction::Ingress => (before, after),
                Direction::Egress => (after, before),
            };
            if let Some(memory) = at_its_begin {
                begin(&memory, wire.1, application.1);
            }
            // A moved connection has a SYN that was moved; else the middle may be all that is seen.
            let may_be_new = begins || wire.1.1 == application.1.1;
            if may_be_new && is_packet && direction == Direction::Ingress {
                self.note(wire, application);
            }
            let came = self.came(&application);
            let ports = ports(&wire.1);
            assert!(
                came.contains(&ports),
                "{ports:?} is none of {came:?}: {frame:02x?}"
            );
        }
        verdict
    }

    /// What a socket remembers counts as well.
    pub fn note_socket(&mut self, tuple: Tuple, origin: SocketFlow) {
        let (remote, _, local, _) = tuple;
        let (client, from) = wire_ports(&tuple, origin.from, origin.client);
        let wire = (remote, Port::new(client), local, Port::new(from));
        self.note((TCP, wire), (TCP, tuple));
    }

    pub fn came(&self, application: &Flow) -> HashSet<Ports> {
        self.came.get(application).cloned().unwrap_or_default()
    }

    /// Whether nothing else was ever on the wire for this one, nor this one for anything else.
    pub fn is_alone(&self, wire: &Flow) -> bool {
        let (remote, _, local, _) = wire.1;
        let went = self.went.get(wire);
        went.is_some_and(|went| went.len() == 1)
            && went.into_iter().flatten().all(|(client, port)| {
                let tuple = (remote, Port::new(*client), local, Port::new(*port));
                self.came(&(wire.0, tuple)).len() == 1
            })
    }

    fn note(&mut self, wire: Flow, application: Flow) {
        self.came
            .entry(application)
            .or_default()
            .insert(ports(&wire.1));
        self.went
            .entry(wire)
            .or_default()
            .insert(ports(&application.1));
    }
}

/// A SYN does not go to a connection that came through another port, and its client's port is not moved for nothing.
fn begin(memory: &Memory, wire: Tuple, application: Tuple) {
    if let Some(owners) = owners(memory, &application) {
        let is_one = |owner: &Ports| *owner == ports(&wire);
        assert!(owners.iter().any(is_one), "{wire:?} meets {owners:?}");
    }
    if wire.1 != application.1 {
        let unmoved = (wire.0, wire.1, wire.2, application.3);
        let waits = memory.peers.get(&unmoved) == Some(&Peer::TimeWait);
        // Within it: that the other one is over since does not bring its port back.
        let lives = matches!(memory.peers.get(&application), Some(Peer::Connected { .. }));
        assert!(
            waits || lives || owners(memory, &unmoved).is_some(),
            "{wire:?} moved for nothing"
        );
    }
}

/// What is on the wire for a live connection, as far as anybody knows; `None` where there is none.
fn owners(memory: &Memory, tuple: &Tuple) -> Option<HashSet<Ports>> {
    let known = || known(memory, KEY_FLOW, tuple);
    let wire_ports_of = |flow: abi::Flow| wire_ports(tuple, flow.from, flow.client);
    let owners: HashSet<_> = match memory.peers.get(tuple).unwrap_or(&Peer::None) {
        Peer::TimeWait => return None,
        // No socket tells of it: a container's, or under SYN cookies, or not answered yet.
        Peer::None => known()
            .filter(|flow| {
                let is_under_way = !flow.is_answered()
                    && flow.is_fresh(memory.now)
                    && is_claim(memory, tuple, flow);
                flow.is_socketless() || is_under_way
            })
            .map(wire_ports_of)
            .collect(),
        // Not known: it may be the SYN's own.
        Peer::Handshake => {
            let is_its = |flow: &abi::Flow| flow.is_answered() || is_proven(memory, tuple, flow);
            known().filter(is_its).map(wire_ports_of).collect()
        }
        Peer::Connected {
            origin: Some(origin),
        } => HashSet::from([wire_ports(tuple, origin.from, origin.client)]),
        Peer::Connected { origin: None } => return Some(known().map(wire_ports_of).collect()),
    };
    (!owners.is_empty()).then_some(owners)
}

/// Whether both of its sides were seen.
fn is_proven(memory: &Memory, tuple: &Tuple, flow: &abi::Flow) -> bool {
    let mut without = memory.clone();
    without.pending.clear();
    known(&without, KEY_FLOW, tuple).any(|proven| proven == *flow)
}

/// Whether a SYN, or what else began it, is all that was seen of it.
fn is_claim(memory: &Memory, tuple: &Tuple, flow: &abi::Flow) -> bool {
    let mut without = memory.clone();
    without.answered.clear();
    known(&without, KEY_FLOW, tuple).any(|claimed| claimed == *flow)
}

fn wire_ports(tuple: &Tuple, from: Port, client: Port) -> Ports {
    let client = if client == NO_PORT { tuple.1 } else { client };
    (client.get(), from.get())
}

fn ports(tuple: &Tuple) -> Ports {
    (tuple.1.get(), tuple.3.get())
}
