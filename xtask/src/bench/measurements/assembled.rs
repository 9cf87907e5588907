//! Programs of a few instructions, made here.

use anyhow::Result;
use aya::Ebpf;
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// An instruction of BPF (RFC 9669 section 3).
pub type Instruction = [u8; 8];

pub const EXIT: Instruction = [0x95, 0, 0, 0, 0, 0, 0, 0];

/// `register = value` (RFC 9669 section 4.1).
pub const fn set(register: u8, value: u32) -> Instruction {
    let [a, b, c, d] = value.to_le_bytes();
    [0xb7, register, 0, 0, a, b, c, d]
}

/// Loads what a compiler would have written: one program in the section that says its kind.
pub fn load(section: &str, name: &str, instructions: &[Instruction]) -> Result<Ebpf> {
    Ok(Ebpf::load(&elf(section, name, instructions)?)?)
}

fn elf(section: &str, name: &str, instructions: &[Instruction]) -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.set_section_data(license, b"GPL\0".to_vec(), 1);
    let code = object.add_section(Vec::new(), section.into(), SectionKind::Text);
    object.set_section_data(code, instructions.concat(), 8);
    object.add_symbol(Symbol {
        name: name.into(),
        value: 0,
        size: size_of_val(instructions) as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(code),
        flags: SymbolFlags::None,
    });
    Ok(object.write()?)
}
