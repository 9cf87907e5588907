//! What the kernel tells of sockets.

use std::{io, net::TcpStream, os::fd::AsRawFd as _};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Of the calling thread's network namespace: no other one has it until the next boot, unlike its inode.
pub fn namespace_cookie() -> io::Result<u64> {
    let socket = socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut cookie: u64 = 0;
    let mut length = size_of_val(&cookie) as libc::socklen_t;
    // SAFETY: the pointers are to a number and to its size, and the kernel writes no more than that.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(cookie)
}

/// Octets that a connection has sent and the other end has not acknowledged; an end (FIN) counts as one
/// (`net/ipv4/tcp.c`, tcp_ioctl()).
pub fn unacknowledged(stream: &TcpStream) -> io::Result<libc::c_int> {
    let mut octets = 0;
    // SAFETY: the descriptor is open, and the kernel writes one number.
    let failed = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(octets)
}
