//! What `load` and `reload` share: from arguments to a configuration, and what they tell.

use std::thread;

use super::{args::Source, print};
use crate::{
    check::{self, Finding, Level},
    config::{Config, Name, Resolved},
    exit::Exit,
    host::Network,
    kernel::Instance,
    plan::Plan,
};

/// More rules or warnings than this are counted, not listed.
const LISTED: usize = 20;

/// The configuration, with what is worth saying about it on standard error.
pub fn resolve(source: &Source) -> anyhow::Result<Resolved> {
    let resolved = source.resolve(&Network::read()?)?;
    for notice in &resolved.notices {
        eprintln!("note: {notice}");
    }
    Ok(resolved)
}

/// Prints what would change, from what is loaded now.
pub fn dry_run(name: &Name, config: &Config) -> anyhow::Result<Exit> {
    let loaded = match Instance::find(name)? {
        Some(instance) => Some(instance.loaded()?),
        None => None,
    };
    let plan = Plan::new(loaded.as_ref(), config);
    if plan.is_empty() {
        print("nothing would change\n")?;
    } else {
        print(plan)?;
    }
    Ok(Exit::Done)
}

pub fn summary(plan: &Plan) -> String {
    if plan.rules.len() <= LISTED {
        return plan.to_string();
    }
    let interfaces = Plan {
        rules: Vec::new(),
        ..plan.clone()
    };
    format!("{interfaces}{} rules changed\n", plan.rules.len())
}

/// Makes a change while the host is examined, since the questions take as long as the change. What
/// keeps traffic from the application is told if the change was made.
pub fn while_examining<T, E>(
    config: &Config,
    change: impl FnOnce() -> Result<T, E>,
    tell: impl FnOnce(T) -> anyhow::Result<()>,
) -> anyhow::Result<Exit>
where
    anyhow::Error: From<E>,
{
    let (changed, findings) = thread::scope(|scope| {
        let examination = scope.spawn(|| check::examine(config));
        (change(), examination.join())
    });
    tell(changed?)?;
    match findings {
        Ok(Ok(findings)) => warn(&findings),
        Ok(Err(error)) => eprintln!("warning: cannot check the host: {error}"),
        Err(_) => eprintln!("warning: cannot check the host"),
    }
    Ok(Exit::Done)
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
