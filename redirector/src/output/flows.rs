use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::Serialize;

use super::{SCHEMA, render, table};
use crate::{
    config::{Name, Protocol},
    stats::flows::TrackedFlow,
};

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    pub name: Name,
    pub flows: Vec<Flow>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub protocol: Protocol,
    pub client: Client,
    /// The local address that the client speaks to.
    pub address: IpAddr,
    pub from: u16,
    pub to: u16,
    /// "answered" once both sides were seen, else "pending".
    pub state: &'static str,
    pub age_seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Client {
    pub address: IpAddr,
    pub port: u16,
    /// The port as the application sees it, if that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<u16>,
}

impl Document {
    pub fn new(name: Name, flows: &[TrackedFlow]) -> Self {
        let flows = flows.iter().map(|flow| Flow {
            protocol: flow.protocol,
            client: Client {
                address: flow.client.0,
                port: flow.client.1,
                moved_to: flow.moved_to,
            },
            address: flow.address,
            from: flow.from,
            to: flow.to,
            state: state(flow),
            age_seconds: flow.age.as_secs_f64(),
        });
        Self {
            schema: SCHEMA,
            name,
            flows: flows.collect(),
        }
    }
}

/// The same for people.
pub fn text(flows: &[TrackedFlow]) -> String {
    let mut rows = table(
        &["PROTOCOL", "CLIENT", "ADDRESS", "TO", "STATE", "AGE"],
        0..0,
    );
    for flow in flows {
        let age = Duration::from_secs(flow.age.as_secs());
        rows.add_row([
            flow.protocol.to_string(),
            client(flow),
            SocketAddr::from((flow.address, flow.from)).to_string(),
            flow.to.to_string(),
            state(flow).to_owned(),
            humantime::format_duration(age).to_string(),
        ]);
    }
    render(&rows)
}

fn client(flow: &TrackedFlow) -> String {
    let client = SocketAddr::from(flow.client);
    match flow.moved_to {
        Some(port) => format!("{client} as {port}"),
        None => client.to_string(),
    }
}

fn state(flow: &TrackedFlow) -> &'static str {
    if flow.answered { "answered" } else { "pending" }
}
