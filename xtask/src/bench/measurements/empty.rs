//! A program that does nothing, made here: what a run takes by itself.

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::SchedClassifier};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// `r0 = TC_ACT_UNSPEC; exit` (RFC 9669 sections 4.1 and 4.3).
const INSTRUCTIONS: [[u8; 8]; 2] = [
    [0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    [0x95, 0, 0, 0, 0, 0, 0, 0],
];
const NAME: &str = "nothing";

pub struct Empty(Ebpf);

impl Empty {
    pub fn load() -> Result<Self> {
        let mut loaded = Ebpf::load(&elf()?)?;
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

/// As a compiler writes it.
fn elf() -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.set_section_data(license, b"GPL\0".to_vec(), 1);
    let code = object.add_section(Vec::new(), b"classifier".to_vec(), SectionKind::Text);
    let size = size_of_val(&INSTRUCTIONS) as u64;
    object.set_section_data(code, INSTRUCTIONS.concat(), 8);
    object.add_symbol(Symbol {
        name: NAME.into(),
        value: 0,
        size,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(code),
        flags: SymbolFlags::None,
    });
    Ok(object.write()?)
}
