//! From an error to its line on standard error and its exit code, in one place.

use std::{
    error::Error,
    io::{self, Write},
};

use clap::error::ErrorKind;

use super::{
    args::IntervalError,
    dashboard::Refused,
    import::{ImportError, WriteError},
    print::PrintError,
    trace::{NoFlags, NoSuchRule},
    trace_filter::TraceFilterError,
};
use crate::{
    config::{self, NameError, RuleError},
    exit::Exit,
    import::running,
    kernel, tune,
};

/// Prints the error and its causes, and tells the exit code.
pub fn report(error: &anyhow::Error) -> Exit {
    let exit = exit_of(error);
    if exit != Exit::Done {
        complain(format_args!("{error:#}"));
    }
    exit
}

/// Prints what clap has to say: help and version too.
pub fn report_usage(error: &clap::Error) -> Exit {
    match own_words(error) {
        Some(message) => complain(format_args!("{message}")),
        // Standard output or standard error is closed: nobody is left to tell.
        None => _ = error.print(),
    }
    exit_of_usage(error)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(classify).unwrap_or(Exit::Failed)
}

fn exit_of_usage(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

/// The exit code that one error of the chain stands for.
fn classify(error: &(dyn Error + 'static)) -> Option<Exit> {
    let is_usage = error.is::<config::Error>()
        || error.is::<ImportError>()
        || error.is::<WriteError>()
        || error.is::<Refused>()
        || is_own(error);
    if is_usage {
        Some(Exit::Usage)
    } else if let Some(running::Error::NotPermitted) = error.downcast_ref() {
        Some(Exit::NotPermitted)
    } else if let Some(PrintError::Closed) = error.downcast_ref() {
        Some(Exit::Done)
    } else if let Some(error) = error.downcast_ref() {
        exit_of_tuning(error)
    } else {
        error.downcast_ref().and_then(exit_of_kernel)
    }
}

fn exit_of_tuning(error: &tune::Error) -> Option<Exit> {
    if error.is_usage() {
        Some(Exit::Usage)
    } else {
        error.is_permission().then_some(Exit::NotPermitted)
    }
}

fn exit_of_kernel(error: &kernel::Error) -> Option<Exit> {
    match error {
        kernel::Error::NotLoaded { .. } | kernel::Error::ClosedMeanwhile { .. } => {
            Some(Exit::NotLoaded)
        }
        error if error.is_permission() => Some(Exit::NotPermitted),
        _ => None,
    }
}

/// Our parsers name the word and the way out; clap's frame around them would only repeat it.
fn own_words(error: &clap::Error) -> Option<&(dyn Error + 'static)> {
    error.source().filter(|source| is_own(*source))
}

fn is_own(error: &(dyn Error + 'static)) -> bool {
    error.is::<RuleError>()
        || error.is::<NameError>()
        || error.is::<IntervalError>()
        || error.is::<kernel::PinModeError>()
        || matches!(error.downcast_ref(), Some(tune::Error::Unit(_)))
        || error.is::<TraceFilterError>()
        || error.is::<NoSuchRule>()
        || error.is::<NoFlags>()
}

fn complain(message: std::fmt::Arguments<'_>) {
    _ = writeln!(io::stderr().lock(), "error: {message}");
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use clap::Parser;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn exit_codes() {
        let rule = "80:0".parse::<config::RuleSpec>().unwrap_err();
        let file = config::Draft::new(&[], Some("/nonexistent/config.toml".as_ref())).unwrap_err();
        let closed = Err::<(), _>(PrintError::Closed)
            .context("flows")
            .unwrap_err();
        assert_eq!(exit_of(&rule.into()), Exit::Usage);
        assert_eq!(
            exit_of(&anyhow::Error::new(file).context("reload")),
            Exit::Usage
        );
        assert_eq!(exit_of(&closed), Exit::Done);
        assert_eq!(
            exit_of(&anyhow::anyhow!("the kernel refused")),
            Exit::Failed
        );
    }

    #[test]
    fn usage_exit_codes() {
        for (arguments, exit) in [
            (&["redirector"][..], Exit::Usage),
            (&["redirector", "--help"], Exit::Done),
            (&["redirector", "--version"], Exit::Done),
            (&["redirector", "load", "80:0"], Exit::Usage),
            (&["redirector", "lod"], Exit::Usage),
        ] {
            assert_eq!(
                exit_of_usage(&Cli::try_parse_from(arguments).unwrap_err()),
                exit
            );
        }
    }

    #[test]
    fn a_bad_rule_is_told_in_our_own_words() {
        let error = Cli::try_parse_from(["redirector", "load", "80:0"]).unwrap_err();
        let message = own_words(&error).unwrap().to_string();
        assert_eq!(
            message,
            "rule \"80:0\": port \"0\" is not between 1 and 65535"
        );
    }
}
