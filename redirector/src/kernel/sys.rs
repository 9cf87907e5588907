//! System calls that no crate of ours wraps.
#![expect(unsafe_code, reason = "raw system calls")]

mod batch;
mod device;
mod socket;

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

pub use self::{
    batch::entries,
    device::{driver, hardware_type, receive_offloads},
    socket::{namespace_cookie, unacknowledged},
};

/// `bpf(2)` command and attribute of `include/uapi/linux/bpf.h`.
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_UPDATE: libc::c_int = 29;
const BPF_LINK_DETACH: libc::c_int = 34;

#[repr(C)]
struct Object {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

#[repr(C)]
struct LinkUpdate {
    link_fd: u32,
    new_prog_fd: u32,
    flags: u32,
    old_prog_fd: u32,
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    /// TCX: relative to which program, and how often the list has changed; not read.
    reserved: [u64; 2],
}

#[derive(Default)]
#[repr(C)]
struct Query {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    padding: u32,
    /// Flags of programs, ids of links and their flags; not asked for.
    not_asked: [u64; 3],
    revision: u64,
}

/// Of a TCX hook (`bpf_mprog_max()` of `include/linux/bpf_mprog.h`: the last of `BPF_MPROG_MAX` stays empty).
pub const MAX_PROGRAMS: usize = 63;

/// The ids of the programs of a TCX hook, in the order in which packets meet them.
///
/// aya asks for each program's details too, which takes CAP_SYS_ADMIN; this takes CAP_NET_ADMIN.
pub fn query(ifindex: u32, attach_type: u32) -> io::Result<Vec<u32>> {
    let mut ids = vec![0_u32; MAX_PROGRAMS];
    let mut attribute = Query {
        target_ifindex: ifindex,
        attach_type,
        prog_ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        ..Query::default()
    };
    bpf_mut(BPF_PROG_QUERY, &mut attribute)?;
    ids.truncate(attribute.count as usize);
    Ok(ids)
}

/// What a descriptor of a map is good for. Links and programs to attach have no other than both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
}

impl Access {
    const fn flags(self) -> u32 {
        const BPF_F_RDONLY: u32 = 1 << 3;
        match self {
            Self::Read => BPF_F_RDONLY,
            Self::ReadWrite => 0,
        }
    }
}

/// Opens a pinned object. aya keeps a link's descriptor to itself, and its details are in fdinfo; it opens
/// maps to write.
pub fn object_get(path: &Path, access: Access) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attribute = Object {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: access.flags(),
    };
    descriptor(bpf(BPF_OBJ_GET, &attribute)?)
}

/// Whether something other than capabilities keeps this process from bpf(2). With them the kernel itself says that
/// there is no such file (`kernel/bpf/syscall.c`, `__sys_bpf()`).
pub fn is_filtered() -> bool {
    object_get(Path::new("/"), Access::Read)
        .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

pub fn object_pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attribute = Object {
        pathname: path.as_ptr() as u64,
        bpf_fd: object.as_raw_fd() as u32,
        file_flags: 0,
    };
    bpf(BPF_OBJ_PIN, &attribute).map(drop)
}

/// A link of a program to an interface, which goes with its last descriptor or pin. aya's own attaching
/// falls back to netlink where the kernel refuses a link.
pub fn link_create(
    program: &OwnedFd,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let attribute = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        target_ifindex: ifindex,
        attach_type,
        flags,
        reserved: [0; 2],
    };
    descriptor(bpf(BPF_LINK_CREATE, &attribute)?)
}

pub fn link_update(link: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    let attribute = LinkUpdate {
        link_fd: link.as_raw_fd() as u32,
        new_prog_fd: program.as_raw_fd() as u32,
        flags: 0,
        old_prog_fd: 0,
    };
    bpf(BPF_LINK_UPDATE, &attribute).map(drop)
}

/// Detaches at once. What only its pin held is detached some time after the pin is gone.
pub fn link_detach(link: &OwnedFd) -> io::Result<()> {
    let attribute = LinkDetach {
        link_fd: link.as_raw_fd() as u32,
    };
    bpf(BPF_LINK_DETACH, &attribute).map(drop)
}

/// For commands that only read their attribute.
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
    number(outcome)
}

fn bpf_mut<T>(command: libc::c_int, attribute: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: as above, and the kernel writes no more than the size and the counts in it allow.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attribute),
            size_of::<T>(),
        )
    };
    number(outcome)
}

fn number(outcome: libc::c_long) -> io::Result<libc::c_long> {
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(outcome)
}

fn descriptor(number: libc::c_long) -> io::Result<OwnedFd> {
    let number = RawFd::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
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

/// Waits until every packet that was in a program at the call has left it: an RCU grace period
/// (`kernel/sched/membarrier.c`: MEMBARRIER_CMD_GLOBAL is synchronize_rcu()).
pub fn wait_for_packets() {
    // SAFETY: no pointers. It fails only on kernels that shield CPUs from RCU (nohz_full), where a
    // packet still leaves the program long before the next reload can begin.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
