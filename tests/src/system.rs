//! System calls that the crates at hand have no safe wrapper for.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
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

/// A program of two instructions, which returns `verdict`, under a name of the caller's.
///
/// # Errors
/// Those of `BPF_PROG_LOAD`.
pub fn load_program(kind: u32, name: &str, verdict: i32) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_int = 5;
    /// Up to the name; `union bpf_attr` of `include/uapi/linux/bpf.h`.
    #[repr(C)]
    struct Load {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log: [u64; 2],
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
    }
    // BPF_MOV64_IMM(BPF_REG_0, verdict), BPF_EXIT_INSN()
    let instructions = [0xb7 | (verdict as u32 as u64) << 32, 0x95];
    let license = c"GPL";
    let mut attribute = Load {
        prog_type: kind,
        insn_cnt: 2,
        insns: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log: [0; 2],
        kern_version: 0,
        prog_flags: 0,
        prog_name: [0; 16],
    };
    for (to, byte) in attribute.prog_name.iter_mut().zip(name.bytes()).take(15) {
        *to = byte;
    }
    descriptor(bpf(BPF_PROG_LOAD, &attribute))
}

/// # Errors
/// Those of `BPF_OBJ_PIN`.
pub fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    const BPF_OBJ_PIN: libc::c_int = 6;
    let path = CString::new(path.as_os_str().as_bytes())?;
    bpf(BPF_OBJ_PIN, &pinned(&path, object.as_raw_fd() as u32)).map(drop)
}

/// Takes a pinned link from whatever it holds to. Its pin stays.
///
/// # Errors
/// Those of `BPF_OBJ_GET` and `BPF_LINK_DETACH`.
pub fn detach_link(path: &Path) -> io::Result<()> {
    const BPF_OBJ_GET: libc::c_int = 7;
    const BPF_LINK_DETACH: libc::c_int = 34;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let link = descriptor(bpf(BPF_OBJ_GET, &pinned(&path, 0)))?;
    bpf(BPF_LINK_DETACH, &(link.as_raw_fd() as u32)).map(drop)
}

#[repr(C)]
struct Pinned {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

fn pinned(path: &CString, bpf_fd: u32) -> Pinned {
    Pinned {
        pathname: path.as_ptr() as u64,
        bpf_fd,
        file_flags: 0,
    }
}

fn bpf<T>(command: libc::c_int, attribute: &T) -> io::Result<libc::c_long> {
    // SAFETY: the attribute and what it points to outlive the call, and the size is its own.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attribute),
            size_of::<T>(),
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(outcome)
}

fn descriptor(outcome: io::Result<libc::c_long>) -> io::Result<OwnedFd> {
    let number = RawFd::try_from(outcome?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
