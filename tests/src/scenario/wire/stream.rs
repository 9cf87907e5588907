use super::super::log::digest;
use crate::packet::Packet;

/// Far beyond what a scenario sends; a segment further on belongs to no stream.
const LIMIT: u32 = 1 << 26;

/// One direction of a TCP flow: one connection after the other.
#[derive(Default)]
pub struct Stream(Vec<Connection>);

#[derive(Default)]
struct Connection {
    /// The sequence number of the first byte, once known.
    start: Option<u32>,
    syn: Option<&'static str>,
    bytes: Vec<Option<u8>>,
    fin: bool,
    rst: bool,
    /// Segments that fit nowhere, and retransmissions that say something else.
    strange: Vec<String>,
}

impl Stream {
    pub fn add(&mut self, packet: &Packet) {
        let first = packet.sequence.wrapping_add(u32::from(packet.syn));
        let is_its = |each: &Connection| each.syn.is_some() && each.start == Some(first);
        let is_new = match packet.syn {
            true => !self.0.iter().any(is_its),
            false => self.0.is_empty(),
        };
        if is_new {
            self.0.push(Connection::default());
        }
        let is_placed = packet.syn || packet.fin || !packet.payload.is_empty();
        let by_distance = |each: &&mut Connection| each.distance(first);
        let connection = match is_placed && !is_new {
            // A stranger's SYN makes no live connection a new one.
            true => self.0.iter_mut().rev().min_by_key(by_distance),
            false => self.0.last_mut(),
        };
        let Some(connection) = connection else {
            return;
        };
        if packet.syn {
            connection.syn = Some(if packet.ack { "SYN-ACK" } else { "SYN" });
        }
        if is_placed {
            let start = *connection.start.get_or_insert(first);
            connection.carry(first.wrapping_sub(start), &packet.payload);
        }
        connection.fin |= packet.fin;
        connection.rst |= packet.rst;
    }

    pub fn lines(self) -> Vec<String> {
        self.0.into_iter().flat_map(Connection::lines).collect()
    }
}

impl Connection {
    /// From what is known of it.
    fn distance(&self, sequence: u32) -> u32 {
        let length = u32::try_from(self.bytes.len()).unwrap_or(LIMIT);
        self.start.map_or(u32::MAX, |start| {
            let before = start.wrapping_sub(sequence);
            match sequence.wrapping_sub(start) {
                at if at <= length => 0,
                at => before.min(at - length),
            }
        })
    }

    fn carry(&mut self, at: u32, payload: &[u8]) {
        let is_keepalive = at == u32::MAX && payload.len() <= 1;
        if payload.is_empty() || is_keepalive {
            return;
        }
        if at >= LIMIT {
            self.strange
                .push(format!("{} out of place", digest(payload)));
            return;
        }
        let at = at as usize;
        let end = at + payload.len();
        self.bytes.resize(self.bytes.len().max(end), None);
        let mut differs = false;
        for (place, byte) in self.bytes[at..end].iter_mut().zip(payload) {
            differs |= *place.get_or_insert(*byte) != *byte;
        }
        if differs {
            self.strange.push("other bytes sent again".to_owned());
        }
    }

    fn lines(self) -> Vec<String> {
        let mut lines: Vec<String> = self.syn.iter().map(ToString::to_string).collect();
        let missing = self.bytes.iter().filter(|byte| byte.is_none()).count();
        let bytes: Vec<u8> = self.bytes.into_iter().flatten().collect();
        if !bytes.is_empty() {
            lines.push(digest(&bytes));
        }
        if missing != 0 {
            lines.push(format!("{missing} bytes never seen"));
        }
        lines.extend(self.strange);
        lines.extend(self.fin.then(|| "FIN".to_owned()));
        lines.extend(self.rst.then(|| "RST".to_owned()));
        lines
    }
}
