//! What `load` and `reload` share: from arguments to a change, and what they tell.

use std::{sync::OnceLock, thread};

use super::{args::Source, print};
use crate::{
    check::{self, Finding, Level, Netfilter},
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

/// Makes a change while the host is examined, since the questions take as long as the change; it is
/// handed a way to wait for what netfilter does. What keeps traffic from the application is
/// told if the change was made.
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
            for notice in notices {
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
