use super::{args::Reload, changes};
use crate::{exit::Exit, kernel};

const WORDS: changes::Words = changes::Words {
    unchanged: "is as wanted already",
    done: "reloaded",
};

pub fn run(args: Reload) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    if args.dry_run {
        return changes::rehearse(&args.source, |config| kernel::rehearse_reload(name, config));
    }
    changes::make(name, &args.source, &WORDS, |config, netfilter| {
        kernel::reload(name, config, netfilter)
    })
}
