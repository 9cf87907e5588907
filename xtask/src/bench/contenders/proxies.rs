//! Proxies of TCP, each from Debian's package, with as many workers as it would have by itself.

use std::fs;

use anyhow::{Context as _, Result};

use super::{FRONT, TARGET};
use crate::{
    bench::{process::Background, servers, topology::Namespace},
    setup::tools::STREAM_MODULE,
};

pub fn haproxy(server: &Namespace) -> Result<Background> {
    let configuration = format!(
        "global
             maxconn 4000
         defaults
             mode tcp
             timeout connect 5s
             timeout client 60s
             timeout server 60s
         frontend front
             bind :{FRONT}
             default_backend back
         backend back
             server application 127.0.0.1:{TARGET}
"
    );
    start(server, "haproxy", &["-db", "-f"], &configuration)
}

pub fn rinetd(server: &Namespace) -> Result<Background> {
    // Else it writes its number below /run, where a service of that name has its own.
    let configuration = format!("pidlogfile /dev/null\n0.0.0.0 {FRONT} 127.0.0.1 {TARGET}\n");
    start(server, "rinetd", &["-f", "-c"], &configuration)
}

pub fn nginx(server: &Namespace) -> Result<Background> {
    let configuration = format!(
        "load_module {STREAM_MODULE};
         stream {{ server {{ listen {FRONT}; proxy_pass 127.0.0.1:{TARGET}; }} }}"
    );
    servers::nginx(server, &configuration, FRONT)
}

fn start(
    server: &Namespace,
    program: &str,
    options: &[&str],
    configuration: &str,
) -> Result<Background> {
    let directory = Background::directory()?;
    let file = directory.path().join("configuration");
    fs::write(&file, configuration).context("cannot write a configuration")?;
    let mut command = server.command(program);
    command.args(options).arg(&file);
    let mut proxy = Background::start(&mut command, directory)?;
    server.await_listener(FRONT, &mut proxy)?;
    Ok(proxy)
}
