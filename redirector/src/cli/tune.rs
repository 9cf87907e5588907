//! `redirector tune`, and the same at the end of a load.

use super::{
    args::{Tune, TuneApply, TuneCheck, TuneExport, TuneRevert, TuneVerb, TuneWanted},
    print,
};
use crate::{
    config::{Config, Draft, Resolved, Tuning},
    exit::Exit,
    kernel::Instance,
    output,
    tune::{self, Request, Targets, Tuned},
};

pub fn run(args: Tune) -> anyhow::Result<Exit> {
    match args.verb {
        TuneVerb::Check(args) => check(&args),
        TuneVerb::Apply(args) => apply(&args),
        TuneVerb::Revert(args) => revert(&args),
        TuneVerb::Export(args) => export(&args),
    }
}

/// What a load asks for, if it does: by its option, or by a file that has the section.
pub fn of_load(asked: bool, wanted: &Resolved) -> Option<Request> {
    let tuning = wanted
        .tuning
        .clone()
        .or_else(|| asked.then(Tuning::default))?;
    Some(Request {
        tuning,
        targets: targets(&wanted.config),
        unit: None,
    })
}

/// The same for what goes on while interfaces come and go.
pub fn of_draft(asked: bool, draft: &Draft) -> Option<Request> {
    let tuning = draft
        .tuning()
        .cloned()
        .or_else(|| asked.then(Tuning::default))?;
    Some(Request {
        tuning,
        targets: draft.targets(),
        unit: None,
    })
}

/// What would be tuned at the end of a load.
pub fn rehearse(request: &Request) -> anyhow::Result<Exit> {
    tell(&tune::rehearse(request, false)?, true)?;
    Ok(Exit::Done)
}

/// What is loaded stays, whatever comes of this.
pub fn finish_load(request: &Request) -> anyhow::Result<Exit> {
    match tune::apply(request, false) {
        Ok(tuned) => {
            print("\n")?;
            tell(&tuned, false)?;
            Ok(match tuned.has_failed() {
                true => Exit::Degraded,
                false => Exit::Done,
            })
        }
        Err(error) => {
            eprintln!(
                "warning: loaded, but not tuned: {:#}",
                anyhow::Error::new(error)
            );
            Ok(Exit::Degraded)
        }
    }
}

/// The same for what goes on and has no tables: a line for each thing that is worth one.
pub fn lines(request: &Request) -> Vec<String> {
    match tune::apply(request, false) {
        Ok(tuned) => output::tune::lines(&tuned),
        Err(error) => vec![format!(
            "warning: not tuned: {:#}",
            anyhow::Error::new(error)
        )],
    }
}

fn tell(tuned: &Tuned, dry_run: bool) -> anyhow::Result<()> {
    print(output::tune::tuned(tuned, dry_run))?;
    for note in &tuned.notes {
        eprintln!("note: {note}");
    }
    Ok(())
}

fn check(args: &TuneCheck) -> anyhow::Result<Exit> {
    let report = tune::check(&request(&args.wanted)?)?;
    if args.json.enabled {
        let document = output::tune::check::Document::new(&report);
        print(output::json(&document)?)?;
        return Ok(Exit::Done);
    }
    print(output::tune::check::text(&report))?;
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    Ok(Exit::Done)
}

fn apply(args: &TuneApply) -> anyhow::Result<Exit> {
    let request = request(&args.wanted)?;
    let tuned = match args.dry_run {
        true => tune::rehearse(&request, args.permanent)?,
        false => tune::apply(&request, args.permanent)?,
    };
    tell(&tuned, args.dry_run)?;
    if request.unit.is_some() && !args.permanent {
        eprintln!("note: --unit is for the file that --permanent writes");
    }
    Ok(if args.dry_run {
        Exit::Done
    } else if tuned.is_denied() {
        Exit::NotPermitted
    } else if tuned.has_failed() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn revert(args: &TuneRevert) -> anyhow::Result<Exit> {
    let reverted = match args.dry_run {
        true => tune::rehearse_revert()?,
        false => tune::revert()?,
    };
    print(output::tune::revert::text(&reverted, args.dry_run))?;
    for note in &reverted.notes {
        eprintln!("note: {note}");
    }
    if let Some(error) = reverted.unsaved {
        return Err(anyhow::Error::new(error).context(
            "what was taken back stays in the journal until `redirector tune revert` can clear that",
        ));
    }
    Ok(if reverted.is_denied() {
        Exit::NotPermitted
    } else if reverted.has_failed() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn export(args: &TuneExport) -> anyhow::Result<Exit> {
    let (files, notes) = tune::export(&request(&args.wanted)?)?;
    print(output::tune::exported(&files))?;
    for note in notes {
        eprintln!("note: {note}");
    }
    Ok(Exit::Done)
}

/// The rules of the command line or of the file, else what is loaded, else those of the default file, else
/// the default ones.
fn request(args: &TuneWanted) -> anyhow::Result<Request> {
    let draft = Draft::for_tuning(&args.rules, args.config.as_deref())?;
    let mut tuning = draft.tuning().cloned().unwrap_or_default();
    tuning.exact |= args.exact;
    let names_file = args.config.is_some() && draft.has_own_rules();
    let is_named = !args.rules.is_empty() || names_file;
    let loaded = if is_named { None } else { loaded(args)? };
    Ok(Request {
        tuning,
        targets: match loaded {
            Some(config) => config
                .rules
                .iter()
                .map(|rule| (rule.protocol, rule.to))
                .collect(),
            None => draft.targets(),
        },
        unit: args.unit.clone(),
    })
}

fn targets(config: &Config) -> Targets {
    let rules = config.rules.iter();
    rules.map(|rule| (rule.protocol, rule.to)).collect()
}

fn loaded(args: &TuneWanted) -> anyhow::Result<Option<Config>> {
    let name = &args.instance.name;
    let instance = match Instance::find(name) {
        // Reading is for everybody: then the file's rules have to do.
        Err(error) if error.is_permission() => {
            eprintln!("note: whether instance \"{name}\" is loaded may not be read: {error}");
            None
        }
        found => found?,
    };
    let Some(instance) = instance else {
        return Ok(None);
    };
    instance.require_namespace()?;
    Ok(Some(instance.loaded()?.config()))
}
