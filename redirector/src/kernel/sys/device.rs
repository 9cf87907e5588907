//! What the kernel tells of network interfaces.

use std::{io, os::fd::AsRawFd as _};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// The hardware type of an interface of the calling thread's network namespace (`ARPHRD_*`).
pub fn hardware_type(interface: &str) -> io::Result<u16> {
    let request = ask_device(interface, libc::SIOCGIFHWADDR, std::ptr::null_mut())?;
    // SAFETY: the kernel has written this field.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
}

/// Up to the driver's name; `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

pub fn driver(interface: &str) -> io::Result<String> {
    const ETHTOOL_GDRVINFO: u32 = 3;
    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    ask_device(interface, libc::SIOCETHTOOL, (&raw mut info).cast())?;
    let name = info.driver.split(|byte| *byte == 0).next();
    Ok(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
}

#[derive(Clone, Copy, Debug)]
pub struct ReceiveOffloads {
    pub gro: bool,
    pub lro: bool,
}

pub fn receive_offloads(interface: &str) -> io::Result<ReceiveOffloads> {
    const ETHTOOL_GFLAGS: u32 = 0x25;
    const ETHTOOL_GGRO: u32 = 0x2b;
    const ETH_FLAG_LRO: u32 = 1 << 15;
    let ask = |command: u32| {
        // `struct ethtool_value`: the command, and what the kernel answers.
        let mut value = [command, 0];
        ask_device(interface, libc::SIOCETHTOOL, (&raw mut value).cast()).map(|_| value[1])
    };
    Ok(ReceiveOffloads {
        gro: ask(ETHTOOL_GGRO)? != 0,
        lro: ask(ETHTOOL_GFLAGS)? & ETH_FLAG_LRO != 0,
    })
}

/// `data` is null, or to what the command reads and writes.
fn ask_device(
    interface: &str,
    command: libc::Ioctl,
    data: *mut libc::c_char,
) -> io::Result<libc::ifreq> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: all zeros is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = data;
    // SAFETY: the request and what it points to outlive the call, its name ends with a zero, and the
    // callers hand over what the command writes.
    let failed = unsafe { libc::ioctl(socket.as_raw_fd(), command, &raw mut request) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(request)
}
