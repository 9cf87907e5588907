//! System calls that no crate of ours wraps.
#![expect(unsafe_code, reason = "raw system calls")]

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `bpf(2)` command and attribute of `include/uapi/linux/bpf.h`.
const BPF_OBJ_GET: libc::c_int = 7;

#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Opens a pinned object. aya keeps a link's descriptor to itself, and its details are in fdinfo.
pub fn object_get(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attribute = ObjGet {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    // SAFETY: the attribute and the path it points to outlive the call, and the size is its own.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET,
            &raw const attribute,
            size_of::<ObjGet>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The value of `key` in the descriptor's fdinfo.
pub fn fdinfo(fd: &OwnedFd, key: &str) -> io::Result<Option<String>> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.trim().to_owned()))
}

/// The hardware type of an interface of the calling thread's network namespace (`ARPHRD_*`).
pub fn hardware_type(interface: &str) -> io::Result<u16> {
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
    // SAFETY: the request outlives the call and its name ends with a zero.
    let failed =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has written this field.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
}

/// Waits until every packet that was in a program at the call has left it: an RCU grace period
/// (`kernel/sched/membarrier.c`: MEMBARRIER_CMD_GLOBAL is synchronize_rcu()).
pub fn wait_for_packets() {
    // SAFETY: no pointers. It fails only on kernels that shield CPUs from RCU (nohz_full), where a
    // packet still leaves the program long before the next reload can begin.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
