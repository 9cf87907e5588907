//! REDIRECT of iptables and nftables, for TCP and UDP as the measurements of both need it.

use std::fs;

use anyhow::{Context as _, Result};

use super::{FRONT, TARGET};
use crate::bench::{process::Background, topology::Namespace};

pub fn iptables(server: &Namespace) -> Result<()> {
    for protocol in ["tcp", "udp"] {
        server.run(&format!(
            "iptables -w -t nat -A PREROUTING -p {protocol} --dport {FRONT} \
             -j REDIRECT --to-ports {TARGET}"
        ))?;
    }
    Ok(())
}

pub fn nft(server: &Namespace) -> Result<()> {
    let directory = Background::directory()?;
    let script = directory.path().join("script.nft");
    let rules = format!(
        "table ip bench {{
             chain prerouting {{
                 type nat hook prerouting priority dstnat;
                 tcp dport {FRONT} redirect to :{TARGET}
                 udp dport {FRONT} redirect to :{TARGET}
             }}
         }}"
    );
    fs::write(&script, rules).context("cannot write a script for nft")?;
    server.run(&format!("nft -f {}", script.display()))?;
    Ok(())
}
