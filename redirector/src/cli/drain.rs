//! What `unload --drain` and `run --drain` share.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::kernel::{Drain, Error, Live};

/// Between two looks at what is live.
pub const PAUSE: Duration = Duration::from_millis(200);

/// A drain under way.
pub struct Draining {
    drain: Drain,
    until: Instant,
    /// What was live at the first look.
    first: Option<Live>,
}

/// One line, with its newline, and a second one where more was cut than can be counted.
pub struct Report {
    name: String,
    ended: usize,
    left: Live,
}

impl Draining {
    pub fn new(drain: Drain, limit: Duration) -> Self {
        Self {
            drain,
            until: Instant::now() + limit,
            first: None,
        }
    }

    pub fn is_over(&mut self) -> Result<bool, Error> {
        let live = self.drain.look()?;
        self.first.get_or_insert(live);
        Ok(live == Live::default() || Instant::now() >= self.until)
    }

    /// One line, with its newline: what is waited for.
    pub fn begun(&self) -> String {
        let Live {
            connections,
            others,
        } = self.first.unwrap_or_default();
        let (noun, verb) = nouns(connections);
        let others = if others {
            ", and UDP or a container's connections may be"
        } else {
            ""
        };
        let name = self.drain.name();
        format!("draining instance \"{name}\": {connections} {noun} {verb} live{others}\n")
    }

    pub fn end(mut self) -> Result<(Drain, Report), Error> {
        let left = self.drain.look()?;
        let first = self.first.unwrap_or(left).connections;
        let report = Report {
            name: self.drain.name().to_string(),
            ended: first.saturating_sub(left.connections),
            left,
        };
        Ok((self.drain, report))
    }
}

fn nouns(connections: usize) -> (&'static str, &'static str) {
    match connections {
        1 => ("connection", "is"),
        _ => ("connections", "are"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ended, left } = self;
        let (noun, _) = nouns(*ended);
        let cut = left.connections;
        let were = if cut == 1 { "was" } else { "were" };
        writeln!(
            f,
            "drained instance \"{name}\": {ended} {noun} ended, {cut} {were} cut"
        )?;
        if left.others {
            writeln!(
                f,
                "UDP or a container's connections, which cannot be counted, were cut as well"
            )?;
        }
        Ok(())
    }
}
