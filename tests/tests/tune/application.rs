//! An application behind the rules, with small limits.

use std::fs;

use integration::http::temporary_paths;
use integration::process::Background;
use integration::wait;

use super::Host;

/// nginx with a master and two workers that all hold the listener on 8000, with small limits.
pub struct Application {
    nginx: Background,
}

impl Application {
    /// The workers run as this user, the master as root.
    pub fn start(host: &Host, user: &str) -> Self {
        Self::start_without(host, None, user)
    }

    /// The same without a capability.
    pub fn start_without(host: &Host, capability: Option<&str>, user: &str) -> Self {
        let directory = Background::directory();
        let file = directory.path().join("nginx.conf");
        let path = directory.path().display().to_string();
        let temporary = temporary_paths(&path);
        let configuration = format!(
            "daemon off; user {user}; worker_processes 2; pid {path}/pid; error_log stderr;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; {temporary} server {{ listen 8000 backlog=16; return 204; }} }}\n"
        );
        fs::write(&file, configuration).expect("nginx.conf");
        let mut command = host.program("sh", capability);
        command
            .args(["-c", "ulimit -Sn 200 && exec nginx \"$@\"", "sh"])
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .arg("-c")
            .arg(&file);
        let mut nginx = Background::start(&mut command, directory);
        wait::until("nginx has workers", || {
            nginx.assert_running();
            host.namespace.listens_on(8000) && children(nginx.pid()).len() == 2
        });
        Self { nginx }
    }

    pub fn processes(&self) -> Vec<u32> {
        let master = self.nginx.pid();
        std::iter::once(master).chain(children(master)).collect()
    }

    pub fn limits(&self) -> Vec<(u64, u64)> {
        self.processes().into_iter().map(of).collect()
    }
}

/// Killed, the master would leave its workers.
impl Drop for Application {
    fn drop(&mut self) {
        self.nginx.interrupt();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

/// Soft and hard, as `/proc/PID/limits` tells.
pub fn of(pid: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .expect("a line");
    let mut words = line.split_whitespace().skip(3);
    let mut number = || {
        words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("a number")
    };
    (number(), number())
}
