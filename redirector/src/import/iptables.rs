//! The words of one iptables rule, without its chain.

use std::net::IpAddr;

use super::{
    model::{Action, Conditions, Destination, Families, Rule},
    options, ports,
};
use crate::config::Protocol;

pub const TPROXY: &str = "TPROXY hands packets to a transparent proxy, which a rule cannot say";
const NAT_ONLY: &str = "REDIRECT and DNAT work in the table nat only (-t nat)";

/// Everything but the destinations, of which a rule may name several.
#[derive(Debug)]
struct Reading {
    conditions: Conditions,
    destinations: Vec<Destination>,
    target: Option<String>,
    to_ports: Option<String>,
    to_destination: Option<String>,
    /// `--to` is short for either of them, by the target.
    to: Option<String>,
}

/// Never fails: what is not understood is a condition in its own words.
pub fn rules(line: usize, words: &[String], families: Families) -> Vec<Rule> {
    let mut reading = Reading {
        conditions: Conditions::new(families),
        destinations: Vec::new(),
        target: None,
        to_ports: None,
        to_destination: None,
        to: None,
    };
    let mut rest = words;
    while let Some((option, after)) = take(rest) {
        reading.option(&option);
        rest = after;
    }
    reading.rules(line)
}

/// Why nothing is taken of a rule of another table that sends packets elsewhere; `None` for other rules.
pub fn outside_nat(words: &[String]) -> Option<&'static str> {
    let rules = rules(0, words, Families::BOTH);
    let mut actions = rules.iter().map(|rule| &rule.action);
    actions.find_map(|action| match action {
        Action::Elsewhere(why) if why == TPROXY => Some(TPROXY),
        Action::Redirect(_) | Action::Elsewhere(_) => Some(NAT_ONLY),
        Action::Pass | Action::Jump(_) | Action::Nothing => None,
    })
}

struct Switch<'a> {
    negated: bool,
    name: &'a str,
    arguments: Vec<&'a str>,
}

/// The next option: `! --name arguments`, `--name ! arguments`, `--name=argument`.
fn take(words: &[String]) -> Option<(Switch<'_>, &[String])> {
    let (first, mut rest) = words.split_first()?;
    let mut negated = first == "!";
    let mut name = first.as_str();
    if negated {
        let (next, after) = rest.split_first()?;
        (name, rest) = (next, after);
    }
    let mut arguments = Vec::new();
    if let Some((option, argument)) = name.split_once('=')
        && option.starts_with("--")
    {
        name = option;
        arguments.push(argument);
    }
    if rest.first().is_some_and(|word| word == "!")
        && rest.get(1).is_some_and(|word| !word.starts_with('-'))
    {
        negated = true;
        rest = &rest[1..];
    }
    while let Some((word, after)) = rest.split_first() {
        if word == "!" || (word.starts_with('-') && word.len() > 1) {
            break;
        }
        arguments.push(word);
        rest = after;
    }
    let option = Switch {
        negated,
        name,
        arguments,
    };
    Some((option, rest))
}

impl Reading {
    fn option(&mut self, option: &Switch<'_>) {
        let argument = option.arguments.first().copied().unwrap_or_default();
        let understood = match options::whole(option.name) {
            "-j" | "--jump" | "-g" | "--goto" => {
                self.target = Some(argument.to_owned());
                true
            }
            "--to-ports" => {
                self.to_ports = Some(argument.to_owned());
                true
            }
            "--to-destination" => {
                self.to_destination = Some(argument.to_owned());
                true
            }
            "--to" | "--to-" => {
                self.to = Some(argument.to_owned());
                true
            }
            // It has no choice where there is one port.
            "--random" | "--random-fully" | "--persistent" | "--comment" | "-c"
            | "--set-counters" | "-w" | "--wait" | "-W" | "--wait-interval" | "-n"
            | "--numeric" | "-v" | "--verbose" | "-4" | "--ipv4" | "-6" | "--ipv6" => true,
            _ if option.negated => false,
            "-m" | "--match" => is_known_match(argument),
            "-p" | "--protocol" => self.protocol(argument),
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                self.ports(argument)
            }
            // It may be any.
            "-i" | "--in-interface" | "-o" | "--out-interface" if is_filled_in(argument) => false,
            "-i" | "--in-interface" => {
                self.conditions.inbound.push(pattern(argument));
                true
            }
            "-o" | "--out-interface" => {
                self.conditions.outbound.push(pattern(argument));
                true
            }
            "-s" | "--source" | "--src" => argument
                .split(',')
                .any(|address| network(address) == Some(Destination::Any)),
            "-d" | "--destination" | "--dst" => self.destinations(argument),
            "--dst-type" if argument == "LOCAL" => {
                self.destinations.push(Destination::Local);
                true
            }
            // Only the first packet of a connection meets a rule of the table nat.
            "--ctstate" | "--state" => argument.split(',').any(|state| state == "NEW"),
            "--syn" => true,
            "--tcp-flags" => option.arguments.last() == Some(&"SYN"),
            _ => false,
        };
        if !understood {
            self.conditions.others.push(option.text());
        }
    }

    fn protocol(&mut self, name: &str) -> bool {
        match name.to_ascii_lowercase().as_str() {
            "tcp" | "6" => self.conditions.protocols = vec![Protocol::Tcp],
            "udp" | "17" => self.conditions.protocols = vec![Protocol::Udp],
            "all" | "0" => {}
            _ => return false,
        }
        true
    }

    fn ports(&mut self, list: &str) -> bool {
        let read: Option<Vec<_>> = list
            .split(',')
            .map(|range| ports::range(range, ':'))
            .collect();
        let understood = read.is_some() && self.conditions.ports.is_none();
        if understood {
            self.conditions.ports = read;
        }
        understood
    }

    fn destinations(&mut self, list: &str) -> bool {
        let read: Option<Vec<_>> = list.split(',').map(network).collect();
        let understood = read.is_some() && self.destinations.is_empty();
        if understood {
            self.destinations = read.unwrap_or_default();
        }
        understood
    }

    fn rules(mut self, line: usize) -> Vec<Rule> {
        let action = self.action();
        // Both of `-d` and `--dst-type LOCAL`: the address, which is the narrower one.
        if self.destinations.len() > 1 {
            self.destinations.retain(|each| *each != Destination::Local);
        }
        if self.destinations.is_empty() {
            self.destinations.push(Destination::Any);
        }
        let rule = |destination| Rule {
            line,
            handle: None,
            conditions: Conditions {
                destination,
                ..self.conditions.clone()
            },
            action: action.clone(),
        };
        self.destinations.iter().copied().map(rule).collect()
    }

    fn action(&self) -> Action {
        let Some(target) = self.target.as_deref() else {
            return Action::Nothing;
        };
        match target {
            "REDIRECT" => match self.to_ports.as_ref().or(self.to.as_ref()) {
                Some(to) => ports::redirected(to),
                None => Action::Elsewhere("it keeps the port, so there is none to change".into()),
            },
            "DNAT" => ports::translated(
                self.to_destination
                    .as_ref()
                    .or(self.to.as_ref())
                    .map_or("", String::as_str),
            ),
            "ACCEPT" | "RETURN" | "DROP" | "MASQUERADE" | "SNAT" | "NETMAP" | "BALANCE" => {
                Action::Pass
            }
            "TPROXY" => Action::Elsewhere(TPROXY.into()),
            "LOG" | "NFLOG" | "ULOG" | "MARK" | "CONNMARK" | "CT" | "NOTRACK" | "TRACE" | "SET"
            | "AUDIT" | "TEE" | "CLASSIFY" | "DSCP" | "TOS" => Action::Nothing,
            chain => Action::Jump(chain.to_owned()),
        }
    }
}

impl Switch<'_> {
    fn text(&self) -> String {
        let mut words = vec![self.name];
        if self.negated {
            words.insert(0, "!");
        }
        words.extend(&self.arguments);
        words.join(" ")
    }
}

/// For the shell, or for wg-quick(8).
fn is_filled_in(name: &str) -> bool {
    name.contains(['$', '`', '%'])
}

/// Modules that only add options, which speak for themselves.
fn is_known_match(name: &str) -> bool {
    matches!(
        name,
        "tcp" | "udp" | "multiport" | "comment" | "conntrack" | "state" | "addrtype"
    )
}

fn pattern(name: &str) -> String {
    name.strip_suffix('+')
        .map_or_else(|| name.to_owned(), |stem| format!("{stem}*"))
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`.
pub fn network(text: &str) -> Option<Destination> {
    let (address, mask) = text
        .split_once('/')
        .map_or((text, None), |(address, mask)| (address, Some(mask)));
    if (address, mask) == ("0", Some("0")) {
        return Some(Destination::Any);
    }
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let length = match mask {
        None => whole,
        Some(mask) => mask.parse().ok().or_else(|| length(mask.parse().ok()?))?,
    };
    match length {
        0 => Some(Destination::Any),
        length if length <= whole => Some(Destination::Network(address, length)),
        _ => None,
    }
}

fn length(mask: IpAddr) -> Option<u8> {
    let (ones, zeros, whole) = match mask {
        IpAddr::V4(mask) => {
            let mask = u32::from(mask);
            (mask.leading_ones(), mask.trailing_zeros(), u32::BITS)
        }
        IpAddr::V6(mask) => {
            let mask = u128::from(mask);
            (mask.leading_ones(), mask.trailing_zeros(), u128::BITS)
        }
    };
    (ones + zeros == whole).then_some(u8::try_from(ones).ok()?)
}
