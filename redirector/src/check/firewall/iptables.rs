//! Lowers the output of `iptables-save`, of either back end, to tables.

use std::collections::HashMap;

use super::{
    iptables_options::Options,
    new_source::NewSource,
    ruleset::{Base, Chain, Family, Hook, Match, Rule, RuleName, Step, Table, Verdict},
};

/// Lines that are not understood become conditions that cannot be evaluated; nothing is refused.
pub fn parse(text: &str, family: Family, tool: &'static str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(Table {
                tool,
                family,
                name: name.trim().to_owned(),
                chains: HashMap::new(),
            });
            continue;
        }
        let Some(table) = tables.last_mut() else {
            continue;
        };
        if let Some(declared) = line.strip_prefix(':') {
            let mut words = declared.split_whitespace();
            let (Some(name), policy) = (words.next(), words.next()) else {
                continue;
            };
            let base = policy
                .filter(|p| *p != "-")
                .map(|p| base(&table.name, name, p));
            table.chains.insert(
                name.to_owned(),
                Chain {
                    base,
                    rules: Vec::new(),
                },
            );
        } else if let Some((chain, steps)) = rule(line, table) {
            let name = RuleName::Text(line[line.find("-A ").unwrap_or_default()..].to_owned());
            if let Some(chain) = table.chains.get_mut(&chain) {
                chain.rules.push(Rule { name, steps });
            }
        }
    }
    tables
}

fn base(table: &str, chain: &str, policy: &str) -> Base {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => Hook::Elsewhere,
    };
    Base {
        hook,
        nat: table == "nat",
        policy_drops: policy == "DROP",
        devices: Vec::new(),
    }
}

/// `iptables-save -c` puts counters before the rule.
fn rule(line: &str, table: &Table) -> Option<(String, Vec<Step>)> {
    let line = &line[line
        .find("-A ")
        .filter(|at| *at == 0 || line.starts_with('['))?..];
    let words = words(line);
    let mut options = Options::new(&words);
    let mut steps = Vec::new();
    let mut chain = None;
    let mut target = None;
    while let Some(option) = options.next() {
        match option.name {
            "-A" => chain = option.first().map(str::to_owned),
            "-j" | "-g" => {
                target = Some(option.first().map_or(Verdict::Opaque, |to| {
                    verdict(option.name, to, &mut options, table)
                }));
                break;
            }
            _ => steps.extend(option.conditions().into_iter().map(Step::Match)),
        }
    }
    steps.extend(
        options
            .leftover()
            .map(|()| Step::Match(Match::opaque(false))),
    );
    steps.extend(target.map(Step::Verdict));
    Some((chain?, steps))
}

fn verdict(flag: &str, target: &str, options: &mut Options<'_>, table: &Table) -> Verdict {
    let arguments = options.rest();
    let place = |option: &str| {
        arguments
            .iter()
            .position(|word| *word == option)
            .and_then(|at| arguments.get(at + 1))
            .map(|to| (*to).to_owned())
    };
    match target {
        "ACCEPT" => Verdict::Accept,
        "MASQUERADE" | "SNAT" => Verdict::Source(NewSource::of_iptables(target, &arguments)),
        "DROP" | "REJECT" | "TARPIT" => Verdict::Drop,
        "RETURN" => Verdict::Return,
        "LOG" | "NFLOG" | "ULOG" | "MARK" | "CONNMARK" | "CT" | "NOTRACK" | "TCPMSS" | "SET"
        | "TRACE" | "AUDIT" | "DSCP" | "TOS" | "CLASSIFY" | "CHECKSUM" | "TEE" | "TTL" | "HL"
        | "SECMARK" | "CONNSECMARK" | "TPROXY" => Verdict::Continue,
        "REDIRECT" => Verdict::Translate(
            place("--to-ports").map_or_else(|| "this host".to_owned(), |p| format!("port {p}")),
        ),
        "DNAT" => Verdict::Translate(
            place("--to-destination").unwrap_or_else(|| "another place".to_owned()),
        ),
        user if table.chains.contains_key(user) && flag == "-g" => Verdict::Goto(user.to_owned()),
        user if table.chains.contains_key(user) => Verdict::Jump(user.to_owned()),
        _ => Verdict::Opaque,
    }
}

/// As a shell does, which is how iptables-save quotes.
fn words(line: &str) -> Vec<String> {
    shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect())
}
