//! What stands in the way, in words, and the command that clears it.

use super::{
    ID,
    evaluate::{Answer, Cause},
    ruleset::{Family, RuleName, Table},
};
use crate::{
    check::{Finding, Level, Versions, subject},
    config::Rule,
};

/// How a rule is written, for messages.
pub type RuleText<'a> = dyn Fn(&Table, &str, &RuleName) -> String + 'a;

/// Where the packets of one rule come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way<'a> {
    pub interface: &'a str,
    pub ipv6: bool,
}

/// A chain that does not simply let the packet in.
#[derive(Clone)]
pub struct Obstacle<'a> {
    pub table: &'a Table,
    pub chain: &'a str,
    pub answer: Answer,
}

/// As messages name it: `inet filter input`, `iptables filter INPUT`.
pub fn place(table: &Table, chain: &str) -> String {
    let owner = if table.tool == "nft" {
        table.family.name()
    } else {
        table.tool
    };
    format!("{owner} {} {chain}", table.name)
}

/// Nothing if every way is stopped; else which.
pub fn scope(all: &[Way<'_>], stopped: &[Way<'_>]) -> String {
    let mut scope = String::new();
    let mut names: Vec<_> = stopped.iter().map(|way| way.interface).collect();
    names.dedup();
    if all.iter().any(|way| !names.contains(&way.interface)) {
        scope = format!(" on {}", names.join(" and "));
    }
    for (ipv6, word) in [(false, "IPv4"), (true, "IPv6")] {
        if stopped.iter().all(|way| way.ipv6 == ipv6) && all.iter().any(|way| way.ipv6 != ipv6) {
            scope.push_str(" over ");
            scope.push_str(word);
        }
    }
    scope
}

/// The rule or policy, and where it is.
pub fn stopped_by(cause: &Cause, table: &Table, text: &RuleText<'_>) -> String {
    let place = place(table, &cause.chain);
    match &cause.rule {
        None => format!("the policy of {place}"),
        Some(name) => format!("`{}` in {place}", text(table, &cause.chain, name)),
    }
}

pub fn finding(
    rule: &Rule,
    obstacle: &Obstacle<'_>,
    (scope, stopped): (&str, &Versions),
    as_the_source: bool,
    text: &RuleText<'_>,
) -> Finding {
    let Obstacle {
        table,
        chain,
        answer,
    } = obstacle;
    let port = format!("{}/{}", rule.to, rule.protocol);
    let cause = |cause| stopped_by(cause, table, text);
    let (level, message) = match answer {
        Answer::Open => (Level::Ok, format!("{port} is let in")),
        Answer::Shut(dropped) => (
            Level::Warning,
            format!("{port} is stopped{scope} by {}", cause(dropped)),
        ),
        Answer::Limited { accepted, dropped } => {
            let (by, rest) = (cause(accepted), cause(dropped));
            (
                Level::Ok,
                format!(
                    "{port} is let in{scope} within the limits of {by}; the rest is stopped by {rest}"
                ),
            )
        }
        Answer::Partly { accepted, dropped } => {
            let level = if as_the_source {
                Level::Ok
            } else {
                Level::Warning
            };
            let message = format!(
                "{port} is let in{scope} for some only, by {}; all else is stopped by {}",
                cause(accepted),
                cause(dropped)
            );
            (level, message)
        }
    };
    let finding = Finding {
        forbids_import: match answer {
            Answer::Shut(_) => *stopped,
            _ => Versions::NONE,
        },
        ..Finding::new(ID, level, subject(rule), message)
    };
    if level == Level::Ok {
        finding
    } else {
        finding.help(help(table, chain, rule))
    }
}

fn help(table: &Table, chain: &str, rule: &Rule) -> String {
    let Rule { to, protocol, .. } = rule;
    let has = |prefix: &str| table.chains.keys().any(|name| name.starts_with(prefix));
    if table.name == "firewalld" || has("INPUT_ZONES") {
        format!("firewall-cmd --add-port={to}/{protocol} (and again with --permanent)")
    } else if has("ufw-") || has("ufw6-") {
        format!("ufw allow {to}/{protocol}")
    } else {
        let by_iptables = format!("-p {protocol} --dport {to}");
        accept_first(
            table,
            chain,
            &by_iptables,
            &format!("{protocol} dport {to}"),
        )
    }
}

/// The command that has a chain let something in before all else; what that is, in the words of iptables and of nft.
pub fn accept_first(table: &Table, chain: &str, by_iptables: &str, by_nft: &str) -> String {
    // Anybody may name a chain so, but iptables has no other tables.
    let is_iptables = matches!(chain, "PREROUTING" | "INPUT" | "OUTPUT" | "POSTROUTING")
        && matches!(
            &*table.name,
            "filter" | "nat" | "mangle" | "raw" | "security"
        );
    let tool = match (table.tool, table.family) {
        ("nft", Family::Ip) if is_iptables => "iptables",
        ("nft", Family::Ip6) if is_iptables => "ip6tables",
        (tool, _) => tool,
    };
    let Table { family, name, .. } = table;
    match (tool, name.as_str()) {
        ("nft", _) => format!(
            "nft insert rule {} {name} {chain} {by_nft} accept",
            family.name()
        ),
        (_, "filter") => format!("{tool} -I {chain} {by_iptables} -j ACCEPT"),
        _ => format!("{tool} -t {name} -I {chain} {by_iptables} -j ACCEPT"),
    }
}

/// The rule's own words where they are known.
pub fn plain_text(_: &Table, _: &str, name: &RuleName) -> String {
    match name {
        RuleName::Text(text) => text.clone(),
        RuleName::Handle(handle) => format!("the rule with handle {handle}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iptables_has_its_own_tables_only() {
        for (family, name, chain, command) in [
            (Family::Ip, "filter", "INPUT", "iptables -I INPUT"),
            (Family::Ip6, "nat", "OUTPUT", "ip6tables -t nat -I OUTPUT"),
            (Family::Ip, "mine", "INPUT", "nft insert rule ip mine INPUT"),
            (Family::Ip, "nat", "in", "nft insert rule ip nat in"),
            (
                Family::Inet,
                "raw",
                "INPUT",
                "nft insert rule inet raw INPUT",
            ),
        ] {
            let table = Table {
                tool: "nft",
                family,
                name: name.to_owned(),
                chains: [].into(),
            };
            let said = accept_first(&table, chain, "", "");
            assert!(said.starts_with(command), "{said}");
        }
    }
}
