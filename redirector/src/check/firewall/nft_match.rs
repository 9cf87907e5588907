//! What a match in libnftables-json(5) compares, lowered to the fields of a packet.

use serde_json::Value as Json;

use super::{
    nft::only_entry,
    nft_statement::{Sets, values},
    ruleset::{Field, Match, Step, Value},
};

pub fn condition(inner: &Json, sets: &Sets, steps: &mut Vec<Step>) {
    let mut guards = Vec::new();
    let (left, right, op) = (
        &inner["left"],
        &inner["right"],
        inner["op"].as_str().unwrap_or("=="),
    );
    let negated = matches!(op, "!=" | "!");
    if let Some(holds) = tcp_flags(left, right, op, &mut guards) {
        steps.extend(guards.into_iter().map(Step::Match));
        return steps.push(Step::Match(Match::lone_syn(holds)));
    }
    let key = fields(left, &mut guards);
    steps.extend(guards.into_iter().map(Step::Match));
    let elements = match right {
        Json::String(name) if name.starts_with('@') => sets.sets.get(&name[1..]).cloned(),
        Json::Array(flags) => Some(flags.clone()),
        right if right.get("set").is_some() => match &right["set"] {
            Json::Array(_) => Some(values(&right["set"])),
            one => Some(vec![one.clone()]),
        },
        right => Some(vec![right.clone()]),
    };
    let compared = elements
        .as_ref()
        .and_then(|e| e.first())
        .and_then(Json::as_u64);
    let values = match (op, elements, compared) {
        ("==" | "!=" | "!" | "in", Some(elements), _) => {
            elements.iter().map(|e| parts(e, &key)).collect()
        }
        ("<", _, Some(n)) => vec![vec![Value::Range(0, n.saturating_sub(1))]],
        ("<=", _, Some(n)) => vec![vec![Value::Range(0, n)]],
        (">", _, Some(n)) => vec![vec![Value::Range(n.saturating_add(1), u64::MAX)]],
        (">=", _, Some(n)) => vec![vec![Value::Range(n, u64::MAX)]],
        _ => vec![vec![Value::Opaque; key.len()]],
    };
    steps.push(Step::Match(Match {
        key,
        values,
        negated,
    }));
}

/// What the expression reads, and into `guards` what it needs the packet to be.
pub fn fields(expression: &Json, guards: &mut Vec<Match>) -> Vec<Field> {
    if let Some(all) = expression["concat"].as_array() {
        return all.iter().flat_map(|one| fields(one, guards)).collect();
    }
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    vec![match only_entry(expression) {
        Some(("meta", inner)) => match inner["key"].as_str().unwrap_or_default() {
            "l4proto" => Field::Protocol,
            "nfproto" | "protocol" => Field::Version,
            "iifname" | "iif" => Field::Interface,
            "oifname" | "oif" => Field::OutInterface,
            "pkttype" => Field::PacketType,
            _ => Field::Opaque,
        },
        Some(("ct", inner)) => match inner["key"].as_str().unwrap_or_default() {
            "state" => Field::ConnectionState,
            "status" => Field::ConnectionStatus,
            "direction" => Field::ConnectionDirection,
            "proto-dst" if inner["dir"] == "original" => Field::OriginalPort,
            _ => Field::Opaque,
        },
        Some(("fib", inner)) => {
            let flags = inner["flags"].to_string();
            let local = inner["result"] == "type" && flags.contains("daddr");
            if local {
                Field::DestinationType
            } else {
                Field::Opaque
            }
        }
        Some(("payload", inner))
            if inner["base"] == "transport" && inner["offset"] == 16 && inner["len"] == 16 =>
        {
            Field::Port
        }
        Some(("payload", inner)) => {
            payload(&text(&inner["protocol"]), &text(&inner["field"]), guards)
        }
        Some(("&" | "|" | "^" | "<<" | ">>", inner)) => {
            fields(&inner[0], guards);
            Field::Opaque
        }
        _ => Field::Opaque,
    }]
}

fn payload(protocol: &str, field: &str, guards: &mut Vec<Match>) -> Field {
    match protocol {
        "ip" | "ip6" => guards.push(Match::one(Field::Version, Value::name(protocol))),
        "tcp" | "udp" | "icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "udplite" | "esp" | "ah"
        | "comp" => {
            guards.push(Match::one(Field::Protocol, Value::name(protocol)));
        }
        _ => {}
    }
    match (protocol, field) {
        ("tcp" | "udp" | "th", "dport") => Field::Port,
        ("ip", "protocol") | ("ip6", "nexthdr") => Field::Protocol,
        ("ip" | "ip6", "saddr") => Field::Source,
        ("ip" | "ip6", "daddr") => Field::Destination,
        ("ether", "type") => Field::Version,
        _ => Field::Opaque,
    }
}

pub fn parts(value: &Json, key: &[Field]) -> Vec<Value> {
    match (value["concat"].as_array(), key) {
        (Some(all), _) => all
            .iter()
            .zip(key)
            .map(|(one, field)| part(one, *field))
            .collect(),
        (None, [field]) => vec![part(value, *field)],
        _ => vec![
            if *value == "*" {
                Value::Any
            } else {
                Value::Opaque
            };
            key.len()
        ],
    }
}

fn part(value: &Json, field: Field) -> Value {
    let address = matches!(field, Field::Source | Field::Destination);
    match value {
        Json::String(text) if text == "*" => Value::Any,
        Json::String(text) if address => Value::address(text),
        Json::String(text) if field == Field::OriginalPort => untyped(text),
        Json::String(text) => Value::name(text),
        Json::Number(n) => n.as_u64().map_or(Value::Opaque, Value::Number),
        value => match only_entry(value) {
            Some(("range", ends)) => match (ends[0].as_u64(), ends[1].as_u64()) {
                (Some(low), Some(high)) => Value::Range(low, high),
                _ => Value::Opaque,
            },
            Some(("prefix", prefix)) => Value::address(&format!(
                "{}/{}",
                prefix["addr"].as_str().unwrap_or_default(),
                prefix["len"]
            )),
            Some(("elem", element)) => part(&element["val"], field),
            _ => Value::Opaque,
        },
    }
}

/// As nft 1.0.6 lists what it has no type for: `0x50 [invalid type]`.
fn untyped(text: &str) -> Value {
    let number = text
        .strip_prefix("0x")
        .and_then(|text| text.strip_suffix(" [invalid type]"));
    number
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map_or(Value::Opaque, Value::Number)
}

/// Whether a lone SYN passes; `None` if this is not about TCP flags.
fn tcp_flags(left: &Json, right: &Json, op: &str, guards: &mut Vec<Match>) -> Option<bool> {
    let masked = left["&"].as_array();
    let read = masked.map_or(left, |both| &both[0]);
    if read["payload"]["protocol"] != "tcp" || read["payload"]["field"] != "flags" {
        return None;
    }
    guards.push(Match::one(Field::Protocol, Value::name("tcp")));
    let syn = |flags: &Json| names(flags).iter().any(|flag| flag == "syn");
    let seen = masked.is_none_or(|both| syn(&both[1]));
    let wanted = names(right);
    let equal = if seen {
        wanted == ["syn"]
    } else {
        wanted.is_empty()
    };
    Some(match op {
        "in" => syn(right),
        "!=" => !equal,
        "!" => !syn(right),
        _ => equal,
    })
}

fn names(flags: &Json) -> Vec<String> {
    match flags {
        Json::String(flag) => vec![flag.clone()],
        Json::Array(flags) => flags.iter().flat_map(names).collect(),
        flags => only_entry(flags)
            .map(|(_, inner)| names(inner))
            .unwrap_or_default(),
    }
}
