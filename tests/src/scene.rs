//! A host on which a page of the documentation can be followed to the letter: its `/etc`, `/run`, logs, BPF
//! file system and processes are its own, and go with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::application::Application;
use crate::docs::{Block, Host, Kind, Section, printed};
use crate::netns::Namespace;
use crate::process::{Background, Output, run};
use crate::redirector::binary;
use crate::topology::Lan;
use crate::wait;

/// The addresses of the pages, of documentation (RFC 5737).
pub const SERVER: &str = "203.0.113.10";
pub const CLIENT: &str = "203.0.113.1";

/// A section that is played: a client and a server, with the application on the server.
pub struct Scene {
    pub lan: Lan,
    pub server: Machine,
    pub client: Machine,
    _applications: Vec<Application>,
}

impl Scene {
    /// Follows a section. What it has started goes on.
    ///
    /// # Panics
    /// Where a command fails, or prints something else.
    pub fn play(page: &str, section: &Section) -> Self {
        let lan = Lan::new();
        lan.server.address("eth0", &format!("{SERVER}/24"));
        lan.client.address("eth0", &format!("{CLIENT}/24"));
        let ports = section.ports.iter();
        let scene = Self {
            server: Machine::new(&lan.server),
            client: Machine::new(&lan.client),
            _applications: ports
                .map(|port| Application::start(&lan.server, *port))
                .collect(),
            lan,
        };
        let mut output = String::new();
        for block in &section.blocks {
            let place = format!("docs/{page}:{}", block.line);
            scene.play_block(block, &place, &mut output);
        }
        scene
    }

    fn play_block(&self, block: &Block, place: &str, output: &mut String) {
        let machine = match block.on {
            Host::Server => &self.server,
            Host::Client => &self.client,
        };
        match &block.kind {
            Kind::Commands => {
                let ran = machine.sh(&block.text);
                *output = ran.success(place);
            }
            Kind::Output => {
                printed(&block.text, output).unwrap_or_else(|why| panic!("{place}: {why}"))
            }
            Kind::File(path) => machine.write(path, &block.text),
            Kind::Text => {}
        }
    }
}

pub struct Machine {
    host: Namespace,
    init: Background,
    directory: PathBuf,
}

/// Mounts are private to the process, so that nothing of this is left behind.
const INIT: &str = r#"
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir /run/haproxy /run/etc /run/etc/up /run/etc/work /var/log/nginx
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/up,workdir=/run/etc/work /etc
mount -t tmpfs tmpfs /var/lib/nginx
mount -t bpf bpf /sys/fs/bpf
echo ready
exec sleep infinity
"#;

/// What Debian's units do, for want of systemd.
const SYSTEMCTL: &str = r#"#!/bin/sh -e
case "$1 $2" in
"restart haproxy") exec haproxy -W -D -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid ;;
"reload haproxy")
    haproxy -W -c -q -f /etc/haproxy/haproxy.cfg
    kill -USR2 "$(head -n 1 /run/haproxy.pid)" ;;
"restart nginx") exec nginx ;;
"reload nginx")
    nginx -t -q
    exec nginx -s reload ;;
*) echo "systemctl: not here: $*" >&2; exit 1 ;;
esac
"#;

impl Machine {
    pub fn new(host: &Namespace) -> Self {
        let directory = Background::directory();
        let path = directory.path().to_owned();
        let systemctl = path.join("systemctl");
        fs::write(&systemctl, SYSTEMCTL).expect("a script");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("its mode");
        let mut command = host.command("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-ec", INIT]);
        let mut init = Background::start(&mut command, directory);
        wait::until("the host is there", || {
            init.assert_running();
            init.stdout().contains("ready")
        });
        Self {
            host: host.clone(),
            init,
            directory: path,
        }
    }

    /// Runs lines of a shell, which ends with the first that fails. All output is one.
    #[track_caller]
    pub fn sh(&self, lines: &str) -> Output {
        run(self
            .command("sh")
            .args(["-euc", &format!("exec 2>&1\n{lines}")]))
    }

    /// Writes a file as this machine sees it.
    #[track_caller]
    pub fn write(&self, path: &Path, text: &str) {
        let draft = self.directory.join("draft");
        fs::write(&draft, text).expect("a file");
        let (draft, path) = (draft.display(), path.display());
        self.sh(&format!(
            "mkdir -p \"$(dirname {path})\"; cat {draft} > {path}"
        ))
        .success("a file");
    }

    #[track_caller]
    pub fn read(&self, path: &Path) -> String {
        self.sh(&format!("cat {}", path.display()))
            .success("a file")
    }

    /// A program on this machine.
    pub fn command(&self, program: &str) -> Command {
        let unshare = self.init.pid();
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        let init = fs::read_to_string(&children).expect("the process that has the mounts");
        let binaries = binary();
        let path = format!(
            "{}:{}:{}:/usr/sbin:/sbin",
            self.directory.display(),
            binaries.parent().expect("a directory").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut command = self.host.command("nsenter");
        command
            .args(["--target", init.trim(), "--mount", "--pid", "--", program])
            .env("PATH", path);
        command
    }
}
