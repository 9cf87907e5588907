//! What `load` and `reload` share: from arguments to a change, and what they tell.

use super::{args::Source, print};
use crate::{
    check::{self, Examination, Level, Netfilter},
    config::{Config, Name, Resolved},
    exit::Exit,
    host::Network,
    kernel::{Error, Instance, Outcome, Site, choose_sites},
    plan::Plan,
};

/// More rules or warnings than this are counted, not listed.
const LISTED: usize = 20;

/// The words for what came of a change.
pub struct Words {
    pub unchanged: &'static str,
    pub done: &'static str,
}

/// Makes a change, and tells what came of it. What keeps traffic from the application is told if the
/// change was made.
pub fn make(
    name: &Name,
    source: &Source,
    is_dry_run: bool,
    words: &Words,
    change: impl FnOnce(&Config, &dyn Fn() -> Netfilter) -> Result<Outcome, Error>,
) -> anyhow::Result<Exit> {
    let wanted = resolve(source)?;
    let config = &wanted.config;
    if is_dry_run {
        return dry_run(name, config);
    }
    let (outcome, examined) = check::examine_beside(config, |netfilter| change(config, netfilter));
    let outcome = outcome?;
    print(told(name, &wanted, words, &outcome))?;
    for line in notes(&outcome).into_iter().chain(warnings(&examined)) {
        eprintln!("{line}");
    }
    Ok(Exit::Done)
}

/// What came of a change, with its newline.
pub fn told(name: &Name, wanted: &Resolved, words: &Words, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unchanged => format!("instance \"{name}\" {}\n", words.unchanged),
        Outcome::Done { plan, sites, .. } => format!(
            "{} instance \"{name}\" from {}\n{}",
            words.done,
            wanted.origin,
            summary(plan, sites)
        ),
    }
}

/// What the operator should hear of a change, a line each.
pub fn notes(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Unchanged => Vec::new(),
        Outcome::Done { notices, .. } => notices
            .iter()
            .map(|notice| format!("note: {notice}"))
            .collect(),
    }
}

/// What keeps traffic from the application, a line each.
pub fn warnings(examined: &Result<Examination, check::Error>) -> Vec<String> {
    let findings = match examined {
        Ok(host) => &host.findings,
        Err(error) => return vec![format!("warning: cannot check the host: {error}")],
    };
    let warnings = findings.iter().filter(|finding| finding.level > Level::Ok);
    let mut lines: Vec<_> = warnings.map(|each| format!("warning: {each}")).collect();
    let more = lines.len().saturating_sub(LISTED);
    if more > 0 {
        lines.truncate(LISTED);
        lines.push(format!(
            "warning: {more} more; `redirector check` lists them"
        ));
    }
    lines
}

/// The configuration, with what is worth saying about it on standard error.
pub fn resolve(source: &Source) -> anyhow::Result<Resolved> {
    let resolved = source.resolve(&Network::read()?)?;
    for notice in &resolved.notices {
        eprintln!("note: {notice}");
    }
    Ok(resolved)
}

/// Prints what would change, from what is loaded now.
fn dry_run(name: &Name, config: &Config) -> anyhow::Result<Exit> {
    let loaded = match Instance::find(name)? {
        Some(instance) => Some(instance.loaded()?),
        None => None,
    };
    let plan = Plan::new(loaded.as_ref(), config);
    if plan.is_empty() {
        print("nothing would change\n")?;
    } else {
        print(format_args!(
            "{plan}{}",
            hooks(&plan, &choose_sites(config, &config.interfaces)?)
        ))?;
    }
    Ok(Exit::Done)
}

fn summary(plan: &Plan, sites: &[Site]) -> String {
    let hooks = hooks(plan, sites);
    if plan.rules.len() <= LISTED {
        return format!("{plan}{hooks}");
    }
    let interfaces = Plan {
        rules: Vec::new(),
        ..plan.clone()
    };
    format!("{interfaces}{} rules changed\n{hooks}", plan.rules.len())
}

/// Where the interfaces of a plan are attached, and why there.
fn hooks(plan: &Plan, sites: &[Site]) -> String {
    let is_new = |site: &&Site| {
        plan.attach.contains(&site.interface) || plan.rehook.contains(&site.interface)
    };
    sites
        .iter()
        .filter(is_new)
        .map(|site| format!("  {site}\n"))
        .collect()
}
