use super::{args::Check, changes, print};
use crate::{
    check::{self, Level},
    exit::Exit,
    kernel::{self, Instance},
    output,
};

pub fn run(args: Check) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    let instance = loaded(&args)?;
    let loaded = instance.as_ref().map(Instance::loaded).transpose()?;
    let config = match &loaded {
        Some(loaded) => loaded.config(),
        None => changes::resolve(&args.source, None)?.config,
    };
    let explanations = if args.explain {
        Some(kernel::explain(name, &config, loaded.as_ref())?)
    } else {
        None
    };
    let is_loaded = instance.is_some();
    let degraded = instance
        .zip(loaded)
        .map(|(instance, loaded)| check::examine_loaded(name, &loaded, instance.supervisor()))
        .unwrap_or_default();
    let exit = match degraded[..] {
        [] => Exit::Done,
        [..] => Exit::Degraded,
    };
    let mut findings = check::examine_kernel();
    findings.extend(degraded);
    if !is_loaded {
        findings.extend(check::examine_load(name, &config));
    }
    findings.extend(check::examine(&config)?.findings);
    if args.json.enabled {
        let document = output::check::Document::new(&findings, explanations.as_deref());
        print(output::json(&document)?)?;
    } else {
        let explained = explanations.as_deref().map(output::explain::text);
        print(output::check::text(&findings) + &explained.unwrap_or_default())?;
    }
    Ok(match output::check::worst(&findings) {
        Level::Failure => Exit::Failed,
        Level::Ok | Level::Warning => exit,
    })
}

/// What is loaded here, if nothing else is asked about.
fn loaded(args: &Check) -> anyhow::Result<Option<Instance>> {
    let name = &args.instance.name;
    if !args.source.is_empty() {
        return Ok(None);
    }
    let Some(instance) = Instance::find(name)? else {
        return Ok(None);
    };
    instance.require_namespace()?;
    eprintln!("note: these are the rules that instance \"{name}\" has loaded");
    Ok(Some(instance))
}
