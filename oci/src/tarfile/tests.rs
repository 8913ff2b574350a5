//! Round trips, foreign dialects and hostile tars.

use std::io::{Cursor, Read};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const FILE: HeaderFields<'static> = HeaderFields::new(b"a", Kind::File);

fn header(fields: &HeaderFields<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let written = write_header(&mut out, fields).unwrap();
    assert_eq!(written, out.len() as u64);
    out
}

/// A block made by the `tar` crate: a second opinion, and the source of foreign dialects.
fn foreign(mut header: tar::Header, name: &[u8], flag: u8, content: &[u8]) -> Vec<u8> {
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkflag = [flag];
    header.set_mode(0o600);
    header.set_uid(1);
    header.set_gid(2);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut out = [&header.as_bytes()[..], content].concat();
    write_padding(&mut out, content.len() as u64).unwrap();
    out
}

fn gnu(name: &[u8], flag: u8, content: &[u8]) -> Vec<u8> {
    foreign(tar::Header::new_gnu(), name, flag, content)
}

fn read_all(tar: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut entries = Entries::new(tar);
    let mut all = Vec::new();
    while let Some(entry) = entries.next_entry()? {
        let mut content = Vec::new();
        entries.content().read_to_end(&mut content)?;
        all.push((entry, content));
    }
    Ok(all)
}

fn paths(tar: &[u8]) -> Vec<Vec<u8>> {
    read_all(tar)
        .unwrap()
        .into_iter()
        .map(|(entry, _)| entry.path)
        .collect()
}

fn refusal(parts: &[&[u8]]) -> TarError {
    read_all(&parts.concat()).expect_err("a refusal")
}

#[test]
fn what_fits_is_one_ustar_block() {
    let device = HeaderFields {
        kind: Kind::CharDevice,
        device: (1, 3),
        mode: 0o20666,
        ..FILE
    };
    let long = [vec![b'd'; 100], vec![b'/'], vec![b'f'; 100]].concat();
    for fields in [
        FILE,
        device,
        HeaderFields {
            path: &long,
            size: MAX,
            uid: 0o7_777_777,
            ..FILE
        },
    ] {
        let block = header(&fields);
        assert_eq!(block.len(), BLOCK);
        assert_eq!(&block[257..265], b"ustar\x0000");
    }
    const MAX: u64 = 0o77_777_777_777;
    assert_eq!(
        header(&HeaderFields {
            size: MAX + 1,
            ..FILE
        })
        .len(),
        3 * BLOCK
    );
}

#[test]
fn records_are_few_sorted_and_deterministic() {
    let xattrs = [
        (b"user.z".to_vec(), b"\0\xff".to_vec()),
        (b"user.a".to_vec(), b"".to_vec()),
    ];
    let block = header(&HeaderFields {
        path: "é".as_bytes(),
        xattrs: &xattrs,
        uid: u32::MAX,
        ..FILE
    });
    let records = b"24 SCHILY.xattr.user.a=\n26 SCHILY.xattr.user.z=\0\xff\n11 path=\xc3\xa9\n18 uid=4294967295\n";
    assert_eq!(&block[BLOCK..BLOCK + records.len()], records);
    assert!(block.starts_with(b"PaxHeaders/__\0"));
    let (entry, _) = read_all(&block).unwrap().remove(0);
    assert_eq!(entry.xattrs, [xattrs[1].clone(), xattrs[0].clone()]);
    assert_eq!(
        (entry.path.as_slice(), entry.uid, entry.offset),
        ("é".as_bytes(), u32::MAX, 3 * BLOCK as u64)
    );
}

#[test]
fn the_tar_crate_reads_the_same() {
    let long = [b"long/".repeat(60), b"name".to_vec()].concat();
    let tar = [
        header(&HeaderFields {
            path: b"dir",
            kind: Kind::Directory,
            mode: 0o1777,
            ..FILE
        }),
        header(&HeaderFields {
            path: &long,
            uid: 3_000_000,
            mtime: 77,
            ..FILE
        }),
        header(&HeaderFields {
            path: b"link",
            kind: Kind::Symlink,
            link: &long,
            ..FILE
        }),
    ];
    let mut archive = tar::Archive::new(Cursor::new(tar.concat()));
    let entries: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name_bytes().unwrap_or_default().to_vec();
            (
                entry.path_bytes().to_vec(),
                link,
                entry.header().mtime().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            (b"dir/".to_vec(), vec![], 0),
            (long.clone(), vec![], 77),
            (b"link".to_vec(), long, 0)
        ]
    );
}

#[test]
fn foreign_dialects_are_read() {
    let long_name = gnu(b"././@LongLink", b'L', &[vec![b'n'; 300], vec![0]].concat());
    let long_link = gnu(b"././@LongLink", b'K', &[vec![b't'; 300], vec![0]].concat());
    let tar = [long_link, long_name, gnu(b"nnn", b'2', b"")].concat();
    let (entry, _) = read_all(&tar).unwrap().remove(0);
    assert_eq!(
        (entry.path.len(), entry.link.len(), entry.kind),
        (300, 300, Kind::Symlink)
    );
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o600, 1, 2));

    let old_directory = foreign(tar::Header::new_old(), b"./old//", 0, b"");
    assert_eq!(read_all(&old_directory).unwrap()[0].0.kind, Kind::Directory);
    assert_eq!(paths(&old_directory), [b"./old"]);

    let mut big = tar::Header::new_gnu();
    big.as_old_mut().mtime.copy_from_slice(&[0xff; 12]);
    assert_eq!(
        read_all(&foreign(big, b"f", b'0', b"")).unwrap()[0].0.mtime,
        -1
    );
}

#[test]
fn global_records_apply_until_overridden() {
    let global = gnu(b"g", b'g', b"12 mtime=10\n13 comment=x\n");
    let local = gnu(b"x", b'x', b"12 mtime=20\n");
    let tar = [
        global,
        gnu(b"a", b'0', b""),
        local,
        gnu(b"b", b'0', b""),
        gnu(b"c", b'0', b""),
    ]
    .concat();
    let times: Vec<i64> = read_all(&tar)
        .unwrap()
        .into_iter()
        .map(|(entry, _)| entry.mtime)
        .collect();
    assert_eq!(times, [10, 20, 10]);
    assert!(matches!(
        refusal(&[&gnu(b"g", b'g', b"9 size=1\n")]),
        TarError::Pax { .. }
    ));
}

/// A size record before an extension header must not resize that header, or an attacker's content
/// would be read as headers.
#[test]
fn a_size_record_belongs_to_the_next_real_entry() {
    let size = gnu(b"x", b'x', b"12 size=512\n");
    let hidden = gnu(b"hidden", b'0', b"");
    let name = gnu(b"L", b'L', b"real\0");
    let mut file = tar::Header::new_gnu();
    file.set_size(0);
    let tar = [size, name, foreign(file, b"f", b'0', b""), hidden.clone()].concat();
    let all = read_all(&tar).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].0.path.as_slice(), &all[0].1),
        (&b"real"[..], &hidden)
    );
}

#[test]
fn only_files_have_content() {
    let mut directory = tar::Header::new_gnu();
    directory.set_size(512);
    directory.as_old_mut().linkflag = [b'5'];
    directory.as_old_mut().name[0] = b'd';
    directory.set_mode(0);
    directory.set_uid(0);
    directory.set_gid(0);
    directory.set_cksum();
    let tar = [&directory.as_bytes()[..], &gnu(b"f", b'0', b"")].concat();
    assert_eq!(paths(&tar), [b"d", b"f"]);
}

#[test]
fn the_end_is_found() {
    let file = gnu(b"f", b'0', b"abc");
    let mut with_end = file.clone();
    write_end(&mut with_end).unwrap();
    with_end.extend(b"trailing");
    assert_eq!(paths(&with_end), [b"f"]);
    assert_eq!(paths(&file), [b"f"]);
    assert_eq!(
        paths(&file[..BLOCK + 3]),
        [b"f"],
        "padding may be missing at the very end"
    );
    assert_eq!(
        paths(&[&file[..], &[0; BLOCK]].concat()),
        [b"f"],
        "one zero block will do"
    );
    for cut in [1, 511, BLOCK + 1, BLOCK + 2, BLOCK + 4, BLOCK + 511] {
        assert!(read_all(&file[..cut]).is_err(), "{cut}");
        assert!(
            Entries::seeking(Cursor::new(&file[..cut]))
                .next_entry()
                .is_err()
                || cut > BLOCK
        );
    }
    let mut cut_content = Entries::seeking(Cursor::new(&file[..BLOCK + 2]));
    cut_content.next_entry().unwrap();
    assert!(matches!(
        cut_content.next_entry(),
        Err(TarError::Truncated { .. })
    ));
    assert!(matches!(
        refusal(&[&[0; BLOCK], &file]),
        TarError::Header { .. }
    ));
}

#[test]
fn a_name_has_one_source() {
    let file = gnu(b"f", b'0', b"");
    let pax = gnu(b"x", b'x', b"11 path=ab\n");
    let long = gnu(b"L", b'L', b"name\0");
    for parts in [
        [&pax, &pax, &file],
        [&pax, &long, &file],
        [&long, &pax, &file],
        [&long, &long, &file],
    ] {
        assert!(matches!(
            refusal(&parts.map(Vec::as_slice)),
            TarError::Header { .. }
        ));
    }
    assert!(matches!(refusal(&[&pax]), TarError::Truncated { .. }));
    assert!(matches!(
        refusal(&[&pax, &[0; 1024]]),
        TarError::Truncated { .. }
    ));
}

#[test]
fn exotic_entries_are_refused() {
    for flag in *b"SMDVNX?" {
        assert!(
            matches!(
                refusal(&[&gnu(b"f", flag, b"")]),
                TarError::Unsupported { .. }
            ),
            "{flag}"
        );
    }
    let sparse = gnu(b"x", b'x', b"22 GNU.sparse.major=1\n");
    assert!(matches!(refusal(&[&sparse]), TarError::Unsupported { .. }));
}

#[test]
fn an_empty_name_is_the_root() {
    let tar = [gnu(b"", b'5', b""), gnu(b"", b'0', b"content")].concat();
    let mut entries = Entries::new(tar.as_slice());
    for kind in [Kind::Directory, Kind::File] {
        let entry = entries.next_entry().unwrap().unwrap();
        assert_eq!((entry.path.as_slice(), entry.kind), (&b"."[..], kind));
    }
    assert!(entries.next_entry().unwrap().is_none());
}

#[test]
fn links_need_targets_and_names_have_an_end() {
    assert!(matches!(
        refusal(&[&gnu(b"l", b'2', b"")]),
        TarError::Missing {
            what: "link target",
            ..
        }
    ));
    let too_long = gnu(b"L", b'L', &[b'n'; MAX_PATH + 1]);
    assert!(matches!(
        refusal(&[&too_long, &gnu(b"f", b'0', b"")]),
        TarError::TooLong { .. }
    ));
}

#[test]
fn damaged_headers_are_refused() {
    let mut flipped = gnu(b"f", b'0', b"");
    flipped[0] ^= 1;
    assert!(matches!(refusal(&[&flipped]), TarError::Header { .. }));
    assert!(matches!(
        refusal(&[&[7; 600]]),
        TarError::Number {
            field: "checksum",
            ..
        }
    ));
    assert!(matches!(
        refusal(&[&gnu(b"x", b'x', b"9 path=ab\n")]),
        TarError::Pax { .. }
    ));
}

#[test]
fn large_extensions_are_refused_before_they_are_read() {
    for flag in *b"xgLK" {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().linkflag = [flag];
        header.set_size(1 << 40);
        header.set_cksum();
        assert!(matches!(
            refusal(&[header.as_bytes()]),
            TarError::TooLong { .. }
        ));
    }
}

#[test]
fn impossible_entries_are_not_written() {
    let attribute = |name: &[u8]| vec![(name.to_vec(), vec![])];
    let (twice, equals) = (
        [attribute(b"a"), attribute(b"a")].concat(),
        attribute(b"a=b"),
    );
    let large = vec![(b"a".to_vec(), vec![0; 1 << 20])];
    let path = vec![b'p'; MAX_PATH + 1];
    for bad in [
        HeaderFields { path: b"", ..FILE },
        HeaderFields {
            path: b"a\0b",
            ..FILE
        },
        HeaderFields {
            path: &path,
            ..FILE
        },
        HeaderFields {
            kind: Kind::Symlink,
            ..FILE
        },
        HeaderFields { link: b"x", ..FILE },
        HeaderFields {
            kind: Kind::Directory,
            size: 1,
            ..FILE
        },
        HeaderFields {
            kind: Kind::CharDevice,
            device: (0, 1 << 21),
            ..FILE
        },
        HeaderFields {
            xattrs: &twice,
            ..FILE
        },
        HeaderFields {
            xattrs: &equals,
            ..FILE
        },
        HeaderFields {
            xattrs: &large,
            ..FILE
        },
    ] {
        let mut out = Vec::new();
        assert!(matches!(
            write_header(&mut out, &bad),
            Err(TarError::Unwritable { .. })
        ));
        assert!(out.is_empty());
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let part = vec(
        prop_oneof![5 => b'a'..=b'c', 1 => 1..=u8::MAX].prop_filter("no slash", |b| *b != b'/'),
        1..120,
    );
    let path = vec(part, 1..5).prop_map(|parts| parts.join(&b'/'));
    let kind = prop_oneof![
        4 => Just(Kind::File), 1 => Just(Kind::HardLink), 1 => Just(Kind::Symlink), 1 => Just(Kind::CharDevice),
        1 => Just(Kind::BlockDevice), 1 => Just(Kind::Directory), 1 => Just(Kind::Fifo),
    ];
    let numbers = (
        0_u32..=0o7777,
        any::<u32>(),
        any::<u32>(),
        any::<i64>(),
        (0_u32..1 << 21, 0_u32..1 << 21),
    );
    let xattrs = proptest::collection::btree_map("[a-z.]{1,20}", vec(any::<u8>(), 0..40), 0..3);
    (
        path.clone(),
        path,
        kind,
        numbers,
        xattrs,
        vec(any::<u8>(), 0..600),
    )
        .prop_map(
            |(path, link, kind, (mode, uid, gid, mtime, device), xattrs, content)| Entry {
                path,
                kind,
                mode,
                uid,
                gid,
                size: if kind == Kind::File {
                    content.len() as u64
                } else {
                    0
                },
                mtime: if mtime % 2 == 0 {
                    mtime
                } else {
                    mtime.rem_euclid(1 << 34)
                },
                link: if matches!(kind, Kind::HardLink | Kind::Symlink) {
                    link
                } else {
                    Vec::new()
                },
                device: if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
                    device
                } else {
                    (0, 0)
                },
                xattrs: xattrs
                    .into_iter()
                    .map(|(name, value)| (name.into_bytes(), value))
                    .collect(),
                offset: 0,
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(mut entries in vec(any_entry(), 0..6)) {
        let mut tar = Vec::new();
        for entry in &mut entries {
            write_header(&mut tar, &entry.fields()).unwrap();
            entry.offset = tar.len() as u64;
            tar.extend(vec![7; entry.size as usize]);
            write_padding(&mut tar, entry.size).unwrap();
        }
        write_end(&mut tar).unwrap();
        let read: Vec<Entry> = read_all(&tar).unwrap().into_iter().map(|(entry, _)| entry).collect();
        prop_assert_eq!(&read, &entries);
        let mut seeking = Entries::seeking(Cursor::new(&tar));
        for entry in &entries {
            prop_assert_eq!(&seeking.next_entry().unwrap().unwrap(), entry);
        }
        prop_assert!(seeking.next_entry().unwrap().is_none());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(mut entries in vec(any_entry(), 1..3), at in any::<usize>(), byte in any::<u8>()) {
        let mut tar = Vec::new();
        for entry in &mut entries {
            entry.size = 0;
            write_header(&mut tar, &entry.fields()).unwrap();
        }
        let at = at % tar.len();
        tar[at] = byte;
        let block = at / BLOCK * BLOCK;
        // With a right checksum the damage reaches what is behind it.
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(&tar[block..block + BLOCK]);
        header.set_cksum();
        let _ = read_all(&tar);
        tar[block..block + BLOCK].copy_from_slice(header.as_bytes());
        let _ = read_all(&tar);
    }
}
