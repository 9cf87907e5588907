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
    /// Connections at the first look.
    first: Option<usize>,
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
        self.first.get_or_insert(live.connections);
        Ok(live == Live::default() || Instant::now() >= self.until)
    }

    pub fn end(mut self) -> Result<(Drain, Report), Error> {
        let left = self.drain.look()?;
        let first = self.first.unwrap_or(left.connections);
        let report = Report {
            name: self.drain.name().to_string(),
            ended: first.saturating_sub(left.connections),
            left,
        };
        Ok((self.drain, report))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ended, left } = self;
        let noun = if *ended == 1 {
            "connection"
        } else {
            "connections"
        };
        let were = if left.connections == 1 { "was" } else { "were" };
        let cut = left.connections;
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
