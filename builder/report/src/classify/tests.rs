//! Examples, and random stacks of layers against a slow and obvious reference.

mod examples;
pub(crate) mod random;
mod reference;

use kiln_cache::index_tar;

use crate::image::ImageLayer;

/// Something that a layer's tar says.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    /// A file with this many bytes of this letter.
    File(String, u8, usize),
    /// A hard link and the path that it links to.
    Link(String, String),
    Symlink(String),
    Folder(String),
    Whiteout(String),
    Opaque(String),
}

/// The tar of a layer, written by another implementation.
pub(crate) fn tar_of(members: &[Member], mode: u32) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, link: Option<&str>, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        match link {
            Some(link) => tar.append_link(&mut header, path, link),
            None => tar.append_data(&mut header, path, content),
        }
        .unwrap();
    };
    for member in members {
        match member {
            Member::File(path, letter, size) => {
                add(tar::EntryType::Regular, path, None, &vec![*letter; *size]);
            }
            Member::Link(path, target) => add(tar::EntryType::Link, path, Some(target), b""),
            Member::Symlink(path) => add(tar::EntryType::Symlink, path, Some("nowhere"), b""),
            Member::Folder(path) => add(tar::EntryType::Directory, path, None, b""),
            Member::Whiteout(path) => add(tar::EntryType::Regular, &whiteout(path), None, b""),
            Member::Opaque(path) => {
                let marker = format!("{path}/.wh..wh..opq");
                add(tar::EntryType::Regular, &marker, None, b"");
            }
        }
    }
    tar.into_inner().unwrap()
}

fn whiteout(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.wh.{name}"),
        None => format!(".wh.{path}"),
    }
}

pub(crate) fn layer(members: &[Member]) -> ImageLayer {
    ImageLayer::plain(index_tar(&*tar_of(members, 0o644)).unwrap())
}
