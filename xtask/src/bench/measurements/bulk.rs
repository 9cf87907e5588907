//! Bulk transfers and small datagrams, with iperf3.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Numbers, Stage};
use crate::bench::{figures::Figure, process, topology::SERVER};

/// Payload of a small datagram.
const SMALL: &str = "64";

pub fn upload(stage: &Stage<'_>) -> Result<Numbers> {
    Ok(vec![(Figure::Upload, gigabits(&iperf(stage, &[])?)?)])
}

pub fn download(stage: &Stage<'_>) -> Result<Numbers> {
    let report = iperf(stage, &["--reverse"])?;
    Ok(vec![(Figure::Download, gigabits(&report)?)])
}

pub fn packets(stage: &Stage<'_>) -> Result<Numbers> {
    let options = ["--udp", "--bitrate", "0", "--length", SMALL];
    Ok(vec![(Figure::Packets, arrived(&iperf(stage, &options)?)?)])
}

fn iperf(stage: &Stage<'_>, options: &[&str]) -> Result<Value> {
    let mut command = stage.lan.client.command("iperf3");
    command
        .args(["--json", "--client", &SERVER.to_string()])
        .args(["--port", &stage.port.to_string()])
        .args(["--time", &stage.seconds.to_string()])
        .args(options);
    let output = process::output(&command, stage.seconds + 20)?;
    // It fails with a document too.
    let report: Value = serde_json::from_slice(&output.stdout).context("iperf3 gave no report")?;
    if let Some(error) = report["error"].as_str() {
        bail!("iperf3: {error}");
    }
    Ok(report)
}

fn gigabits(report: &Value) -> Result<f64> {
    Ok(number(&report["end"]["sum_received"]["bits_per_second"])? / 1e9)
}

fn arrived(report: &Value) -> Result<f64> {
    let sum = &report["end"]["sum"];
    let arrived = number(&sum["packets"])? - number(&sum["lost_packets"])?;
    Ok(arrived / number(&sum["seconds"])?)
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().context("iperf3's report lacks a number")
}
