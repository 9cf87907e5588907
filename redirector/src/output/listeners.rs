//! Accept queues, as part of other documents.

use std::net::IpAddr;

use serde::Serialize;

use super::{render, table};
use crate::{
    config::Protocol,
    holders::Holder,
    stats::listeners::{self, Bounds, Counters, Listening},
};

/// null where it was not read: for an instance of another network namespace, or if the kernel refuses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Document {
    /// The listening TCP sockets on the targets of the rules.
    pub listeners: Option<Vec<Listener>>,
    pub namespace: Option<Namespace>,
}

/// A listening socket; counts of connections.
#[derive(Clone, Debug, Serialize)]
pub struct Listener {
    pub protocol: Protocol,
    pub address: IpAddr,
    pub port: u16,
    /// null: may not be seen, or is none.
    pub process: Option<Process>,
    /// The backlog in force.
    pub backlog: u32,
    /// The backlog that the application asked for; null: at least that in force.
    pub asked: Option<u32>,
    /// Established and not yet accepted.
    pub depth: u32,
    /// Dropped by this socket; null: the kernel does not tell.
    pub drops: Option<u32>,
    /// What would make the backlog larger.
    pub hint: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Process {
    pub pid: i32,
    pub name: String,
}

/// Of all listeners in the network namespace together.
#[derive(Clone, Debug, Serialize)]
pub struct Namespace {
    pub somaxconn: u32,
    #[serde(flatten)]
    pub total: Counters,
    /// null in a first document.
    pub per_second: Option<Counters<f64>>,
}

impl Document {
    pub fn new(listening: &Listening, bounds: &Bounds) -> Self {
        let somaxconn = listening.somaxconn;
        let listener = |listener: &listeners::Listener| Listener {
            protocol: Protocol::Tcp,
            address: listener.address,
            port: listener.port,
            process: listener.process.as_ref().map(Process::from),
            backlog: listener.limit,
            asked: listener.asked,
            depth: listener.depth,
            drops: listener.drops,
            hint: listener.hint(somaxconn, bounds),
        };
        Self {
            listeners: Some(listening.listeners.iter().map(listener).collect()),
            namespace: Some(Namespace {
                somaxconn,
                total: listening.counters,
                per_second: listening.per_second,
            }),
        }
    }
}

impl From<&Holder> for Process {
    fn from(holder: &Holder) -> Self {
        Self {
            pid: holder.pid,
            name: holder.name.clone(),
        }
    }
}

/// The same for people.
pub fn text(listening: &Listening) -> String {
    let header = ["LISTENER", "PROCESS", "BACKLOG", "ASKED", "DEPTH", "DROPS"];
    let mut sockets = table(&header, 2..6);
    let number =
        |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    for each in &listening.listeners {
        let process = each.process.as_ref();
        sockets.add_row([
            std::net::SocketAddr::new(each.address, each.port).to_string(),
            process.map_or_else(|| "?".to_owned(), Holder::to_string),
            each.limit.to_string(),
            number(each.asked),
            each.depth.to_string(),
            number(each.drops),
        ]);
    }
    let header = [
        "NAMESPACE",
        "OVERFLOWS",
        "DROPS",
        "SYN COOKIES SENT",
        "RECEIVED",
        "FAILED",
    ];
    let mut counters = table(&header, 1..6);
    counters.add_row(row("total", listening.counters, |count| count.to_string()));
    if let Some(rates) = listening.per_second {
        counters.add_row(row("per second", rates, |rate| format!("{rate:.1}")));
    }
    match listening.listeners.is_empty() {
        true => render(&counters),
        false => render(&sockets) + "\n" + &render(&counters),
    }
}

fn row<T: Copy>(name: &str, counters: Counters<T>, shown: impl Fn(T) -> String) -> [String; 6] {
    [
        name.to_owned(),
        shown(counters.overflows),
        shown(counters.drops),
        shown(counters.syncookies_sent),
        shown(counters.syncookies_received),
        shown(counters.syncookies_failed),
    ]
}
