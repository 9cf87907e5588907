use super::{args::Reload, changes};
use crate::{
    config::{self, Config, Name},
    exit::Exit,
    kernel::{self, Error, Instance},
};

const WORDS: changes::Words = changes::Words {
    unchanged: "is as wanted already",
    done: "reloaded",
};

pub fn run(args: Reload) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    let loaded = loaded(name)?;
    let wanted = match changes::resolve(&args.source, loaded.as_ref()) {
        // What is loaded would have told.
        Err(error) if loaded.is_none() && is_of_the_host(&error) => {
            kernel::require_capabilities()?;
            return Err(Error::not_loaded(name).into());
        }
        resolved => resolved?,
    };
    if args.dry_run {
        return changes::rehearse(&wanted, |config| kernel::rehearse_reload(name, config));
    }
    changes::make(name, &wanted, &WORDS, |config, netfilter| {
        kernel::reload(name, config, netfilter)
    })
}

/// Whether only the interfaces of this host were missing, which nobody named.
fn is_of_the_host(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<config::Error>()
        .is_some_and(config::Error::is_no_default_route)
}

/// `None` if it is not loaded, which the change says once its arguments are known to be good, as far as this host
/// can tell.
fn loaded(name: &Name) -> anyhow::Result<Option<Config>> {
    let Some(instance) = Instance::find(name)? else {
        return Ok(None);
    };
    instance.require_changeable()?;
    Ok(Some(instance.loaded()?.config()))
}
