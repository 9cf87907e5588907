use super::{args::Reload, changes};
use crate::{exit::Exit, kernel};

const WORDS: changes::Words = changes::Words {
    unchanged: "is as wanted already",
    done: "reloaded",
};

pub fn run(args: Reload) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    changes::make(
        name,
        &args.source,
        args.dry_run,
        &WORDS,
        |config, netfilter| kernel::reload(name, config, netfilter),
    )
}
