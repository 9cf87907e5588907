use super::{args::Load, changes};
use crate::{exit::Exit, kernel};

const WORDS: changes::Words = changes::Words {
    unchanged: "is loaded already, with these rules and interfaces",
    done: "loaded",
};

pub fn run(args: Load) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    if args.dry_run {
        return changes::rehearse(&args.source, None, |config| {
            kernel::rehearse_load(name, config)
        });
    }
    let options = args.options.into();
    changes::make(name, &args.source, None, &WORDS, |config, netfilter| {
        kernel::load(name, config, options, netfilter)
    })
}
