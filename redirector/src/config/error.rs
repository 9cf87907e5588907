//! What can be wrong with a configuration, and where in the file it is wrong.

use std::{fmt, io, ops::Range, path::PathBuf};

use super::{
    MAX_INTERFACES, MAX_RULES, RuleSpec, rule::Fault, selector::SelectorError,
    suggest::did_you_mean, tuning,
};

/// Bad input: one line, and the line of the file where there is one.
#[derive(Debug)]
pub struct Error {
    pub problem: Box<Problem>,
    pub place: Option<Box<Place>>,
}

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Syntax(String),
    #[error("{0}")]
    Rule(#[from] Fault),
    #[error("{0}")]
    Tuning(#[from] tuning::Fault),
    #[error(
        "rules on the command line and --config exclude each other; \
         name the rules in one place"
    )]
    RulesAndFile,
    #[error("{}: no [[redirect]], so there is nothing to redirect", .0.display())]
    NoRules(PathBuf),
    #[error("the list of interfaces is empty; name at least one, or leave the key out")]
    NoInterfaces,
    #[error(
        "interface {name:?} does not exist{hint}{host}",
        hint = did_you_mean(name, .host.interfaces())
    )]
    UnknownInterface { name: String, host: Existing },
    #[error("{0}")]
    Selector(#[from] SelectorError),
    #[error(
        "no interface matches {pattern}{host}; `redirector run` waits for one, `load` does not"
    )]
    Unmatched { pattern: String, host: Existing },
    #[error(
        "interface {name:?}, which is loaded, no longer exists; \
         name those to stay with -i{host}"
    )]
    LoadedInterface { name: String, host: Existing },
    #[error(
        "interface \"eth0\" does not exist, and there is no default route to choose another by; \
         name one with -i{0}"
    )]
    NoDefaultRoute(Existing),
    #[error(
        "rule {rule} is for interface {name:?}, which this instance does not use ({instance}); \
         add it to the instance's interfaces"
    )]
    ForeignInterface {
        rule: RuleSpec,
        name: String,
        instance: String,
    },
    #[error("a mode of XDP needs --hook xdp (in a file, hook = \"xdp\")")]
    ModeWithoutXdp,
    #[error("rule {rule} repeats {first}; leave one out")]
    Duplicate { rule: RuleSpec, first: Earlier },
    #[error("rule {rule} contradicts {first}: a port has one target; leave one out")]
    Contradiction { rule: RuleSpec, first: Earlier },
    #[error(
        "{0} rules are more than the {MAX_RULES} an instance can hold \
         (a rule counts once for each protocol and each interface it names)"
    )]
    TooManyRules(usize),
    #[error(
        "{0} interfaces are more than the {MAX_INTERFACES} an instance can hold; \
         name fewer, or a pattern that matches fewer"
    )]
    TooManyInterfaces(usize),
}

/// The first of two rules that cannot stand together.
#[derive(Debug)]
pub struct Earlier {
    pub rule: RuleSpec,
    pub line: Option<usize>,
}

/// The interfaces to choose from.
#[derive(Debug)]
pub struct Existing {
    pub names: Vec<String>,
    pub default_route: Option<String>,
}

/// Lines and columns count from 1, columns in characters.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    line: usize,
    column: usize,
    text: String,
    width: usize,
}

impl Error {
    pub fn new(problem: impl Into<Problem>) -> Self {
        Self {
            problem: Box::new(problem.into()),
            place: None,
        }
    }

    pub fn at(place: Place, problem: impl Into<Problem>) -> Self {
        Self {
            problem: Box::new(problem.into()),
            place: Some(Box::new(place)),
        }
    }

    /// Whether there is no interface to choose where none was named.
    pub fn is_no_default_route(&self) -> bool {
        matches!(*self.problem, Problem::NoDefaultRoute(_))
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => {
                write!(
                    f,
                    "{}:{}:{}: ",
                    place.path.display(),
                    place.line,
                    place.column
                )?;
                write!(f, "{}\n{place}", self.problem)
            }
            None => self.problem.fmt(f),
        }
    }
}

impl Place {
    pub fn new(path: impl Into<PathBuf>, source: &str, span: &Range<usize>) -> Self {
        let start = source.floor_char_boundary(span.start);
        let end = source.floor_char_boundary(span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let text = source[line_start..].lines().next().unwrap_or_default();
        let marked = source[start..end].lines().next().unwrap_or_default();
        Self {
            path: path.into(),
            line: line_of(source, start),
            column: source[line_start..start].chars().count() + 1,
            text: text.to_owned(),
            width: marked.chars().count().max(1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.to_string();
        let gutter = " ".repeat(line.len());
        // A tab stays a tab, so that the caret stands under its word at every tab width.
        let indent: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {}", self.text)?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(self.width))
    }
}

impl fmt::Display for Earlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)?;
        match self.line {
            Some(line) => write!(f, " of line {line}"),
            None => Ok(()),
        }
    }
}

impl Existing {
    fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl fmt::Display for Existing {
    /// ` (there are: eth0, lo; the default route uses eth0)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        let shown: Vec<_> = self.interfaces().take(SHOWN).collect();
        write!(f, " (there are: {}", shown.join(", "))?;
        if self.names.len() > SHOWN {
            write!(f, " and {} more", self.names.len() - SHOWN)?;
        }
        if let Some(interface) = &self.default_route {
            write!(f, "; the default route uses {interface}")?;
        }
        f.write_str(")")
    }
}

pub fn line_of(source: &str, offset: usize) -> usize {
    source.as_bytes()[..offset]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}
