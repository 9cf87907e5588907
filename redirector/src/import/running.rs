//! The rules that this network namespace has now, and scripts that take some of them away and bring them
//! back exactly.

use nix::unistd::geteuid;

use super::{
    Format,
    lower::{Imported, Source},
    model::Line,
    save,
    tracking::{self, Keeper},
};
use crate::netfilter::{BackEnd, LEGACY_NAMES, Trouble, has_legacy, program, run};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub source: Source,
    tool: Tool,
    /// Family and name of tables of which another tool tells as well.
    told: Vec<[String; 2]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tool {
    /// By the program that restores what it saves.
    Iptables(String),
    Nft,
}

/// One transaction of one tool, each way: all of it, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub program: String,
    pub arguments: Vec<&'static str>,
    pub remove: String,
    pub restore: String,
    /// Rules.
    pub count: usize,
    /// The command that ends what is left for live connections, if something is.
    pub left: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("only root may read the running rules; name a file with rules, or use sudo")]
    NotPermitted,
    #[error("cannot read the running rules: {0}")]
    Failed(String),
}

/// What iptables, ip6tables (both of either back end) and nft list. One that is not installed has no rules.
pub fn read() -> Result<Vec<Running>, Error> {
    if !geteuid().is_root() {
        return Err(Error::NotPermitted);
    }
    let mut running = Vec::new();
    for (tool, names) in LEGACY_NAMES {
        let legacy = has_legacy(names).map_err(|error| Error::Failed(error.to_string()))?;
        let back_ends = [(BackEnd::Nft, true), (BackEnd::Legacy, legacy)];
        for (back_end, _) in back_ends.into_iter().filter(|(_, is_there)| *is_there) {
            running.extend(iptables(tool, back_end)?);
        }
    }
    let managed: Vec<_> = running
        .iter()
        .filter(|each| each.source.name.contains("-nft"))
        .flat_map(|each| &each.source.listing.chains)
        .map(|chain| [chain.family.clone(), chain.table.clone()])
        .collect();
    if let Some(text) = present(run("nft", &["-a", "list", "ruleset"]))? {
        let mut source = Source::in_format("nft", Format::Nft, &text);
        // iptables-nft has told of its own.
        source
            .listing
            .chains
            .retain(|chain| !managed.contains(&[chain.family.clone(), chain.table.clone()]));
        running.push(Running {
            source,
            tool: Tool::Nft,
            told: managed,
        });
    }
    Ok(running)
}

fn iptables(tool: &str, back_end: BackEnd) -> Result<Option<Running>, Error> {
    let Some(save) = present(program(tool, back_end, "save"))? else {
        return Ok(None);
    };
    let Some(text) = present(run(&save, &["-c"]))? else {
        return Ok(None);
    };
    let format = match tool {
        "ip6tables" => Format::Ip6tablesSave,
        _ => Format::IptablesSave,
    };
    Ok(Some(Running {
        source: Source::in_format(&format!("{tool}-{}", back_end.name()), format, &text),
        tool: Tool::Iptables(save.replace("-save", "-restore")),
        told: Vec::new(),
    }))
}

fn present<T>(outcome: Result<T, Trouble>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(Trouble::Missing(_)) => Ok(None),
        Err(Trouble::Failed(why)) => Err(Error::Failed(why)),
    }
}

impl Running {
    /// Without what another tool has told of already.
    pub fn own_lines(&self) -> Vec<&Line> {
        let mut is_own = true;
        let lines = self.source.listing.lines.iter();
        lines
            .filter(|line| {
                if let Some(table) = line.text.trim().strip_prefix("table ") {
                    let mut words = table.split_whitespace();
                    let name = [words.next(), words.next()].map(Option::unwrap_or_default);
                    is_own = !self.told.iter().any(|told| *told == name);
                }
                is_own
            })
            .collect()
    }
}

/// For the lines that were taken; a tool without any has no script. `are_live` tells of connections that
/// netfilter should go on with.
pub fn scripts(running: &[Running], imported: &Imported, are_live: bool) -> Vec<Script> {
    let keeps = are_live && !tracking::is_kept_by_others(running, imported);
    let scripts = running.iter().enumerate().filter_map(|(index, running)| {
        let is_taken = |number: usize| imported.takes((index, number));
        let (script, keeper) = match &running.tool {
            Tool::Iptables(restore) => (
                iptables_script(restore, &running.source, is_taken),
                tracking::iptables(restore),
            ),
            Tool::Nft => (nft_script(&running.source, is_taken), tracking::nft()),
        };
        let script = match keeps {
            true => script.with(keeper),
            false => script,
        };
        (script.count > 0).then_some(script)
    });
    scripts.collect()
}

impl Script {
    /// The keeper comes before the rules go, and goes after they are back.
    fn with(self, keeper: Keeper) -> Self {
        Self {
            remove: keeper.add + &self.remove,
            restore: self.restore + &keeper.delete,
            left: Some(keeper.command),
            ..self
        }
    }
}

/// By the very words of iptables-save, and back to the same places with the same counters.
fn iptables_script(restore: &str, source: &Source, is_taken: impl Fn(usize) -> bool) -> Script {
    let mut script = Script {
        program: restore.to_owned(),
        arguments: vec!["--noflush", "--counters"],
        remove: "*nat\n".to_owned(),
        restore: "*nat\n".to_owned(),
        count: 0,
        left: None,
    };
    let mut in_nat = false;
    let mut positions = std::collections::HashMap::<&str, usize>::new();
    for line in &source.listing.lines {
        if let Some(table) = line.text.strip_prefix('*') {
            in_nat = table == "nat";
        }
        let rule = save::specification(&line.text);
        let Some((chain, conditions)) = rule
            .strip_prefix("-A ")
            .and_then(|rule| rule.split_once(' '))
            .filter(|_| in_nat)
        else {
            continue;
        };
        let position = positions.entry(chain).or_default();
        *position += 1;
        if is_taken(line.number) {
            let counters = &line.text[..line.text.len() - rule.len()];
            script.remove += &format!("-D {chain} {conditions}\n");
            script.restore += &format!("{counters}-I {chain} {position} {conditions}\n");
            script.count += 1;
        }
    }
    script.remove += "COMMIT\n";
    script.restore += "COMMIT\n";
    script
}

/// By handle. Back to behind the rule that was before them and stayed, the last one first.
fn nft_script(source: &Source, is_taken: impl Fn(usize) -> bool) -> Script {
    let mut script = Script {
        program: "nft".to_owned(),
        arguments: vec!["-f", "-"],
        remove: String::new(),
        restore: String::new(),
        count: 0,
        left: None,
    };
    for chain in &source.listing.chains {
        let place = format!("{} {} {}", chain.family, chain.table, chain.name);
        let mut stayed = None;
        let mut back = Vec::new();
        for rules in chain.rules.chunk_by(|one, other| one.line == other.line) {
            let (line, handle) = (rules[0].line, rules[0].handle);
            let text = source.listing.line(line).unwrap_or_default();
            match handle {
                Some(handle) if is_taken(line) => {
                    script.remove += &format!("delete rule {place} handle {handle}\n");
                    script.count += 1;
                    back.push(match stayed {
                        Some(stayed) => format!("add rule {place} handle {stayed} {text}\n"),
                        None => format!("insert rule {place} {text}\n"),
                    });
                }
                _ => stayed = handle,
            }
        }
        script.restore.extend(back.into_iter().rev());
    }
    script
}
