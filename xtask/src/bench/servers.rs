//! The servers behind the contenders.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    contenders::TARGET,
    process::Background,
    topology::{Lan, Namespace},
};

/// What every answer of the web server ends with.
pub const BODY: &[u8] = b"ok\n";

pub fn web(lan: &Lan) -> Result<Background> {
    let configuration = format!(
        "http {{
             access_log off;
             keepalive_requests 1000000000;
             server {{
                 listen {TARGET};
                 location / {{ default_type text/plain; return 200 \"ok\\n\"; }}
             }}
         }}"
    );
    nginx(&lan.server, &configuration, TARGET)
}

pub fn iperf(lan: &Lan) -> Result<Background> {
    let mut command = lan.server.command("iperf3");
    command.args(["--server", "--port", &TARGET.to_string()]);
    let mut server = Background::start(&mut command, Background::directory()?)?;
    lan.server.await_listener(TARGET, &mut server)?;
    Ok(server)
}

/// nginx with what is particular to one use, waited for on `port`.
pub fn nginx(host: &Namespace, particular: &str, port: u16) -> Result<Background> {
    let directory = Background::directory()?;
    let file = directory.path().join("nginx.conf");
    let configuration = format!(
        "{}\n{particular}\n{}",
        general(directory.path()),
        "events { worker_connections 4096; }"
    );
    fs::write(&file, configuration).context("cannot write a configuration")?;
    let mut command = host.command("nginx");
    command.args(["-e", "stderr", "-c"]).arg(&file);
    let mut nginx = Background::start(&mut command, directory)?;
    host.await_listener(port, &mut nginx)?;
    Ok(nginx)
}

fn general(directory: &Path) -> String {
    // "auto" would be as many as the machine has, of which one is used.
    format!(
        "daemon off;
         worker_processes 1;
         worker_rlimit_nofile 16384;
         error_log stderr crit;
         pid {};",
        directory.join("pid").display()
    )
}
