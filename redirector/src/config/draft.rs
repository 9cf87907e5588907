//! What was asked for, before this host is looked at.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    Config, Hook, Port, Protocol, RuleSpec, Tuning, XdpMode,
    error::{Error, Place, Problem, line_of},
    file,
    rule::Protocols,
    select::Absent,
};

/// Used where neither rules nor a file are named, if it exists.
pub const DEFAULT_FILE: &str = "/etc/redirector/config.toml";

const DEFAULT_RULES: [RuleSpec; 2] = [default_rule(80, 8000), default_rule(443, 4430)];

#[derive(Debug)]
pub struct Draft {
    pub(super) origin: Origin,
    /// Empty: none were named.
    pub(super) interfaces: Vec<Word>,
    /// What becomes of those that do not exist.
    pub(super) absent: Absent,
    pub(super) hook: Hook,
    pub(super) xdp_mode: Option<XdpMode>,
    pub(super) rules: Vec<DraftRule>,
    pub(super) tuning: Option<Tuning>,
    /// The file's text; spans point into it.
    text: String,
}

/// Where the rules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// 80:8000 and 443:4430.
    Defaults,
    CommandLine,
    File(PathBuf),
    /// What a reload found.
    Loaded,
}

#[derive(Debug)]
pub(super) struct DraftRule {
    pub spec: RuleSpec,
    /// Empty: every interface of the instance.
    pub interfaces: Vec<Word>,
    pub span: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
pub(super) struct Word {
    pub text: String,
    /// `None`: from the command line.
    pub span: Option<Range<usize>>,
}

impl Draft {
    /// The named rules, or the named file, or [`DEFAULT_FILE`], or the default rules.
    pub fn new(rules: &[RuleSpec], file: Option<&Path>) -> Result<Self, Error> {
        Self::with_default_file(rules, file, Path::new(DEFAULT_FILE))
    }

    /// The same for tuning, to which a file without rules may have something to say: the default rules stand
    /// in for them.
    pub fn for_tuning(rules: &[RuleSpec], file: Option<&Path>) -> Result<Self, Error> {
        let mut draft = Self::find(rules, file, Path::new(DEFAULT_FILE))?;
        if draft.rules.is_empty() && draft.tuning.is_some() {
            draft.rules = Self::defaults().rules;
            draft.origin = Origin::Defaults;
        }
        draft.require_rules()
    }

    /// Replaces the interfaces, unless the list is empty.
    pub fn interfaces(mut self, names: &[String]) -> Self {
        if !names.is_empty() {
            self.interfaces = words(names);
        }
        self
    }

    /// The interfaces of a configuration stand in where none were named: the names and patterns that were
    /// [wanted](Config::wanted) if there are any, else those that were attached.
    pub fn keep_interfaces(mut self, config: &Config) -> Self {
        if !self.interfaces.is_empty() {
            return self;
        }
        if config.wanted.is_empty() {
            self.interfaces = words(config.interfaces.iter().map(|each| &each.name));
            self.absent = Absent::Lost;
        } else {
            self.interfaces = words(&config.wanted);
            self.absent = Absent::Kept;
        }
        self
    }

    /// What is loaded stands in for what was not named: for the interfaces, and for the rules if there is
    /// no file either.
    pub fn keep(self, loaded: &Config) -> Self {
        let mut draft = self.keep_interfaces(loaded);
        if draft.origin == Origin::Defaults {
            let rules = loaded.rules.iter().map(|rule| DraftRule {
                spec: rule.into(),
                interfaces: words(rule.interfaces.iter().map(|each| &each.name)),
                span: None,
            });
            draft.rules = rules.collect();
            draft.origin = Origin::Loaded;
        }
        draft
    }

    /// Replaces the hook, if one is given. A mode of XDP that came with the other one goes with it.
    pub fn hook(mut self, hook: Option<Hook>) -> Self {
        let Some(hook) = hook else {
            return self;
        };
        self.hook = hook;
        if hook != Hook::Xdp {
            self.xdp_mode = None;
        }
        self
    }

    /// Replaces the mode, if one is given.
    pub fn xdp_mode(mut self, mode: Option<XdpMode>) -> Self {
        self.xdp_mode = mode.or(self.xdp_mode);
        self
    }

    pub(super) fn with_default_file(
        rules: &[RuleSpec],
        file: Option<&Path>,
        default_file: &Path,
    ) -> Result<Self, Error> {
        Self::find(rules, file, default_file)?.require_rules()
    }

    fn find(rules: &[RuleSpec], file: Option<&Path>, default_file: &Path) -> Result<Self, Error> {
        match (rules, file) {
            ([], Some(file)) => Self::read(file),
            ([], None) => match Self::read(default_file) {
                Err(error) if error.is_missing_file() => Ok(Self::defaults()),
                read => read,
            },
            (rules, None) => Ok(Self::from_rules(Origin::CommandLine, rules.to_vec())),
            (_, Some(_)) => Err(Error::new(Problem::RulesAndFile)),
        }
    }

    /// What a file holds; `path` is for the messages.
    pub fn parse(path: &Path, text: String) -> Result<Self, Error> {
        Self::of_file(path, text)?.require_rules()
    }

    fn of_file(path: &Path, text: String) -> Result<Self, Error> {
        let file::File {
            interfaces,
            hook,
            xdp_mode,
            rules,
            tuning,
        } = file::parse(path, &text)?;
        Ok(Self {
            origin: Origin::File(path.to_owned()),
            interfaces,
            absent: Absent::Refused,
            hook,
            xdp_mode,
            rules,
            tuning,
            text,
        })
    }

    fn require_rules(self) -> Result<Self, Error> {
        match &self.origin {
            Origin::File(path) if self.rules.is_empty() => {
                Err(Error::new(Problem::NoRules(path.clone())))
            }
            _ => Ok(self),
        }
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|error| {
            let path = path.to_owned();
            Error::new(Problem::Unreadable { path, error })
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let start = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let place = Place::new(path, &text, &(start..start));
            Error::at(place, Problem::Syntax("not UTF-8".to_owned()))
        })?;
        Self::of_file(path, text)
    }

    fn defaults() -> Self {
        Self::from_rules(Origin::Defaults, DEFAULT_RULES.to_vec())
    }

    fn from_rules(origin: Origin, rules: Vec<RuleSpec>) -> Self {
        let rules = rules
            .into_iter()
            .map(|spec| DraftRule {
                spec,
                interfaces: Vec::new(),
                span: None,
            })
            .collect();
        Self {
            origin,
            interfaces: Vec::new(),
            absent: Absent::Refused,
            hook: Hook::default(),
            xdp_mode: None,
            rules,
            tuning: None,
            text: String::new(),
        }
    }

    /// What the file has under `[tuning]`.
    pub fn tuning(&self) -> Option<&Tuning> {
        self.tuning.as_ref()
    }

    /// Whether somebody has named rules.
    pub fn has_own_rules(&self) -> bool {
        self.origin != Origin::Defaults
    }

    /// Where the rules lead, whichever interfaces there are.
    pub fn targets(&self) -> BTreeSet<(Protocol, Port)> {
        let mut targets = BTreeSet::new();
        for DraftRule { spec, .. } in &self.rules {
            targets.extend(spec.protocol.each().iter().map(|&each| (each, spec.to)));
        }
        targets
    }

    /// The problem, and the place of the span where it comes from a file.
    pub(super) fn error(&self, span: Option<&Range<usize>>, problem: Problem) -> Error {
        match (&self.origin, span) {
            (Origin::File(path), Some(span)) => {
                Error::at(Place::new(path, &self.text, span), problem)
            }
            _ => Error::new(problem),
        }
    }

    pub(super) fn line(&self, span: Option<&Range<usize>>) -> Option<usize> {
        span.map(|span| line_of(&self.text, span.start))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("the defaults"),
            Self::CommandLine => f.write_str("the command line"),
            Self::File(path) => path.display().fmt(f),
            Self::Loaded => f.write_str("what is loaded"),
        }
    }
}

fn words(names: impl IntoIterator<Item = impl ToString>) -> Vec<Word> {
    let words = names.into_iter().map(|name| Word {
        text: name.to_string(),
        span: None,
    });
    words.collect()
}

impl Error {
    fn is_missing_file(&self) -> bool {
        match &*self.problem {
            Problem::Unreadable { error, .. } => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

const fn default_rule(from: u16, to: u16) -> RuleSpec {
    match (Port::new(from), Port::new(to)) {
        (Some(from), Some(to)) => RuleSpec {
            protocol: Protocols::Tcp,
            address: None,
            from,
            to,
        },
        _ => panic!("a default port is 0"),
    }
}
