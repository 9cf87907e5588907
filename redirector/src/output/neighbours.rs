//! Programs of others on our hooks, a part of `status`.

use redirector_common::Direction;
use serde::Serialize;

use super::{render, table};
use crate::{
    config::Name,
    kernel::{self, NeighbourHook, Order},
};

#[derive(Clone, Debug, Serialize)]
pub struct Neighbour {
    /// "xdp-native", "xdp-generic", "tcx" or "clsact".
    pub hook: &'static str,
    /// "ingress" or "egress".
    pub direction: &'static str,
    /// "before" or "after" ours; null where ours is not attached, or not everything could be read.
    pub order: Option<&'static str>,
    /// The program's; null for a filter without one.
    pub id: Option<u32>,
    /// The program's; null where it cannot be read.
    pub name: Option<String>,
    /// Of a filter on a clsact qdisc, e.g. "bpf" or "flower".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Another instance of redirector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Name>,
    /// The dispatcher of libxdp.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub libxdp: bool,
}

impl From<&kernel::Neighbour> for Neighbour {
    fn from(neighbour: &kernel::Neighbour) -> Self {
        let (kind, priority) = match &neighbour.hook {
            NeighbourHook::Clsact { kind, priority } => (Some(kind.clone()), Some(*priority)),
            NeighbourHook::Xdp(_) | NeighbourHook::Tcx => (None, None),
        };
        Self {
            hook: match neighbour.hook {
                NeighbourHook::Xdp(kernel::XdpMode::Native) => "xdp-native",
                NeighbourHook::Xdp(kernel::XdpMode::Generic) => "xdp-generic",
                NeighbourHook::Tcx => "tcx",
                NeighbourHook::Clsact { .. } => "clsact",
            },
            direction: match neighbour.direction {
                Direction::Ingress => "ingress",
                Direction::Egress => "egress",
            },
            order: neighbour.order.map(|order| match order {
                Order::Before => "before",
                Order::After => "after",
            }),
            id: neighbour.id,
            name: neighbour.name.clone(),
            kind,
            priority,
            instance: neighbour.instance.clone(),
            libxdp: neighbour.is_dispatcher(),
        }
    }
}

/// The same for people: nothing where there is nobody.
pub fn text<'a>(interfaces: impl Iterator<Item = (&'a str, &'a [kernel::Neighbour])>) -> String {
    let header = [
        "NEIGHBOUR ON",
        "DIRECTION",
        "ORDER",
        "HOOK",
        "ID",
        "PROGRAM",
    ];
    let mut rows = table(&header, 4..5);
    for (interface, neighbours) in interfaces {
        for neighbour in neighbours.iter().map(Neighbour::from) {
            rows.add_row([
                interface.to_owned(),
                neighbour.direction.to_owned(),
                neighbour.order.unwrap_or("-").to_owned(),
                neighbour.hook.to_owned(),
                neighbour
                    .id
                    .map_or_else(|| "-".to_owned(), |id| id.to_string()),
                program(&neighbour),
            ]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", render(&rows))
}

/// Its name, and whose it is if that is known.
fn program(neighbour: &Neighbour) -> String {
    let name = match (&neighbour.name, &neighbour.kind) {
        (Some(name), _) => name.clone(),
        (None, Some(kind)) if neighbour.id.is_none() => format!("a {kind} filter"),
        (None, _) => "-".to_owned(),
    };
    match &neighbour.instance {
        Some(instance) => format!("{name} of instance \"{instance}\""),
        None if neighbour.libxdp => format!("{name} of libxdp"),
        None => name,
    }
}
