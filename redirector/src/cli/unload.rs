use super::{args::Unload, print};
use crate::{
    config::Name,
    exit::Exit,
    kernel::{self, Error, Reach, Way},
};

pub fn run(args: Unload) -> anyhow::Result<Exit> {
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
