//! When interfaces appear, change and go (`RTNLGRP_LINK`).

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket, protocols::NETLINK_ROUTE};

/// The events of the network namespace that it was made in.
pub struct LinkEvents {
    socket: TokioSocket,
}

/// What has become of the interfaces; several events at once are one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkChange {
    /// Some are there that were not, or are other than they were.
    Changed,
    /// Some went, and may have come back as they were; or the kernel had more to tell than there was
    /// room for.
    Gone,
}

impl LinkEvents {
    /// Misses none from now on. In a tokio runtime.
    pub fn subscribe() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind_auto()?;
        socket.socket_mut().add_membership(libc::RTNLGRP_LINK)?;
        Ok(Self { socket })
    }

    /// Waits for an event, and takes all that have come with it.
    pub async fn next(&mut self) -> io::Result<LinkChange> {
        let mut change = of(self.socket.recv_from_full().await)?;
        loop {
            match of(self.socket.socket_ref().recv_from_full()) {
                Ok(next) => change = change.max(next),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(change),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Only the header is read: what there is, is asked for afterwards.
fn of<T>(received: io::Result<(Vec<u8>, T)>) -> io::Result<LinkChange> {
    let datagram = match received {
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(LinkChange::Gone),
        received => received?.0,
    };
    Ok(match NetlinkBuffer::new_checked(&datagram) {
        Ok(message) if message.message_type() == libc::RTM_NEWLINK => LinkChange::Changed,
        _ => LinkChange::Gone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_looked_at() {
        let message = |kind: u16| {
            let mut bytes = vec![0; 16];
            bytes[0] = 16;
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            of(Ok((bytes, ()))).unwrap()
        };
        assert_eq!(message(libc::RTM_NEWLINK), LinkChange::Changed);
        assert_eq!(message(libc::RTM_DELLINK), LinkChange::Gone);
        assert_eq!(of(Ok((Vec::new(), ()))).unwrap(), LinkChange::Gone);
        let error = |number| of(Err::<(_, ()), _>(io::Error::from_raw_os_error(number)));
        assert_eq!(error(libc::ENOBUFS).unwrap(), LinkChange::Gone);
        assert_eq!(
            error(libc::EAGAIN).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(LinkChange::Gone > LinkChange::Changed);
    }
}
