//! What a file says of itself if it is a program, whatever its name: the machine that it is for, and how many bytes only a debugger reads
//! (sections with DWARF, and the table of symbols with its names). Of a file that passes by, or that lies in a tar, only a few pieces are
//! looked at: the header, the table of sections, and their names. Unaware of images.

mod outline;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader};

pub use outline::{Outline, Passing};

/// What the names of sections with DWARF begin with.
const DWARF: [&[u8]; 3] = [b".debug_", b".zdebug_", b".gdb_index"];

/// Architectures in the words of images: `e_machine`, whether it is little-endian, and whether it has 64 bits.
const MACHINES: [(&str, elf::Machine, bool, bool); 9] = [
    ("amd64", elf::EM_X86_64, true, true),
    ("386", elf::EM_386, true, false),
    ("arm64", elf::EM_AARCH64, true, true),
    ("arm", elf::EM_ARM, true, false),
    ("riscv64", elf::EM_RISCV, true, true),
    ("ppc64le", elf::EM_PPC64, true, true),
    ("s390x", elf::EM_S390, false, true),
    ("loong64", elf::EM_LOONGARCH, true, true),
    ("mips64le", elf::EM_MIPS, true, true),
];

/// An ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The architecture that executes it, in the words of images; `None` for one that images have no word for.
    pub machine: Option<&'static str>,
    /// Whether it can be executed or loaded, which an object file cannot.
    pub is_linked: bool,
    /// Bytes of the sections that `strip` takes away; relocatable objects need their symbols.
    pub debug_info: u64,
}

/// What the pieces of a file of `size` bytes tell, the first of which is its header; `None` where that is cut off.
fn program(outline: &Outline, header: &[u8], size: u64) -> Option<Program> {
    let (is_wide, is_little) = (outline.is_wide(), *header.get(5)? == elf::ELFDATA2LSB.0);
    let half = |at: usize| {
        let bytes = [*header.get(at)?, *header.get(at + 1)?];
        Some(match is_little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    };
    let (kind, number) = (elf::FileType(half(16)?), elf::Machine(half(18)?));
    let known = MACHINES.iter().find(|(_, machine, little, wide)| {
        (*machine, *little, *wide) == (number, is_little, is_wide)
    });
    let is_linked = !matches!(kind, elf::ET_REL | elf::ET_CORE);
    let debug_info = match is_wide {
        true => debug_info::<elf::FileHeader64<Endianness>>(outline, is_linked),
        false => debug_info::<elf::FileHeader32<Endianness>>(outline, is_linked),
    };
    Some(Program {
        machine: known.map(|(name, ..)| *name),
        is_linked,
        // a table that is damaged tells nothing, and sections of a hostile file may overlap
        debug_info: debug_info.unwrap_or_default().min(size),
    })
}

fn debug_info<E: FileHeader<Endian = Endianness>>(
    outline: &Outline,
    is_linked: bool,
) -> object::Result<u64> {
    let header = E::parse(outline)?;
    let endian = header.endian()?;
    let table = header.section_headers(endian, outline)?;
    // what has no names that can be read still has types
    let names = header.section_strings(endian, outline, table).ok();
    let is_dwarf = |section: &E::SectionHeader| {
        let name = names.and_then(|names| section.name(endian, names).ok());
        name.is_some_and(|name| DWARF.iter().any(|known| name.starts_with(known)))
    };
    let size = |section: &E::SectionHeader| -> u64 { section.sh_size(endian).into() };
    let sizes = table.iter().map(|section| match section.sh_type(endian) {
        elf::SHT_NOBITS | elf::SHT_NULL => 0,
        elf::SHT_SYMTAB if is_linked => {
            let strings = table.get(section.sh_link(endian) as usize);
            size(section).saturating_add(strings.map_or(0, size))
        }
        _ if is_dwarf(section) => size(section),
        _ => 0,
    });
    Ok(sizes.fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests;
