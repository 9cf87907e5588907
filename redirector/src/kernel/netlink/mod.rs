//! rtnetlink, for what aya neither asks nor tells: clsact qdiscs and their filters, what XDP programs
//! an interface has, what is above it, what its driver can do, and when interfaces come and go. And
//! sock_diag, for the queues of listening sockets and for connections.

mod events;
mod listeners;
mod netdev;
mod sockets;
mod stack;
mod tc;
mod xdp;

use std::{fmt, io};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

pub use self::{
    events::{LinkChange, LinkEvents},
    listeners::{Listener, listeners},
    netdev::xdp_features,
    sockets::{Connection, connections},
    stack::{Link, Stack, bridge_options, bridges},
    tc::{Clsact, Filter},
    xdp::XdpMode,
};

/// One socket in the calling thread's network namespace.
pub struct Netlink {
    socket: Socket,
}

/// What the kernel answered: an error number, and often a reason in words (`NLMSGERR_ATTR_MSG`).
#[derive(Debug)]
pub struct Refusal {
    pub source: io::Error,
    pub reason: Option<String>,
}

impl Netlink {
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        Ok(Self { socket })
    }

    /// Asks for a change.
    fn change(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Refusal> {
        self.request(message, NLM_F_ACK | flags).map(drop)
    }

    /// Sends a request and collects what comes until the answer ends.
    fn request(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        request(&self.socket, message, flags)
    }
}

/// The same for any protocol of netlink.
fn request<M>(socket: &Socket, message: M, flags: u16) -> Result<Vec<M>, Refusal>
where
    M: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<M>>,
    M::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | flags;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let answer = NetlinkMessage::<M>::deserialize(rest).map_err(io::Error::other)?;
            let length = (answer.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            match answer.payload {
                NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                NetlinkPayload::Error(error) => {
                    return Err(Refusal {
                        source: error.to_io(),
                        reason: reason(&error.header),
                    });
                }
                _ => {}
            }
        }
    }
}

/// The kernel's words, behind the header of the request (`netlink_ack()` in
/// `net/netlink/af_netlink.c`).
fn reason(error: &[u8]) -> Option<String> {
    const HEADER: usize = 16;
    const NLMSGERR_ATTR_MSG: u16 = 1;
    NlasIterator::new(error.get(HEADER..)?)
        .flatten()
        .find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)
        .map(|attribute| {
            let text = String::from_utf8_lossy(attribute.value());
            text.trim_end_matches('\0').to_owned()
        })
}

impl From<io::Error> for Refusal {
    fn from(source: io::Error) -> Self {
        Self {
            source,
            reason: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{reason} ({})", self.source),
            None => self.source.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}
