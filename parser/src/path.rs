//! Paths as text: cleaned and joined as in Go's `path` package. Unaware of file systems, and so of symlinks.

/// Removes `.`, `..` and doubled slashes. Leading `..` of an absolute path vanish, those of a relative one stay; an empty path is `.`.
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|&last| last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// `path` below the absolute directory `base`, or itself if it is absolute. Cleaned.
pub fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        return clean(path);
    }
    clean(&format!("/{base}/{path}"))
}

/// The absolute path that `path` means in the directory `base`, as `WORKDIR` stores it: an absolute path stays as it is written.
pub fn written(base: &str, path: &str) -> String {
    match (
        path.starts_with('/'),
        path.is_empty() && base.starts_with('/'),
    ) {
        (true, _) => path.to_owned(),
        (_, true) => base.to_owned(),
        _ => join(base, path),
    }
}

/// The path below the root, which it cannot leave, without the leading slash; `""` is the root.
pub fn relative_to_root(path: &str) -> String {
    let mut rooted = clean(&format!("/{path}"));
    rooted.remove(0);
    rooted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (path, cleaned) in [
            ("", "."),
            ("/", "/"),
            ("//a/./b//", "/a/b"),
            ("a/../..", ".."),
            ("../../a", "../../a"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("./a", "a"),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn joining() {
        assert_eq!(join("/w", "a/../b"), "/w/b");
        assert_eq!(join("/w", "/a/"), "/a");
        assert_eq!(join("", ""), "/");
        assert_eq!(relative_to_root("../../a/"), "a");
        assert_eq!(relative_to_root("/"), "");
    }
}
