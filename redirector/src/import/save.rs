//! `iptables-save` with and without `-c`, and so `/etc/sysconfig/iptables`.

use super::{
    iptables,
    model::{Action, Chain, Families, Hook, Kind, Line, Listing},
};

/// The only table whose rules redirect.
const NAT: &str = "nat";

pub fn parse(text: &str, families: Families) -> Listing {
    let mut listing = Listing::default();
    let mut table = String::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() {
            continue;
        }
        let kind = if let Some(name) = line.strip_prefix('*') {
            table = name.trim().to_owned();
            Kind::Other
        } else if line.starts_with(['#', ':']) || line == "COMMIT" {
            declare(&mut listing, &table, line, families);
            Kind::Other
        } else {
            rule(&mut listing, &table, number, line, families)
        };
        listing.lines.push(Line {
            number,
            text: line.to_owned(),
            kind,
        });
    }
    listing
}

/// Counters aside: `-A CHAIN ...`.
pub fn specification(line: &str) -> &str {
    match line.split_once("] ") {
        Some((counters, rule)) if counters.starts_with('[') => rule,
        _ => line,
    }
}

/// `:PREROUTING ACCEPT [0:0]`
fn declare(listing: &mut Listing, table: &str, line: &str, families: Families) {
    let name = line.strip_prefix(':').unwrap_or_default();
    if let Some(name) = name.split_whitespace().next()
        && table == NAT
    {
        chain(listing, name, families);
    }
}

fn rule(listing: &mut Listing, table: &str, number: usize, line: &str, families: Families) -> Kind {
    let words = shlex::split(specification(line));
    let Some([flag, name, rest @ ..]) = words.as_deref() else {
        return Kind::Left("it is not a line of iptables-save".into());
    };
    if !matches!(flag.as_str(), "-A" | "--append") {
        return Kind::Left("it is not a line of iptables-save".into());
    }
    if table != NAT {
        return match table {
            "" => Kind::Left("no table is named before it".into()),
            _ => iptables::outside_nat(rest).map_or(Kind::Other, |why| Kind::Left(why.into())),
        };
    }
    let rules = iptables::rules(number, rest, families);
    let kind = kind(&rules.iter().map(|rule| &rule.action).collect::<Vec<_>>());
    chain(listing, name, families).rules.extend(rules);
    kind
}

/// What changes nothing is not worth a line.
pub fn kind(actions: &[&Action]) -> Kind {
    let is_ours = |action: &&Action| matches!(action, Action::Redirect(_) | Action::Elsewhere(_));
    if actions.iter().any(is_ours) {
        Kind::Rule
    } else {
        Kind::Other
    }
}

/// Finds or makes a chain of the table nat.
pub fn chain<'a>(listing: &'a mut Listing, name: &str, families: Families) -> &'a mut Chain {
    let family = if families == Families::IPV6 {
        "ip6"
    } else {
        "ip"
    };
    let chains = &mut listing.chains;
    let found = chains
        .iter()
        .position(|chain| chain.name == name && chain.family == family);
    let index = found.unwrap_or_else(|| {
        chains.push(Chain {
            family: family.to_owned(),
            table: NAT.to_owned(),
            name: name.to_owned(),
            hook: match name {
                "PREROUTING" => Some(Hook::Prerouting),
                "OUTPUT" => Some(Hook::Output),
                "INPUT" | "POSTROUTING" => Some(Hook::Other),
                _ => None,
            },
            rules: Vec::new(),
        });
        chains.len() - 1
    });
    &mut chains[index]
}
