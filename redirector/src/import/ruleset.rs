//! The chains of the table nat as the commands of a text build them, one after the other.

use super::{
    change::{Change, Verb},
    flow::Place,
    model::{Action, Families, Kind, Listing},
    save,
};

pub const NO_RULE: &str = "it adds no rule";

#[derive(Debug, Default)]
pub struct Ruleset {
    /// Of every chain, each in its order.
    added: Vec<Added>,
    /// Lines whose rule is gone, and why.
    gone: Vec<(usize, String)>,
    /// Chains that were empty; every chain of a table where there is no name.
    emptied: Vec<(Families, Option<String>, Place)>,
}

#[derive(Debug)]
struct Added {
    number: usize,
    change: Change,
    place: Place,
    /// Why it may not be what the text ends with.
    doubt: Option<String>,
}

impl Ruleset {
    pub fn change(
        &mut self,
        number: usize,
        change: Change,
        place: Place,
        doubt: Option<String>,
    ) -> Kind {
        match change.verb {
            Verb::Append | Verb::Insert(_) => self.add(number, change, place, doubt),
            Verb::Delete => self.delete(number, &change, place),
            Verb::DeleteAt(at) => match self.nth(&change, at, &place) {
                Some(found) => self.undo(number, &place, found),
                None => {
                    self.doubt(&change, &place, &unknown(number, "deletes"));
                    Kind::Left(
                        "it deletes a rule by a number that this text does not explain".into(),
                    )
                }
            },
            Verb::Replace(at) => self.replace(number, at, change, place, doubt),
            Verb::Flush | Verb::FlushTable => self.flush(number, change, place),
            Verb::New => {
                self.empty(change, place);
                Kind::Left(NO_RULE.into())
            }
        }
    }

    pub fn build(self, listing: &mut Listing) {
        for added in &self.added {
            let mut rules = added.change.rules(added.number);
            if let Some(why) = &added.doubt {
                let is_target =
                    |word: &String| matches!(word.as_str(), "-j" | "--jump" | "-g" | "--goto");
                let has_target = added.change.rule.iter().any(is_target);
                for rule in &mut rules {
                    rule.refuse(why);
                    // Its target may be in what the shell fills in.
                    if rule.action == Action::Nothing && !has_target {
                        rule.action = Action::Pass;
                    }
                }
            }
            save::chain(listing, &added.change.chain, added.change.families)
                .rules
                .extend(rules);
        }
        for (number, why) in self.gone {
            let mut lines = listing.lines.iter_mut();
            if let Some(line) = lines.find(|line| line.number == number)
                && line.kind == Kind::Rule
            {
                line.kind = Kind::Left(why);
            }
        }
    }

    fn add(&mut self, number: usize, change: Change, place: Place, doubt: Option<String>) -> Kind {
        let at = match change.verb {
            Verb::Insert(before) => self
                .of_chain(&change)
                .nth(before.saturating_sub(1))
                .unwrap_or(self.added.len()),
            _ => self.added.len(),
        };
        self.put(at, number, change, place, doubt)
    }

    fn put(
        &mut self,
        at: usize,
        number: usize,
        change: Change,
        place: Place,
        doubt: Option<String>,
    ) -> Kind {
        let rules = change.rules(number);
        let added = Added {
            number,
            change,
            place,
            doubt,
        };
        self.added.insert(at, added);
        save::kind(&rules.iter().map(|rule| &rule.action).collect::<Vec<_>>())
    }

    fn replace(
        &mut self,
        number: usize,
        at: Option<usize>,
        change: Change,
        place: Place,
        doubt: Option<String>,
    ) -> Kind {
        let Some(found) = self.nth(&change, at, &place) else {
            let why = unknown(number, "replaces");
            self.doubt(&change, &place, &why);
            let why = "it replaces a rule by a number that this text does not explain";
            return self.put(
                self.added.len(),
                number,
                change,
                place,
                Some(why.to_owned()),
            );
        };
        let Some(index) = found else {
            return Kind::Left(NO_RULE.into());
        };
        let old = self.added.remove(index);
        self.gone
            .push((old.number, format!("line {number} replaces it")));
        self.put(index, number, change, place, doubt)
    }

    fn flush(&mut self, number: usize, change: Change, place: Place) -> Kind {
        let is_meant = |added: &Added| match change.verb {
            Verb::FlushTable => added.change.families == change.families,
            _ => added.change.is_beside(&change),
        };
        let found: Vec<_> = (0..self.added.len())
            .rev()
            .filter(|&index| is_meant(&self.added[index]))
            .filter(|&index| self.added[index].place.is_branch_of(&place))
            .collect();
        let kind = self.undo(number, &place, found);
        self.empty(change, place);
        kind
    }

    fn empty(&mut self, change: Change, place: Place) {
        let chain = (change.verb != Verb::FlushTable).then_some(change.chain);
        self.emptied.push((change.families, chain, place));
    }

    /// Those of these, the last first, that the command of a line deletes.
    fn undo(
        &mut self,
        number: usize,
        place: &Place,
        found: impl IntoIterator<Item = usize>,
    ) -> Kind {
        let mut lines = Vec::new();
        for index in found {
            let added = &mut self.added[index];
            lines.push(added.number);
            if place.surely_follows(&added.place) {
                self.gone
                    .push((added.number, format!("line {number} deletes it again")));
                self.added.remove(index);
            } else {
                added.doubt = Some(format!("line {number} may delete it again"));
            }
        }
        lines.sort_unstable();
        lines.dedup();
        Kind::Left(match lines[..] {
            [] => NO_RULE.to_owned(),
            [line] if line == number => "it deletes what it adds".to_owned(),
            [line] => format!("it deletes what line {line} adds"),
            _ => {
                let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
                format!("it deletes what the lines {} add", lines.join(", "))
            }
        })
    }

    /// The rule that a specification means. Where it is only written in another way, it may be another rule.
    fn delete(&mut self, number: usize, change: &Change, mut place: Place) -> Kind {
        let find = |is_it: &dyn Fn(&Change) -> bool| {
            let mut added = self.added.iter();
            added.position(|added| added.place.is_branch_of(&place) && is_it(&added.change))
        };
        let mut found = find(&|added| added.is_of(change));
        if found.is_none() {
            let rules = change.rules(0);
            found = find(&|added| added.is_beside(change) && added.rules(0) == rules);
            place.may_run = true;
        }
        self.undo(number, &place, found)
    }

    /// `None`: it is not known which rule has that number; `Some(None)`: none has.
    fn nth(&self, change: &Change, at: Option<usize>, place: &Place) -> Option<Option<usize>> {
        let was_empty = self.emptied.iter().any(|(families, chain, emptied)| {
            *families == change.families
                && chain.as_ref().is_none_or(|chain| *chain == change.chain)
                && emptied.is_beside(place)
        });
        let is_sure = |index: usize| {
            let added = &self.added[index];
            added.doubt.is_none() && added.place.is_beside(place) && !added.change.is_several()
        };
        let at = at?.checked_sub(1)?;
        (was_empty && self.of_chain(change).all(is_sure)).then(|| self.of_chain(change).nth(at))
    }

    fn of_chain<'a>(&'a self, change: &'a Change) -> impl Iterator<Item = usize> + 'a {
        (0..self.added.len()).filter(|&index| self.added[index].change.is_beside(change))
    }

    fn doubt(&mut self, change: &Change, place: &Place, why: &str) {
        for added in &mut self.added {
            if added.place.is_branch_of(place) && added.change.is_beside(change) {
                added.doubt = Some(why.to_owned());
            }
        }
    }
}

fn unknown(number: usize, verb: &str) -> String {
    format!("line {number} {verb} a rule of its chain by a number that this text does not explain")
}
