use super::{args::Reload, changes};
use crate::{
    config::{Config, Name},
    exit::Exit,
    kernel::{self, Instance},
};

const WORDS: changes::Words = changes::Words {
    unchanged: "is as wanted already",
    done: "reloaded",
};

pub fn run(args: Reload) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    let loaded = loaded(name)?;
    let wanted = changes::resolve(&args.source, loaded.as_ref())?;
    if args.dry_run {
        return changes::rehearse(&wanted, |config| kernel::rehearse_reload(name, config));
    }
    changes::make(name, &wanted, &WORDS, |config, netfilter| {
        kernel::reload(name, config, netfilter)
    })
}

/// `None` if it is not loaded, which the change says once its arguments are known to be good.
fn loaded(name: &Name) -> anyhow::Result<Option<Config>> {
    let Some(instance) = Instance::find(name)? else {
        return Ok(None);
    };
    instance.require_changeable()?;
    Ok(Some(instance.loaded()?.config()))
}
