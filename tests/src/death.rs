//! Death at every moment that matters: before each system call by which a program changes something.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Runs a command that waits for a line on its standard input and becomes `program` some time after. Kills
/// it before this change of that program, counted from 0, and tells the number of the system call that it
/// would have been. `None`: it has fewer, and came to its end.
///
/// # Panics
/// When it cannot be started or traced.
#[expect(clippy::zombie_processes, reason = "it is waited for by its pid")]
pub fn before_change(command: &mut Command, program: &Path, number: usize) -> Option<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid fits in i32"));
    let options =
        Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).expect("a child may be traced");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"\n").expect("it waits for a line");
    drop(stdin);

    let mut changes = 0;
    let mut is_program = false;
    loop {
        let signal = match wait(pid) {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return None,
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => {
                let now = fs::read_link(format!("/proc/{pid}/exe"));
                is_program = now.is_ok_and(|now| now == program);
                None
            }
            WaitStatus::PtraceSyscall(_) if is_change(pid) => {
                if changes == number {
                    let call = system_call(pid).swap_remove(0);
                    kill(pid, Signal::SIGKILL).expect("a child may be killed");
                    while !matches!(wait(pid), WaitStatus::Signaled(..)) {}
                    return Some(call);
                }
                changes += 1;
                None
            }
            _ => None,
        };
        let go_on = match is_program {
            true => ptrace::syscall(pid, signal),
            false => ptrace::cont(pid, signal),
        };
        go_on.expect("it is stopped");
    }
}

fn wait(pid: Pid) -> WaitStatus {
    waitpid(pid, Some(WaitPidFlag::__WALL)).expect("the state of a child")
}

/// Whether it is about to change something outside itself.
fn is_change(pid: Pid) -> bool {
    let call = ptrace::syscall_info(pid).expect("a system call");
    if call.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return false;
    }
    let words = system_call(pid);
    let number: libc::c_long = words[0].parse().expect("a number");
    let argument = |position: usize| {
        let word = words[position + 1].trim_start_matches("0x");
        u64::from_str_radix(word, 16).expect("an argument")
    };
    match number {
        libc::SYS_openat => {
            let writes = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT;
            argument(2) & u64::from(writes.unsigned_abs()) != 0
        }
        // With new limits.
        libc::SYS_prlimit64 => argument(2) != 0,
        number => CHANGES.contains(&number),
    }
}

/// The number and its arguments.
fn system_call(pid: Pid) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("a system call");
    text.split_whitespace().map(str::to_owned).collect()
}

/// Those that others see; fsync(2) is for power cuts.
const CHANGES: &[libc::c_long] = &[
    libc::SYS_exit_group,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_write,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];
