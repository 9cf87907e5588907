//! Lowers `nft -j list ruleset` to tables.
//!
//! The `nftables` crate types the whole schema and so refuses a document that holds one expression it does not
//! know; here such an expression has to become "perhaps", and all others must still count.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{
    nft_statement::{Sets, steps, values, verdict_map},
    ruleset::{Base, Chain, Family, Hook, Rule, RuleName, Table},
};

#[derive(Debug, Default)]
pub struct Listing {
    pub tables: Vec<Table>,
    /// Families whose iptables rules nft shows only in part.
    pub compat: Vec<Family>,
}

/// Errors: not JSON, or not a list of nftables objects.
pub fn parse(text: &str) -> Result<Listing, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Document {
        nftables: Vec<Json>,
    }
    let document: Document = serde_json::from_str(text)?;
    let mut tables: HashMap<(Family, String), Table> = HashMap::new();
    let mut sets: HashMap<(Family, String), Sets> = HashMap::new();
    let mut order = Vec::new();
    let mut compat = Vec::new();
    for (kind, object) in document.nftables.iter().filter_map(only_entry) {
        let Some(family) = object["family"].as_str().and_then(family) else {
            continue;
        };
        let table = object[if kind == "table" { "name" } else { "table" }]
            .as_str()
            .unwrap_or_default();
        let place = (family, table.to_owned());
        match kind {
            "table" => {
                order.push(place.clone());
                let name = table.to_owned();
                tables.insert(
                    place,
                    Table {
                        tool: "nft",
                        family,
                        name,
                        chains: HashMap::new(),
                    },
                );
            }
            "chain" => {
                if let (Some(table), Some(name)) = (tables.get_mut(&place), object["name"].as_str())
                {
                    table.chains.insert(
                        name.to_owned(),
                        Chain {
                            base: base(object),
                            rules: Vec::new(),
                        },
                    );
                }
            }
            "set" => {
                if let Some(name) = object["name"].as_str() {
                    let elements = values(&object["elem"]);
                    sets.entry(place)
                        .or_default()
                        .sets
                        .insert(name.to_owned(), elements);
                }
            }
            "map" => {
                if let Some(name) = object["name"].as_str() {
                    let elements = verdict_map(&object["elem"]);
                    sets.entry(place)
                        .or_default()
                        .maps
                        .insert(name.to_owned(), elements);
                }
            }
            _ => {}
        }
    }
    let none = Sets::default();
    for (_, object) in document
        .nftables
        .iter()
        .filter_map(only_entry)
        .filter(|(kind, _)| *kind == "rule")
    {
        let Some(family) = object["family"].as_str().and_then(family) else {
            continue;
        };
        let (Some(table), Some(chain)) = (object["table"].as_str(), object["chain"].as_str())
        else {
            continue;
        };
        let place = (family, table.to_owned());
        let expressions = object["expr"].as_array().map_or(&[][..], Vec::as_slice);
        if expressions.iter().any(|e| e.get("xt").is_some()) && !compat.contains(&family) {
            compat.push(family);
        }
        if let Some(chain) = tables.get_mut(&place).and_then(|t| t.chains.get_mut(chain)) {
            chain.rules.push(Rule {
                name: RuleName::Handle(object["handle"].as_u64().unwrap_or_default()),
                steps: steps(expressions, sets.get(&place).unwrap_or(&none)),
            });
        }
    }
    Ok(Listing {
        tables: order
            .iter()
            .filter_map(|place| tables.remove(place))
            .collect(),
        compat,
    })
}

pub(super) fn only_entry(object: &Json) -> Option<(&str, &Json)> {
    object
        .as_object()?
        .iter()
        .next()
        .map(|(kind, inner)| (kind.as_str(), inner))
}

fn family(name: &str) -> Option<Family> {
    [Family::Ip, Family::Ip6, Family::Inet, Family::Netdev]
        .into_iter()
        .find(|family| family.name() == name)
}

fn base(chain: &Json) -> Option<Base> {
    let hook = match chain["hook"].as_str()? {
        "ingress" => Hook::Ingress,
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        _ => Hook::Elsewhere,
    };
    let devices = match &chain["dev"] {
        Json::String(device) => vec![device.clone()],
        Json::Array(devices) => devices
            .iter()
            .filter_map(|d| d.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    Some(Base {
        hook,
        nat: chain["type"] == "nat",
        policy_drops: chain["policy"] == "drop",
        devices,
    })
}
