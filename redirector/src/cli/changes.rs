//! What `load`, `reload` and `run` share: from arguments to a change, and what they tell.

use super::{args::Source, print};
use crate::{
    check::{self, Examination, Level, Netfilter},
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

/// Makes a change, and tells what came of it. What keeps traffic from the application is told if the
/// change was made.
pub fn make(
    name: &Name,
    wanted: &Resolved,
    words: &Words,
    change: impl FnOnce(&Config, &dyn Fn() -> Netfilter) -> Result<Outcome, Error>,
) -> anyhow::Result<Exit> {
    let config = &wanted.config;
    let (outcome, examined) = check::examine_beside(config, |netfilter| change(config, netfilter));
    let outcome = outcome?;
    print(told(name, wanted, words, &outcome))?;
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
        Outcome::Done {
            plan,
            sites,
            notices,
        } => {
            let notices = notices.iter().map(|notice| format!("note: {notice}"));
            beside(plan, sites).chain(notices).collect()
        }
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
pub fn resolve(source: &Source, loaded: Option<&Config>) -> anyhow::Result<Resolved> {
    let resolved = source.resolve(&Network::read()?, loaded)?;
    for notice in &resolved.notices {
        eprintln!("note: {notice}");
    }
    Ok(resolved)
}

/// Prints what a change would do, which is refused where the change itself would be.
pub fn rehearse(
    wanted: &Resolved,
    rehearsal: impl FnOnce(&Config) -> Result<Option<(Plan, Vec<Site>)>, Error>,
) -> anyhow::Result<Exit> {
    match rehearsal(&wanted.config)? {
        None => print("nothing would change\n")?,
        Some((plan, sites)) => {
            print(format_args!("{plan}{}", hooks(&plan, &sites)))?;
            for note in beside(&plan, &sites) {
                eprintln!("{note}");
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

/// Who else runs before them, a line each.
fn beside<'a>(plan: &'a Plan, sites: &'a [Site]) -> impl Iterator<Item = String> + 'a {
    changed(plan, sites).filter_map(|site| {
        let (name, other) = (&site.interface.name, site.beside.as_ref()?);
        Some(format!(
            "note: {name} has the XDP program {other}, which stays and sees packets first"
        ))
    })
}

fn changed<'a>(plan: &'a Plan, sites: &'a [Site]) -> impl Iterator<Item = &'a Site> {
    sites.iter().filter(|site| {
        plan.attach.contains(&site.interface) || plan.rehook.contains(&site.interface)
    })
}
