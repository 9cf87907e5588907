use super::{args::Load, changes, tune};
use crate::{exit::Exit, kernel};

const WORDS: changes::Words = changes::Words {
    unchanged: "is loaded already, with these rules and interfaces",
    done: "loaded",
};

pub fn run(args: Load) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    let wanted = changes::resolve(&args.source, None)?;
    let tuning = tune::of_load(args.tune, &wanted);
    if let Some(request) = &tuning {
        request.validate()?;
    }
    if args.dry_run {
        let exit = changes::rehearse(&wanted, |config| kernel::rehearse_load(name, config))?;
        return tuning.map_or(Ok(exit), |request| tune::rehearse(&request));
    }
    let level = args.log_level.into();
    let exit = changes::make(name, &wanted, &WORDS, |config, netfilter| {
        kernel::load(name, config, level, netfilter)
    })?;
    tuning.map_or(Ok(exit), |request| tune::finish_load(&request))
}
