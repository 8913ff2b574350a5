//! Overlay mounts, written to directly and by runs.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use kiln_sandbox::{Feature, MAX_LOWERS, MountError, OverlaySpec, RootMount, mount_overlay};
use rustix::fs::{Mode, OFlags, openat};

use crate::harness::{Ground, note, tree};

fn layer(ground: &Ground, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = ground.path(name);
    fs::create_dir_all(&folder).unwrap();
    for (path, content) in files {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), content).unwrap();
    }
    folder
}

fn read(root: &RootMount, path: &str) -> Result<String, rustix::io::Errno> {
    let file = openat(root.as_fd(), path, OFlags::RDONLY, Mode::empty())?;
    Ok(std::io::read_to_string(fs::File::from(file)).unwrap())
}

pub fn merging(ground: &Ground) {
    let below = layer(
        ground,
        "below",
        &[("a", "below"), ("b", "below"), ("dir/x", "x")],
    );
    let above = layer(ground, "above", &[("a", "above")]);
    let image = ground.path("image");
    for disabled in ["", "lowerdir-append"] {
        ground.disabled.set(disabled.parse().unwrap());
        let upper = format!("upper{disabled}");
        let root = ground.mount(&[above.clone(), below.clone(), image.clone()], &upper);
        assert_eq!(
            (read(&root, "a").unwrap(), read(&root, "b").unwrap()),
            ("above".to_owned(), "below".to_owned())
        );
        ground
            .run(
                &root,
                &crate::harness::shell(
                    "rm /b; rm -rf /dir; mkdir /dir; echo new > /dir/new; mv /tmp /tmp2",
                ),
            )
            .expect(0, "");
        drop(root);
        let upper = ground.path(&upper);
        assert_eq!(tree(&upper), ["b", "dir", "dir/new", "tmp", "tmp2"]);
        let gone = upper.join("b").symlink_metadata().unwrap();
        assert!(
            gone.file_type().is_char_device() && gone.rdev() == 0,
            "no whiteout"
        );
        assert!(!mounted(ground), "the mount is seen");
    }
}

fn mounted(ground: &Ground) -> bool {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .contains(ground.folder.path().to_str().unwrap())
}

pub fn read_only(ground: &Ground) {
    let below = layer(ground, "below", &[("a", "below")]);
    for lowers in [
        vec![],
        vec![below.clone()],
        vec![ground.path("image"), below.clone()],
    ] {
        for disabled in ["", "lowerdir-append"] {
            let spec = OverlaySpec {
                lowers: &lowers,
                upper: None,
                rootless: ground.entered.rootless,
                keeps: false,
            };
            let root = mount_overlay(&spec, disabled.parse().unwrap()).unwrap();
            let written = openat(
                root.as_fd(),
                "new",
                OFlags::CREATE | OFlags::WRONLY,
                Mode::from_raw_mode(0o644),
            );
            assert_eq!(
                written.unwrap_err(),
                rustix::io::Errno::ROFS,
                "{} lowers",
                lowers.len()
            );
            assert_eq!(read(&root, "a").is_ok(), !lowers.is_empty());
        }
    }
    assert_eq!(fs::read_to_string(below.join("a")).unwrap(), "below");
}

pub fn no_lowers(ground: &Ground) {
    let root = ground.mount(&[], "upper");
    openat(
        root.as_fd(),
        "new",
        OFlags::CREATE | OFlags::WRONLY,
        Mode::from_raw_mode(0o644),
    )
    .unwrap();
    drop(root);
    assert_eq!(tree(&ground.path("upper")), ["new"]);
}

pub fn many_lowers(ground: &Ground) {
    let lowers: Vec<_> = (0..MAX_LOWERS)
        .map(|number| {
            layer(
                ground,
                &format!("layer{number}"),
                &[(&format!("f{number}"), "x")],
            )
        })
        .collect();
    let root = ground.mount(&lowers, "upper");
    for number in [0, 250, MAX_LOWERS - 1] {
        assert_eq!(read(&root, &format!("f{number}")).unwrap(), "x");
    }
    let too_many: Vec<_> = (0..=MAX_LOWERS).map(|_| lowers[0].clone()).collect();
    let spec = OverlaySpec {
        lowers: &too_many,
        upper: None,
        rootless: ground.entered.rootless,
        keeps: false,
    };
    assert!(matches!(
        mount_overlay(&spec, ground.disabled.get()),
        Err(MountError::TooMany {
            lowers: 501,
            limit: 500
        })
    ));
    let old = [Feature::LowerdirAppend].into_iter().collect();
    let spec = OverlaySpec {
        lowers: &lowers,
        ..spec
    };
    let error = mount_overlay(&spec, old).unwrap_err();
    assert!(
        matches!(
            error,
            MountError::TooMany {
                lowers: 500,
                limit: 150..400
            }
        ),
        "{error}"
    );
    let spec = OverlaySpec {
        lowers: &lowers[..150],
        ..spec
    };
    assert_eq!(
        read(&mount_overlay(&spec, old).unwrap(), "f149").unwrap(),
        "x"
    );
    note(&error.to_string());
}

pub fn again(ground: &Ground) {
    for round in 0..2 {
        ground
            .sh("upper", &format!("echo {round} > /f{round}"))
            .expect(0, "");
    }
    assert_eq!(tree(&ground.path("upper")), ["f0", "f1"]);
}

pub fn odd_names(ground: &Ground) {
    let long = "x".repeat(120);
    for name in [
        "a:b",
        "a,b=c",
        "back\\slash\\,",
        "space and \"quote\"",
        &format!("{long}/{long}/{long}"),
    ] {
        for disabled in ["", "lowerdir-append"] {
            ground.disabled.set(disabled.parse().unwrap());
            let below = layer(ground, &format!("{name}/below"), &[("a", "below")]);
            fs::create_dir_all(ground.path(name)).unwrap();
            let root = ground.mount(
                &[below, ground.path("image")],
                &format!("{name}/upper{disabled}"),
            );
            ground
                .run(&root, &crate::harness::shell("cat /a; echo > /new"))
                .expect(0, "below");
            assert_eq!(
                tree(&ground.path(&format!("{name}/upper{disabled}"))),
                ["new"],
                "{name}"
            );
        }
    }
}

pub fn errors(ground: &Ground) {
    let missing = [ground.path("missing"), ground.path("image")];
    let spec = OverlaySpec {
        lowers: &missing,
        upper: None,
        rootless: ground.entered.rootless,
        keeps: false,
    };
    for disabled in ["", "lowerdir-append"] {
        let error = mount_overlay(&spec, disabled.parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("missing") && error.contains("No such file"),
            "{error}"
        );
    }
    // An upper on an overlay: what a store in a container without a volume is.
    let root = ground.root("upper");
    let inside = std::path::Path::new("/proc/self/fd")
        .join(std::os::fd::AsRawFd::as_raw_fd(&root.as_fd()).to_string());
    let (upper, work) = (inside.join("upper"), inside.join("work"));
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    let lowers = [ground.path("image")];
    let spec = OverlaySpec {
        lowers: &lowers,
        upper: Some((&upper, &work)),
        rootless: ground.entered.rootless,
        keeps: false,
    };
    let error = mount_overlay(&spec, ground.disabled.get())
        .unwrap_err()
        .to_string();
    assert!(error.contains("overlay"), "{error}");
    note(&error);
}
