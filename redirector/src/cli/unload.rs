use std::{thread, time::Duration};

use super::{
    args::{Limit, Unload},
    drain::{Draining, PAUSE},
    print,
};
use crate::{
    config::Name,
    exit::Exit,
    kernel::{self, Drain, Error, Reach, Way},
};

pub fn run(args: Unload) -> anyhow::Result<Exit> {
    if let Some(Limit(limit)) = args.drain {
        let is_unloaded = drain(&args, limit)?;
        if is_unloaded && !args.all {
            return Ok(Exit::Done);
        }
    }
    let name = args.instance.name;
    let reach = if args.any_namespace {
        Reach::Anywhere
    } else {
        Reach::Here
    };
    let unloaded = if args.all {
        kernel::unload_all(reach)?
    } else {
        kernel::unload(&name, reach)?
    };
    for name in &unloaded.removed {
        print(format_args!("unloaded instance \"{name}\"\n"))?;
    }
    if unloaded.removed.is_empty() && !args.all {
        print(format_args!("{}\n", Error::not_loaded(&name)))?;
    }
    left(&unloaded.left);
    for (name, way) in &unloaded.with_filters {
        eprintln!(
            "note: the filters of \"{name}\" stay on its interfaces and redirect nothing; \
             `{way} tc filter` shows and deletes them"
        );
    }
    Ok(Exit::Done)
}

/// Whether it has unloaded anything; the rest is left to an ordinary unload.
fn drain(args: &Unload, limit: Duration) -> anyhow::Result<bool> {
    let drains = if args.all {
        Drain::begin_all()?
    } else {
        Drain::begin(&args.instance.name)?.into_iter().collect()
    };
    let mut drains: Vec<_> = drains
        .into_iter()
        .map(|drain| Draining::new(drain, limit))
        .collect();
    for draining in &mut drains {
        if draining.is_over()? {
            continue;
        }
        print(draining.begun())?;
        loop {
            thread::sleep(PAUSE);
            if draining.is_over()? {
                break;
            }
        }
    }
    let mut is_unloaded = false;
    for draining in drains {
        let (drain, report) = draining.end()?;
        let name = drain.name().clone();
        if drain.finish()? {
            print(format_args!("{report}unloaded instance \"{name}\"\n"))?;
            is_unloaded = true;
        }
    }
    Ok(is_unloaded)
}

fn left(instances: &[(Name, Way)]) {
    let [(first, way), ..] = instances else {
        return;
    };
    let names: Vec<_> = instances.iter().map(|(name, _)| name.as_str()).collect();
    let (count, noun) = match instances.len() {
        1 => (1, "instance"),
        more => (more, "instances"),
    };
    eprintln!(
        "note: left {count} {noun} of other network namespaces ({}); \
         `{way} redirector unload --name {first}`, or --any-namespace from here",
        names.join(", ")
    );
}
