//! What `load` and `reload` share: from arguments to a change, and what they tell.

use std::{sync::OnceLock, thread};

use super::{args::Source, print};
use crate::{
    check::{self, Finding, Level, Netfilter},
    config::{Config, Name, Resolved},
    exit::Exit,
    host::Network,
    kernel::{Error, Outcome, Site},
    plan::Plan,
};

/// More rules or warnings than this are counted, not listed.
const LISTED: usize = 20;

/// The words for what came of a change.
pub struct Words {
    pub unchanged: &'static str,
    pub done: &'static str,
}

/// Makes a change while the host is examined, since the questions take as long as the change; it is
/// handed a way to wait for what netfilter does. What keeps traffic from the application is
/// told if the change was made.
pub fn make(
    name: &Name,
    source: &Source,
    loaded: Option<&Config>,
    words: &Words,
    change: impl FnOnce(&Config, &dyn Fn() -> Netfilter) -> Result<Outcome, Error>,
) -> anyhow::Result<Exit> {
    let wanted = resolve(source, loaded)?;
    let config = &wanted.config;
    let examination = OnceLock::new();
    let examine = || examination.get_or_init(|| check::examine(config));
    let outcome = thread::scope(|scope| {
        scope.spawn(examine);
        change(config, &|| {
            let host = examine().as_ref();
            host.map_or_else(|_| Netfilter::default(), |host| host.netfilter)
        })
    })?;
    match outcome {
        Outcome::Unchanged => print(format_args!("instance \"{name}\" {}\n", words.unchanged))?,
        Outcome::Done {
            plan,
            sites,
            notices,
        } => {
            print(format_args!(
                "{} instance \"{name}\" from {}\n{}",
                words.done,
                wanted.origin,
                summary(&plan, &sites)
            ))?;
            for notice in beside(&plan, &sites).chain(notices) {
                eprintln!("note: {notice}");
            }
        }
    }
    match examine() {
        Ok(host) => warn(&host.findings),
        Err(error) => eprintln!("warning: cannot check the host: {error}"),
    }
    Ok(Exit::Done)
}

/// The configuration, with what is worth saying about it on standard error.
pub fn resolve(source: &Source, loaded: Option<&Config>) -> anyhow::Result<Resolved> {
    let resolved = source.resolve(&Network::read()?, loaded)?;
    for notice in &resolved.notices {
        eprintln!("note: {notice}");
    }
    Ok(resolved)
}

/// Prints what a change would do, which is refused where the change itself would be.
pub fn rehearse(
    source: &Source,
    loaded: Option<&Config>,
    rehearsal: impl FnOnce(&Config) -> Result<Option<(Plan, Vec<Site>)>, Error>,
) -> anyhow::Result<Exit> {
    match rehearsal(&resolve(source, loaded)?.config)? {
        None => print("nothing would change\n")?,
        Some((plan, sites)) => {
            print(format_args!("{plan}{}", hooks(&plan, &sites)))?;
            for notice in beside(&plan, &sites) {
                eprintln!("note: {notice}");
            }
        }
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
    changed(plan, sites)
        .map(|site| format!("  {site}\n"))
        .collect()
}

/// Who else runs before them.
fn beside<'a>(plan: &'a Plan, sites: &'a [Site]) -> impl Iterator<Item = String> + 'a {
    changed(plan, sites).filter_map(|site| {
        let (name, other) = (&site.interface.name, site.beside.as_ref()?);
        Some(format!(
            "{name} has the XDP program {other}, which stays and sees packets first"
        ))
    })
}

fn changed<'a>(plan: &'a Plan, sites: &'a [Site]) -> impl Iterator<Item = &'a Site> {
    sites.iter().filter(|site| {
        plan.attach.contains(&site.interface) || plan.rehook.contains(&site.interface)
    })
}

fn warn(findings: &[Finding]) {
    let warnings: Vec<_> = findings
        .iter()
        .filter(|finding| finding.level > Level::Ok)
        .collect();
    for warning in warnings.iter().take(LISTED) {
        eprintln!("warning: {warning}");
    }
    if warnings.len() > LISTED {
        let more = warnings.len() - LISTED;
        eprintln!("warning: {more} more; `redirector check` lists them");
    }
}
