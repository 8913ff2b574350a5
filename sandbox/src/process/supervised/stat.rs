//! What a file is, in the bytes in which the kernel stores it for each binary interface. Unaware of files.

use rustix::fs::{Stat, major, minor};

use super::call::Layout;

/// `STATX_BASIC_STATS` of linux/stat.h.
const BASIC: u32 = 0x7ff;

/// The bytes.
pub fn encode(stat: &Stat, layout: Layout) -> Vec<u8> {
    match layout {
        Layout::Native => native(stat),
        Layout::Stat64 => stat64(stat),
        Layout::Statx => statx(stat),
    }
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&(value as u16).to_ne_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    fn times64(&mut self, stat: &Stat) -> &mut Self {
        for (seconds, nanoseconds) in times(stat) {
            self.u64(seconds.cast_unsigned())
                .u64(u64::from(nanoseconds));
        }
        self
    }
}

/// Access, modification, change.
fn times(stat: &Stat) -> [(i64, u32); 3] {
    [
        (stat.st_atime, stat.st_atime_nsec as u32),
        (stat.st_mtime, stat.st_mtime_nsec as u32),
        (stat.st_ctime, stat.st_ctime_nsec as u32),
    ]
}

/// asm/stat.h of x86: `struct stat` of 64 bits.
#[cfg(target_arch = "x86_64")]
fn native(stat: &Stat) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.u64(stat.st_dev).u64(stat.st_ino).u64(stat.st_nlink);
    bytes
        .u32(stat.st_mode)
        .u32(stat.st_uid)
        .u32(stat.st_gid)
        .u32(0);
    bytes.u64(stat.st_rdev).u64(stat.st_size.cast_unsigned());
    bytes
        .u64(stat.st_blksize.cast_unsigned())
        .u64(stat.st_blocks.cast_unsigned());
    bytes.times64(stat).u64(0).u64(0).u64(0);
    bytes.0
}

/// asm-generic/stat.h.
#[cfg(target_arch = "aarch64")]
fn native(stat: &Stat) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes
        .u64(stat.st_dev)
        .u64(stat.st_ino)
        .u32(stat.st_mode)
        .u32(stat.st_nlink as u32);
    bytes
        .u32(stat.st_uid)
        .u32(stat.st_gid)
        .u64(stat.st_rdev)
        .u64(0);
    bytes
        .u64(stat.st_size as u64)
        .u32(stat.st_blksize as u32)
        .u32(0);
    bytes.u64(stat.st_blocks as u64).times64(stat).u64(0);
    bytes.0
}

/// asm/stat.h of x86: `struct stat64` of 32 bits.
fn stat64(stat: &Stat) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes
        .u64(stat.st_dev)
        .u32(0)
        .u32(stat.st_ino as u32)
        .u32(stat.st_mode);
    bytes
        .u32(stat.st_nlink as u32)
        .u32(stat.st_uid)
        .u32(stat.st_gid);
    bytes.u64(stat.st_rdev).u32(0).u64(stat.st_size as u64);
    bytes.u32(stat.st_blksize as u32).u64(stat.st_blocks as u64);
    for (seconds, nanoseconds) in times(stat) {
        bytes.u32(seconds as u32).u32(nanoseconds);
    }
    bytes.u64(stat.st_ino);
    bytes.0
}

/// linux/stat.h: `struct statx`, without the time of birth and what came later.
fn statx(stat: &Stat) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.u32(BASIC).u32(stat.st_blksize as u32).u64(0);
    bytes
        .u32(stat.st_nlink as u32)
        .u32(stat.st_uid)
        .u32(stat.st_gid);
    bytes.u16(stat.st_mode).u16(0).u64(stat.st_ino);
    bytes
        .u64(stat.st_size as u64)
        .u64(stat.st_blocks as u64)
        .u64(0);
    let [access, modification, change] = times(stat);
    for (seconds, nanoseconds) in [access, (0, 0), change, modification] {
        bytes.u64(seconds.cast_unsigned()).u32(nanoseconds).u32(0);
    }
    for device in [stat.st_rdev, stat.st_dev] {
        bytes.u32(major(device)).u32(minor(device));
    }
    bytes.0.resize(256, 0);
    bytes.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_kernels() {
        let stat = rustix::fs::stat("/").unwrap();
        let size = |layout| encode(&stat, layout).len();
        assert_eq!(size(Layout::Native), size_of::<libc::stat>());
        assert_eq!(size(Layout::Stat64), 96);
        assert_eq!(size(Layout::Statx), size_of::<libc::statx>());
    }
}
