//! System calls that the crates at hand have no safe wrapper for.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::{io, mem};

/// The options that scenarios set: level and name of `setsockopt(2)`.
pub mod option {
    use super::SocketOption;

    pub const NO_CHECKSUM: SocketOption = (libc::SOL_SOCKET, libc::SO_NO_CHECK);
    pub const IPV4_OPTIONS: SocketOption = (libc::SOL_IP, libc::IP_OPTIONS);
    pub const IPV4_RECEIVE_ERRORS: SocketOption = (libc::SOL_IP, libc::IP_RECVERR);
    pub const IPV4_MTU: SocketOption = (libc::SOL_IP, libc::IP_MTU);
    pub const IPV4_MTU_DISCOVER: SocketOption = (libc::SOL_IP, libc::IP_MTU_DISCOVER);
    pub const IPV6_RECEIVE_ERRORS: SocketOption = (libc::SOL_IPV6, libc::IPV6_RECVERR);
    pub const IPV6_MTU: SocketOption = (libc::SOL_IPV6, libc::IPV6_MTU);
    pub const IPV6_MTU_DISCOVER: SocketOption = (libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER);
    pub const IPV6_HOP_OPTIONS: SocketOption = (libc::SOL_IPV6, libc::IPV6_HOPOPTS);
    pub const IPV6_DESTINATION_OPTIONS: SocketOption = (libc::SOL_IPV6, libc::IPV6_DSTOPTS);
    pub const UDP_SEGMENT: SocketOption = (libc::SOL_UDP, libc::UDP_SEGMENT);
    pub const UDP_GRO: SocketOption = (libc::SOL_UDP, libc::UDP_GRO);
}

pub type SocketOption = (libc::c_int, libc::c_int);

/// # Errors
/// Those of `setsockopt(2)`.
pub fn set(socket: &impl AsFd, (level, name): SocketOption, value: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).expect("a short value");
    // SAFETY: the pointer is to `length` readable bytes.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            length,
        )
    };
    done(result)
}

/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_number(socket: &impl AsFd, option: SocketOption, value: i32) -> io::Result<()> {
    set(socket, option, &value.to_ne_bytes())
}

/// # Errors
/// Those of `getsockopt(2)`.
pub fn number(socket: &impl AsFd, (level, name): SocketOption) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointers are to a number and to its size, and the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    done(result).map(|()| value)
}

/// A tun device in the namespace of this thread: reads and writes are of one IP packet each. The
/// device goes with the file.
///
/// # Errors
/// Those of opening `/dev/net/tun`, and of `TUNSETIFF`.
pub fn tun(name: &str) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: all zeros are a request, one of no name.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the pointer is to a whole request, which the kernel writes back.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    done(result).map(|()| file)
}

fn done(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
