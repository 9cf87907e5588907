//! What `stats` tells of accept queues beside the counters of an instance.

use crate::{
    config::{Name, Rule},
    kernel::Instance,
    output::{listeners, stats::Document},
    stats::listeners::{Bounds, Listening},
    tune,
};

/// The last look at them.
pub struct Backlogs {
    bounds: Bounds,
    /// `None` for an instance of another network namespace, and where the kernel does not tell.
    last: Option<Listening>,
    said: bool,
}

impl Backlogs {
    pub fn new() -> Self {
        Self {
            bounds: tune::bounds(),
            last: None,
            said: false,
        }
    }

    /// Rates are those since the look before. That the kernel does not tell is said once.
    pub fn look<'a>(
        &mut self,
        name: &Name,
        rules: impl IntoIterator<Item = &'a Rule>,
    ) -> anyhow::Result<()> {
        let before = self.last.take();
        if !Instance::open(name)?.is_here() {
            return Ok(());
        }
        match Listening::read(rules, &self.bounds, before.as_ref()) {
            Ok(listening) => self.last = Some(listening),
            Err(error) if !self.said => {
                self.said = true;
                eprintln!("note: backlogs cannot be read: {error}");
            }
            Err(_) => {}
        }
        Ok(())
    }

    pub fn add_to(&self, document: Document) -> Document {
        match &self.last {
            Some(last) => document.listening(listeners::Document::new(last, &self.bounds)),
            None => document,
        }
    }

    /// Behind the text of the counters.
    pub fn text(&self) -> String {
        let Some(last) = &self.last else {
            return String::new();
        };
        let mut text = "\n".to_owned() + &listeners::text(last);
        for hint in last.hints(&self.bounds) {
            text += &format!("{hint}\n");
        }
        text
    }
}
