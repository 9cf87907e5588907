//! Somebody who sends SYNs in a client's name.

use std::net::SocketAddr;

use integration::scenario::Stage;
use integration::topology::CLIENT;
use integration::wait;
use redirector_common::native::craft::{Craft, SYN, Transport};

pub struct Stranger<'a> {
    stage: &'a Stage,
    from: SocketAddr,
    sequence: u32,
}

impl<'a> Stranger<'a> {
    /// In the name of the client's fixed port.
    pub fn new(stage: &'a Stage) -> Self {
        let client = stage.family().of(CLIENT);
        Self::of(stage, SocketAddr::new(client, stage.source_port(0)))
    }

    pub fn of(stage: &'a Stage, from: SocketAddr) -> Self {
        Self {
            stage,
            from,
            sequence: 77_000_000,
        }
    }

    /// Sends a SYN to this port and waits for what the kernel says to it.
    #[track_caller]
    pub fn syn(&mut self, port: u16) {
        self.syn_to(self.stage.server(port));
    }

    #[track_caller]
    pub fn syn_to(&mut self, to: SocketAddr) {
        let before = self.answers();
        let transport = Transport::Tcp {
            flags: SYN,
            sequence: self.sequence,
            acknowledgment: 0,
        };
        self.sequence += 1_000_000;
        let [from, to] = [self.from, to].map(|end| (end.ip(), end.port()));
        self.stage.wire().send(&Craft {
            payload: Vec::new(),
            ..Craft::new(from, to, transport)
        });
        wait::until("an answer to a stranger's SYN", || self.answers() > before);
    }

    /// Refusals, what the client has said to SYN-ACKs, and what live connections have said to SYNs.
    /// Half a second after one of those they say nothing, which is counted all the same.
    fn answers(&self) -> u64 {
        let packets = self.stage.wire().packets();
        let resets = packets.iter().filter(|packet| packet.rst).count();
        let network = self.stage.network();
        let hosts = [&network.server].into_iter().chain(&network.container);
        let challenges = hosts.map(|host| host.netstat("TcpExt", "TCPSYNChallenge"));
        resets as u64 + challenges.sum::<u64>()
    }
}
