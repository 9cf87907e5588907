//! The statements of a rule in libnftables-json(5), lowered to steps.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{
    new_source::NewSource,
    nft::only_entry,
    nft_match::{condition, fields, parts},
    ruleset::{Field, Match, Step, Value, Verdict},
};

/// The named sets and verdict maps of one table.
#[derive(Debug, Default)]
pub struct Sets {
    pub sets: HashMap<String, Vec<Json>>,
    pub maps: HashMap<String, Vec<(Json, Verdict)>>,
}

pub fn steps(expressions: &[Json], sets: &Sets) -> Vec<Step> {
    let mut steps = Vec::new();
    for expression in expressions {
        match only_entry(expression) {
            Some(("match", inner)) => condition(inner, sets, &mut steps),
            Some(("vmap", inner)) => lookup(inner, sets, &mut steps),
            Some(("limit", inner)) => steps.push(Step::Match(Match::opaque(inner["inv"] != true))),
            // Adding to a set fails once the set is full; a nested limit would appear in it too.
            Some(("set" | "map", _)) => steps.push(Step::Match(Match::opaque(true))),
            Some(("quota" | "ct count" | "meter", _)) => {
                steps.push(Step::Match(Match::opaque(false)))
            }
            Some(("xt", inner)) => extension(inner, &mut steps),
            Some((kind, _)) if CHANGES_NOTHING.contains(&kind) => {}
            // In a table for both versions of IP it is for one of them, and nothing to the other.
            Some(("snat" | "dnat", inner)) => {
                let family = inner["family"].as_str().map(Value::name);
                steps.extend(family.map(|family| Step::Match(Match::one(Field::Version, family))));
                steps.push(verdict_step(expression));
            }
            _ => steps.push(verdict_step(expression)),
        }
    }
    steps
}

const CHANGES_NOTHING: [&str; 13] = [
    "counter",
    "log",
    "comment",
    "last",
    "mangle",
    "notrack",
    "flow",
    "dup",
    "ct helper",
    "ct timeout",
    "ct expectation",
    "tproxy",
    "secmark",
];

/// The elements of a set as JSON gives them, without their timeouts and counters.
pub fn values(elements: &Json) -> Vec<Json> {
    elements
        .as_array()
        .map(|all| all.iter().map(|e| bare(e).clone()).collect())
        .unwrap_or_default()
}

pub fn verdict_map(elements: &Json) -> Vec<(Json, Verdict)> {
    let pairs = elements.as_array().map_or(&[][..], Vec::as_slice);
    let mut entries: Vec<_> = pairs
        .iter()
        .filter_map(|pair| {
            Some((
                bare(pair.get(0)?).clone(),
                verdict(pair.get(1)?).unwrap_or(Verdict::Opaque),
            ))
        })
        .collect();
    // The catch-all answers only when nothing else does.
    entries.sort_by_key(|(key, _)| *key == "*");
    entries
}

fn bare(element: &Json) -> &Json {
    element.get("elem").map_or(element, |elem| &elem["val"])
}

fn verdict_step(expression: &Json) -> Step {
    Step::Verdict(verdict(expression).unwrap_or(Verdict::Opaque))
}

fn verdict(expression: &Json) -> Option<Verdict> {
    let bare = expression.as_str();
    let (kind, inner) =
        bare.map_or_else(|| only_entry(expression), |kind| Some((kind, &Json::Null)))?;
    let target = || inner["target"].as_str().map(str::to_owned);
    Some(match kind {
        "accept" => Verdict::Accept,
        "masquerade" | "snat" => Verdict::Source(NewSource::of_nft(kind, inner)),
        "drop" | "reject" => Verdict::Drop,
        "return" => Verdict::Return,
        "continue" => Verdict::Continue,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        "redirect" => Verdict::Translate(format!("port {}", word(&inner["port"])?)),
        "dnat" => Verdict::Translate(match (word(&inner["addr"]), word(&inner["port"])) {
            (Some(address), Some(port)) => format!("{address} port {port}"),
            (Some(place), None) => place,
            (None, Some(port)) => format!("port {port}"),
            (None, None) => "another place".to_owned(),
        }),
        _ => return None,
    })
}

fn word(json: &Json) -> Option<String> {
    json.as_str()
        .map(str::to_owned)
        .or_else(|| json.as_u64().map(|n| n.to_string()))
}

/// iptables-nft extensions: nft names them and hides their arguments.
fn extension(inner: &Json, steps: &mut Vec<Step>) {
    match (
        inner["type"].as_str(),
        inner["name"].as_str().unwrap_or_default(),
    ) {
        (Some("match"), "comment") => {}
        (
            Some("target"),
            "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "CT" | "NOTRACK" | "TCPMSS" | "SET",
        ) => {}
        (Some("target"), "REJECT") => steps.push(Step::Verdict(Verdict::Drop)),
        (Some("target"), target @ ("MASQUERADE" | "SNAT")) => {
            let source = NewSource::of_iptables(target, &[]);
            steps.push(Step::Verdict(Verdict::Source(source)));
        }
        (Some("target"), "REDIRECT" | "DNAT") => {
            steps.push(Step::Verdict(Verdict::Translate(
                "another place".to_owned(),
            )));
        }
        (Some("match"), _) => steps.push(Step::Match(Match::opaque(false))),
        _ => {
            steps.push(Step::Match(Match::opaque(false)));
            steps.push(Step::Verdict(Verdict::Opaque));
        }
    }
}

fn lookup(inner: &Json, sets: &Sets, steps: &mut Vec<Step>) {
    let mut guards = Vec::new();
    let key = fields(&inner["key"], &mut guards);
    steps.extend(guards.into_iter().map(Step::Match));
    let entries = match &inner["data"] {
        Json::String(name) => sets.maps.get(name.trim_start_matches('@')).cloned(),
        data => Some(verdict_map(&data["set"])),
    };
    match entries {
        Some(entries) => {
            let entries = entries
                .into_iter()
                .map(|(k, verdict)| (parts(&k, &key), verdict))
                .collect();
            steps.push(Step::Map(key, entries));
        }
        None => steps.push(Step::Verdict(Verdict::Opaque)),
    }
}
