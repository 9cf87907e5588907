//! `iptables-save` with and without `-c`, and so `/etc/sysconfig/iptables`.

use super::{
    change::{Change, Verb},
    flow::Place,
    iptables,
    model::{Action, Chain, Families, Hook, Kind, Line, Listing},
    options,
    ruleset::Ruleset,
};

/// The only table whose rules redirect.
const NAT: &str = "nat";

/// The text so far.
#[derive(Default)]
struct Save {
    listing: Listing,
    table: String,
    ruleset: Ruleset,
}

pub fn parse(text: &str, families: Families) -> Listing {
    let mut save = Save::default();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() {
            continue;
        }
        let kind = if let Some(name) = line.strip_prefix('*') {
            save.table = name.trim().to_owned();
            Kind::Other
        } else if line.starts_with(['#', ':']) || line == "COMMIT" {
            save.declare(number, line, families);
            Kind::Other
        } else {
            save.rule(number, line, families)
        };
        save.listing.lines.push(Line {
            number,
            text: line.to_owned(),
            kind,
        });
    }
    save.ruleset.build(&mut save.listing);
    save.listing
}

/// Counters aside: `-A CHAIN ...`.
pub fn specification(line: &str) -> &str {
    match line.split_once("] ") {
        Some((counters, rule)) if counters.starts_with('[') => rule,
        _ => line,
    }
}

impl Save {
    /// `:PREROUTING ACCEPT [0:0]`
    fn declare(&mut self, number: usize, line: &str, families: Families) {
        let name = line.strip_prefix(':').unwrap_or_default();
        if let Some(name) = name.split_whitespace().next()
            && self.table == NAT
        {
            chain(&mut self.listing, name, families);
            let change = self.change(Verb::New, name, &[], families);
            self.ruleset.change(number, change, Place::default(), None);
        }
    }

    /// `-A CHAIN ...`, and what else iptables-restore takes.
    fn rule(&mut self, number: usize, line: &str, families: Families) -> Kind {
        let words = shlex::split(specification(line)).unwrap_or_default();
        let words = options::separate(&words);
        let change = match &words[..] {
            [flag, name, rest @ ..] if matches!(flag.as_str(), "-A" | "--append") => {
                Some(self.change(Verb::Append, name, rest, families))
            }
            _ => Change::read(families, &words).map(|change| Change {
                table: self.table.clone(),
                ..change
            }),
        };
        let Some(change) = change else {
            return Kind::Left("it is not a line of iptables-save".into());
        };
        match self.table.as_str() {
            NAT => self.ruleset.change(number, change, Place::default(), None),
            "" => Kind::Left("no table is named before it".into()),
            _ => iptables::outside_nat(&change.rule)
                .map_or(Kind::Other, |why| Kind::Left(why.into())),
        }
    }

    fn change(&self, verb: Verb, chain: &str, rule: &[String], families: Families) -> Change {
        Change {
            families,
            table: self.table.clone(),
            chain: chain.to_owned(),
            verb,
            rule: rule.to_vec(),
        }
    }
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
