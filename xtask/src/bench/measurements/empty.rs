//! A program that does nothing: what a run takes by itself.

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::SchedClassifier};

use super::assembled::{EXIT, load, set};

const NAME: &str = "nothing";
const TC_ACT_UNSPEC: u32 = u32::MAX;

pub struct Empty(Ebpf);

impl Empty {
    pub fn load() -> Result<Self> {
        let mut loaded = load("classifier", NAME, &[set(0, TC_ACT_UNSPEC), EXIT])?;
        let program: &mut SchedClassifier =
            loaded.program_mut(NAME).context("no program")?.try_into()?;
        program.load()?;
        Ok(Self(loaded))
    }

    pub fn classifier(&self) -> Result<&SchedClassifier> {
        let program = self.0.program(NAME).context("no program")?;
        Ok(program.try_into()?)
    }
}
