use std::net::IpAddr;

use integration::scenario::Stage;
use integration::scenario::icmp_error::{Complaint, IcmpError, cut};
use integration::topology::CLIENT;

/// How an error comes.
pub struct Way {
    pub from: IpAddr,
    pub to: IpAddr,
    pub quote: fn(Vec<u8>) -> Vec<u8>,
    pub extended: bool,
}

impl Way {
    /// From the client, with a short quote.
    pub fn new(stage: &Stage) -> Self {
        Self {
            from: stage.family().of(CLIENT),
            to: stage.server(0).ip(),
            quote: cut,
            extended: false,
        }
    }

    /// Sends an error about a packet of the server.
    pub fn send(&self, stage: &Stage, complaint: Complaint, packet: &[u8]) {
        let error = IcmpError {
            from: self.from,
            to: self.to,
            complaint,
            quote: (self.quote)(packet.to_vec()),
            extended: self.extended,
        };
        stage.wire().send_bytes(&error.bytes());
    }
}
