//! Which commands of a script run together, as far as its keywords tell.

/// Where a command stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Grows where another branch may begin, of which the earlier ones do not run.
    branch: usize,
    /// The open loops, conditions and functions around it.
    blocks: Vec<usize>,
    /// It depends on another command, or on what the shell fills in.
    pub may_run: bool,
}

impl Place {
    pub fn is_branch_of(&self, other: &Self) -> bool {
        self.branch == other.branch
    }

    /// Whether this command runs wherever the other one has.
    pub fn surely_follows(&self, other: &Self) -> bool {
        self.is_branch_of(other) && !self.may_run && other.blocks.starts_with(&self.blocks)
    }

    /// Whether both run or none.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.surely_follows(other) && other.surely_follows(self)
    }
}

#[derive(Debug, Default)]
pub struct Flow {
    branch: usize,
    blocks: Vec<usize>,
    /// Blocks that have begun.
    count: usize,
}

impl Flow {
    pub fn begin(&mut self, line: &str) {
        let mut words = line.split([' ', '\t', ';']);
        // Of `if`, or behind a function.
        self.branch += usize::from(words.any(|word| matches!(word, "else" | "elif" | "}")));
        for part in line.split(';') {
            match part.split_whitespace().next() {
                Some("if" | "for" | "while" | "until" | "case") => self.open(),
                Some("fi" | "done" | "esac" | "}") => _ = self.blocks.pop(),
                _ => {}
            }
        }
        if line.ends_with('{') {
            self.open();
        }
    }

    pub fn end(&mut self, line: &str) {
        // Of `case`.
        self.branch += usize::from(line.ends_with(";;"));
    }

    pub fn place(&self, may_run: bool) -> Place {
        Place {
            branch: self.branch,
            blocks: self.blocks.clone(),
            may_run,
        }
    }

    fn open(&mut self) {
        self.count += 1;
        self.blocks.push(self.count);
    }
}
