//! Frames sent and received as they are, in the place of a client.

use std::io::{self, Read};
use std::time::Duration;

use nix::{errno::Errno, net::if_::if_nametoindex};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::netns::Namespace;
use crate::wait;

/// Longer than any answer takes, shorter than a test may hang.
const TIMEOUT: Duration = Duration::from_secs(20);
const ETH_P_ALL: u16 = 3;

/// One end of a link whose host takes no part in what is said on it.
pub struct Wire(Socket);

impl Wire {
    pub fn open(on: &Namespace, interface: &str) -> Self {
        on.enter(|| {
            let index = if_nametoindex(interface).expect("the interface");
            let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
            let socket =
                Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("a packet socket");
            socket.bind(&link_address(index)).expect("bind to the link");
            socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
            socket
                .set_recv_buffer_size(1 << 20)
                .expect("a receive buffer");
            Self(socket)
        })
    }

    /// Again where the other end had no room: ENOBUFS says that it dropped the frame.
    pub fn send(&self, frame: &[u8]) {
        wait::until("a frame leaves", || match self.0.send(frame) {
            Ok(sent) => sent == frame.len(),
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => false,
            Err(error) => panic!("cannot send a frame: {error}"),
        });
    }

    /// The next frame that comes, within a deadline.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; 1 << 16];
        let length = (&self.0).read(&mut frame)?;
        frame.truncate(length);
        Ok(frame)
    }
}

#[expect(unsafe_code, reason = "socket2 has no link-layer addresses")]
fn link_address(index: u32) -> SockAddr {
    // SAFETY: the storage is zeroed and larger than a sockaddr_ll, which is all that is written.
    let initialised = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = storage.cast::<libc::sockaddr_ll>();
            (*address).sll_family = libc::AF_PACKET as u16;
            (*address).sll_protocol = ETH_P_ALL.to_be();
            (*address).sll_ifindex = index as i32;
            *length = size_of::<libc::sockaddr_ll>() as u32;
            Ok(())
        })
    };
    initialised.expect("an address").1
}
