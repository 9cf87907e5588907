//! nginx and curl, as everybody has them.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};

use crate::netns::Namespace;
use crate::process::{Background, Output, run};
use crate::wait;

/// An nginx that answers every request with what it sees of the client.
pub struct Nginx(#[expect(dead_code, reason = "ends nginx when dropped")] Background);

impl Nginx {
    /// Starts nginx on `ports` of both families; it listens when this returns.
    pub fn start(on: &Namespace, ports: &[u16]) -> Self {
        let directory = Background::directory();
        let path = directory.path().display().to_string();
        let file = directory.path().join("nginx.conf");
        fs::write(&file, configuration(&path, ports)).expect("nginx.conf");
        let mut command = on.command("nginx");
        command.args(["-e", "stderr", "-p", &path, "-c"]).arg(&file);
        let mut nginx = Background::start(&mut command, directory);
        wait::until("nginx listens", || {
            nginx.assert_running();
            ports.iter().all(|&port| on.listens_on(port))
        });
        Self(nginx)
    }
}

/// Both ends of a request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The client's address, as curl has it.
    pub client: SocketAddr,
    /// The client's address, as nginx sees it.
    pub seen: SocketAddr,
    /// The port that nginx was reached on.
    pub server_port: u16,
}

/// Requests `/` from a host; the error is curl's.
pub fn curl(from: &Namespace, to: SocketAddr) -> Result<Answer, Output> {
    let url = format!("http://{to}/");
    let output = run(from.command("curl").args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--globoff",
        "--max-time",
        "10",
        "--write-out",
        "%{local_ip} %{local_port}\n",
        &url,
    ]));
    if output.code != Some(0) {
        return Err(output);
    }
    let mut words = output.stdout.split_whitespace();
    let mut word = || {
        words
            .next()
            .unwrap_or_else(|| panic!("an answer from nginx: {output:?}"))
    };
    let [seen_address, seen_port, server_port, address, port] = std::array::from_fn(|_| word());
    Ok(Answer {
        client: socket_address(address, port),
        seen: socket_address(seen_address, seen_port),
        server_port: server_port.parse().expect("a port"),
    })
}

fn socket_address(address: &str, port: &str) -> SocketAddr {
    let address: IpAddr = address
        .parse()
        .unwrap_or_else(|error| panic!("{address}: {error}"));
    SocketAddr::new(
        address,
        port.parse()
            .unwrap_or_else(|error| panic!("{port}: {error}")),
    )
}

fn configuration(path: &str, ports: &[u16]) -> String {
    let mut listen = String::new();
    for port in ports {
        write!(listen, "listen {port}; listen [::]:{port}; ").expect("a string grows");
    }
    let temporary = temporary_paths(path);
    format!(
        "daemon off; master_process off; pid {path}/pid;
         events {{ worker_connections 512; }}
         http {{
             access_log off; default_type text/plain; {temporary}
             server {{
                 {listen}
                 location / {{ return 200 \"$remote_addr $remote_port $server_port\\n\"; }}
             }}
         }}\n"
    )
}

/// nginx's directives that keep it from its package's directories.
pub fn temporary_paths(path: &str) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    kinds
        .map(|kind| format!("{kind}_temp_path {path}/{kind};"))
        .join(" ")
}
