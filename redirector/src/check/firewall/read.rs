//! Asks nft and iptables for the rules of the current network namespace.

use std::{cell::RefCell, collections::HashMap, io};

use super::{
    Firewall,
    bridge_calls::Calls,
    iptables, kernel, masquerade, nft, plain_text,
    ruleset::{Chain, Family, Hook, RuleName, Table},
};
use crate::netfilter::{BackEnd, LEGACY_NAMES, Trouble, has_legacy, program, run};

const FAMILIES: [Family; 2] = [Family::Ip, Family::Ip6];

/// Never fails: what could not be read is said in `unread`.
pub fn read() -> Firewall {
    let mut firewall = Firewall {
        tables: Vec::new(),
        unread: Vec::new(),
        bridges_call: Calls::read(),
        masqueraded: masquerade::read(),
    };
    match run("nft", &["-j", "list", "ruleset"]).map(|text| nft::parse(&text)) {
        Ok(Ok(listing)) => {
            firewall.tables = listing.tables;
            name_devices(&mut firewall.tables, |table, chain| {
                run(
                    "nft",
                    &["list", "chain", table.family.name(), &table.name, chain],
                )
                .ok()
            });
            for family in listing.compat {
                firewall.replace_by_iptables(family);
            }
        }
        Ok(Err(why)) => firewall.unread.push(format!("nft's JSON: {why}")),
        Err(Trouble::Missing(_)) => firewall.read_without_nft(kernel::nftables()),
        Err(Trouble::Failed(why)) => firewall.unread.push(why),
    }
    for (family, (tool, names)) in FAMILIES.into_iter().zip(LEGACY_NAMES) {
        firewall.add_legacy(family, tool, names);
    }
    firewall
}

/// nft before 1.0.8 leaves the devices of an ingress chain out of its JSON.
pub(super) fn name_devices(tables: &mut [Table], list: impl Fn(&Table, &str) -> Option<String>) {
    for table in tables {
        let ingress = |chain: &Chain| {
            chain
                .base
                .as_ref()
                .is_some_and(|b| b.hook == Hook::Ingress && b.devices.is_empty())
        };
        let nameless: Vec<_> = table
            .chains
            .iter()
            .filter(|(_, c)| ingress(c))
            .map(|(name, _)| name.clone())
            .collect();
        for name in nameless {
            let devices = list(table, &name)
                .map(|text| devices(&text))
                .unwrap_or_default();
            if let Some(base) = table
                .chains
                .get_mut(&name)
                .and_then(|chain| chain.base.as_mut())
            {
                base.devices = devices;
            }
        }
    }
}

/// From `type filter hook ingress devices = { eth0, eth1 } priority filter; ...`.
fn devices(text: &str) -> Vec<String> {
    let line = text
        .lines()
        .find_map(|line| line.trim().split_once("hook ingress device"))
        .map(|(_, rest)| rest);
    let names = line
        .unwrap_or_default()
        .trim_start_matches('s')
        .split(" priority")
        .next()
        .unwrap_or_default();
    let apart = |c: char| c.is_whitespace() || "={},\"".contains(c);
    names
        .split(apart)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Writes rules as nft does, and asks nft at most once per chain.
pub fn texts() -> impl Fn(&Table, &str, &RuleName) -> String {
    let listings: RefCell<HashMap<String, String>> = RefCell::default();
    move |table, chain, name| {
        let RuleName::Handle(handle) = name else {
            return plain_text(table, chain, name);
        };
        let arguments = [
            "-as",
            "list",
            "chain",
            table.family.name(),
            &table.name,
            chain,
        ];
        let mut listings = listings.borrow_mut();
        let listing = listings
            .entry(arguments.join(" "))
            .or_insert_with(|| run("nft", &arguments).unwrap_or_else(|_| String::new()));
        let ending = format!(" # handle {handle}");
        let found = listing.lines().find_map(|line| line.strip_suffix(&ending));
        found.map_or_else(
            || plain_text(table, chain, name),
            |rule| rule.trim().to_owned(),
        )
    }
}

impl Firewall {
    /// iptables-save is enough where nf_tables holds nothing but the tables of iptables-nft.
    fn read_without_nft(&mut self, held: Option<Vec<(Family, String)>>) {
        if held.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        FAMILIES
            .into_iter()
            .for_each(|family| self.replace_by_iptables(family));
        let read = |(family, name): &(Family, String)| {
            self.tables
                .iter()
                .any(|table| table.family == *family && table.name == *name)
        };
        let unread = held.map(|held| held.into_iter().find(|table| !read(table)));
        match unread {
            Some(None) => {}
            Some(Some((family, name))) => {
                let table = format!("{} {name}", family.name());
                self.unread.push(format!(
                    "nft is not installed, and there is a table {table}"
                ));
            }
            None => self.unread.push("nft is not installed".to_owned()),
        }
    }

    /// nft shows the extensions of iptables-nft by name only; iptables-save knows their arguments.
    fn replace_by_iptables(&mut self, family: Family) {
        let tool = if family == Family::Ip6 {
            "ip6tables"
        } else {
            "iptables"
        };
        match save(tool, BackEnd::Nft) {
            Ok(text) => {
                let saved = iptables::parse(&text, family, tool);
                self.tables.retain(|table| {
                    table.family != family || saved.iter().all(|s| s.name != table.name)
                });
                self.tables.extend(saved);
            }
            Err(Trouble::Missing(_)) if self.tables.is_empty() => {}
            Err(Trouble::Missing(_)) => self.unread.push(format!(
                "{tool}-save, which knows its own extensions, is not installed"
            )),
            Err(Trouble::Failed(why)) => self.unread.push(why),
        }
    }

    fn add_legacy(&mut self, family: Family, tool: &'static str, names: &str) {
        match has_legacy(names) {
            Ok(false) => return,
            Ok(true) => {}
            // nft has said so already.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && !self.unread.is_empty() =>
            {
                return;
            }
            Err(error) => return self.unread.push(format!("{names}: {error}")),
        }
        let legacy = if family == Family::Ip6 {
            "ip6tables-legacy"
        } else {
            "iptables-legacy"
        };
        match save(tool, BackEnd::Legacy) {
            Ok(text) => self.tables.extend(iptables::parse(&text, family, legacy)),
            Err(Trouble::Missing(_)) => self.unread.push(format!(
                "the kernel holds rules of {legacy}, which is not installed"
            )),
            Err(Trouble::Failed(why)) => self.unread.push(why),
        }
    }
}

fn save(tool: &str, back_end: BackEnd) -> Result<String, Trouble> {
    run(&program(tool, back_end, "save")?, &[])
}
