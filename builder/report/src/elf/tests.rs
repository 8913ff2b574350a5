//! Small programs made here: what passes by in pieces of any size says what a file that lies somewhere says.

use super::{Outline, Passing};
use proptest::prelude::*;

/// A section: its name, its type and its bytes.
type Section<'a> = (&'a str, u32, usize);

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;

/// A row of the table: its name's place, type, offset, size and link.
fn row(name: u64, kind: u32, at: usize, size: usize, link: u64) -> [u64; 10] {
    let (kind, at, size) = (kind.into(), at as u64, size as u64);
    [name, kind, 0, 0, at, size, link, 0, 1, 0]
}

/// A program of 64 bits, little-endian, of the type (2 is linked, 1 is not). The table stands at the end, or before the sections.
fn program(kind: u16, sections: &[Section<'_>], is_first: bool) -> Vec<u8> {
    let mut names = vec![0];
    let mut table = vec![[0_u64; 10]];
    let count = sections.len() + 2;
    let start = 64 + if is_first { count * 64 } else { 0 };
    let mut content = Vec::new();
    let mut add = |name: &str, kind: u32, bytes: &[u8], size: usize, link: u64| {
        let at = names.len() as u64;
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        table.push(row(at, kind, start + content.len(), size, link));
        content.extend_from_slice(bytes);
    };
    for (at, (name, kind, size)) in sections.iter().enumerate() {
        let bytes = vec![b'x'; if *kind == NOBITS { 0 } else { *size }];
        // the section behind a symbol table has its names
        add(name, *kind, &bytes, *size, at as u64 + 2);
    }
    let all = [&names[..], b".shstrtab\0"].concat();
    let at = names.len() as u64;
    table.push(row(at, STRTAB, start + content.len(), all.len(), 0));
    content.extend_from_slice(&all);
    let shoff = if is_first {
        64
    } else {
        (64 + content.len()) as u64
    };
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&62_u16.to_le_bytes());
    file.extend_from_slice(&1_u32.to_le_bytes());
    file.extend(
        [0, 0, shoff]
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes()),
    );
    file.extend_from_slice(&0_u32.to_le_bytes());
    let halves = [64, 0, 0, 64, count as u16, count as u16 - 1];
    file.extend(halves.iter().flat_map(|half: &u16| half.to_le_bytes()));
    let table = table.iter().flat_map(section);
    match is_first {
        true => file.into_iter().chain(table).chain(content).collect(),
        false => file.into_iter().chain(content).chain(table).collect(),
    }
}

/// An entry of the table.
fn section(fields: &[u64; 10]) -> Vec<u8> {
    let mut entry = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        match at {
            0 | 1 | 6 | 7 => entry.extend_from_slice(&(*field as u32).to_le_bytes()),
            _ => entry.extend_from_slice(&field.to_le_bytes()),
        }
    }
    entry
}

fn lying(file: &[u8]) -> u64 {
    let mut outline = Outline::new(file.len() as u64);
    while let Some(range) = outline.wanted() {
        let bytes = &file[range.start as usize..range.end as usize];
        outline.add(range.start, bytes.to_vec());
    }
    outline.program().map_or(0, |program| program.debug_info)
}

fn passing(file: &[u8], piece: usize) -> u64 {
    let mut passing = Passing::new(file.len() as u64);
    file.chunks(piece).for_each(|piece| passing.see(piece));
    passing.program().map_or(0, |program| program.debug_info)
}

const SECTIONS: [Section<'_>; 6] = [
    (".text", PROGBITS, 300_000),
    (".bss", NOBITS, 1_000_000),
    (".debug_info", PROGBITS, 5000),
    (".zdebug_line", PROGBITS, 70),
    (".symtab", SYMTAB, 240),
    (".strtab", STRTAB, 100),
];

#[test]
fn what_strip_takes_away_is_counted() {
    for is_first in [false, true] {
        let linked = program(2, &SECTIONS, is_first);
        assert_eq!(lying(&linked), 5000 + 70 + 240 + 100);
        // an object needs its symbols
        assert_eq!(lying(&program(1, &SECTIONS, is_first)), 5000 + 70);
        assert_eq!(lying(&program(2, &SECTIONS[..2], is_first)), 0);
        for piece in [1000, 64 << 10, 1 << 20] {
            assert_eq!(passing(&linked, piece), 5410, "{piece}");
        }
    }
    assert_eq!(lying(b"#!/bin/sh\n"), 0);
    assert_eq!(lying(&[0; 4096]), 0);
}

#[test]
fn the_machine_is_read_from_the_header() {
    let machine = |class: u8, data: u8, machine: u16| {
        let mut file = program(2, &SECTIONS, false);
        (file[4], file[5]) = (class, data);
        let bytes = if data == 1 {
            machine.to_le_bytes()
        } else {
            machine.to_be_bytes()
        };
        file[18..20].copy_from_slice(&bytes);
        let mut passing = Passing::new(file.len() as u64);
        file.chunks(7).for_each(|piece| passing.see(piece));
        passing.program().and_then(|program| program.machine)
    };
    let found = [
        (2, 1, 62),
        (2, 2, 22),
        (1, 1, 40),
        (2, 1, 0xffff),
        (1, 1, 62),
    ];
    let found = found.map(|(class, data, number)| machine(class, data, number));
    assert_eq!(
        found,
        [Some("amd64"), Some("s390x"), Some("arm"), None, None]
    );
    let head = &program(2, &SECTIONS, false)[..64];
    let mut passing = Passing::new(64);
    passing.see(head);
    let bare = passing.program().unwrap();
    assert_eq!(
        (bare.machine, bare.is_linked, bare.debug_info),
        (Some("amd64"), true, 0)
    );
}

#[test]
fn this_very_program_has_some() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let found = lying(&own);
    assert!(
        found > 1000 && found < own.len() as u64,
        "{found} of {}",
        own.len()
    );
    assert_eq!(passing(&own, 64 << 10), found);
}

proptest! {
    #[test]
    fn damage_is_nothing(at in 0_usize..900, byte in any::<u8>(), length in 0_usize..1200, piece in 1_usize..400) {
        let mut file = program(2, &[(".text", PROGBITS, 300), (".debug_x", PROGBITS, 9), (".symtab", SYMTAB, 24)], false);
        if let Some(place) = file.get_mut(at) {
            *place = byte;
        }
        file.truncate(length);
        let size = file.len() as u64;
        prop_assert!(lying(&file) <= size && passing(&file, piece) <= size);
    }
}
