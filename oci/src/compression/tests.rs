//! Every encoding: recognised, whole, concatenated, cut off, damaged, demanding.

use super::*;

const ALL: [Encoding; 4] = [
    Encoding::Gzip,
    Encoding::Zstd,
    Encoding::Bzip2,
    Encoding::Xz,
];

fn text(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 60) as u8 + b'a'
    };
    (0..100_000).map(|_| next()).collect()
}

fn compress(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        Encoding::Plain => out.extend(bytes),
        Encoding::Gzip => {
            let mut encoder = Encoder::gzip(&mut out, 6);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap();
        }
        Encoding::Zstd => {
            let mut encoder = Encoder::zstd(&mut out, 3, 1).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap();
        }
        Encoding::Bzip2 => {
            bzip2::bufread::BzEncoder::new(bytes, bzip2::Compression::fast())
                .read_to_end(&mut out)
                .map(drop)
                .unwrap();
        }
        Encoding::Xz => liblzma::bufread::XzEncoder::new(bytes, 0)
            .read_to_end(&mut out)
            .map(drop)
            .unwrap(),
    }
    out
}

fn decompress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    auto(bytes)?.1.read_to_end(&mut out)?;
    Ok(out)
}

#[test]
fn each_encoding_is_recognised_and_undone() {
    for encoding in ALL {
        for content in [&text(1)[..], b"", b"x"] {
            let bytes = compress(encoding, content);
            assert_eq!(sniff(&bytes), encoding);
            assert_eq!(decompress(&bytes).unwrap(), content, "{encoding:?}");
        }
    }
    for plain in [&b""[..], b"x", b"BZh9 is a file name", b"\x1f\x8b"] {
        assert_eq!(sniff(plain), Encoding::Plain);
        assert_eq!(decompress(plain).unwrap(), plain);
    }
}

#[test]
fn concatenated_pieces_are_one() {
    for encoding in ALL {
        let two = [
            compress(encoding, b"first "),
            compress(encoding, b""),
            compress(encoding, b"second"),
        ]
        .concat();
        assert_eq!(decompress(&two).unwrap(), b"first second", "{encoding:?}");
    }
}

#[test]
fn zeros_after_gzip_are_padding_and_other_bytes_are_not() {
    let bytes = compress(Encoding::Gzip, b"content");
    assert_eq!(
        decompress(&[&bytes[..], &[0; 100_000]].concat()).unwrap(),
        b"content"
    );
    assert!(decompress(&[&bytes[..], b"garbage"].concat()).is_err());
    assert!(decompress(&[&bytes[..], &[0; 512], &bytes[..]].concat()).is_err());
}

#[test]
fn cut_off_input_is_an_error() {
    for encoding in ALL {
        let bytes = compress(encoding, &text(2));
        for cut in [bytes.len() - 1, bytes.len() - 5, bytes.len() / 2, SNIFF + 2] {
            assert!(
                decompress(&bytes[..cut]).is_err(),
                "{encoding:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn damage_is_an_error() {
    for encoding in ALL {
        let mut bytes = compress(encoding, &text(3));
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        assert!(decompress(&bytes).is_err(), "{encoding:?}");
    }
}

#[test]
fn greedy_input_gets_no_memory() {
    // A zstd frame that demands a window of 2^41 bytes (window descriptor, RFC 8878 3.1.1.1.2).
    let window = (41 - 10) << 3;
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x01, 0x00, 0x00];
    assert!(decompress(&greedy).is_err());
    // An xz stream with a dictionary of 1 GiB.
    let small = compress(Encoding::Xz, b"content");
    assert!(decompress(&with_dictionary(small, 36)).is_err());
}

/// Sets the dictionary size byte of the first block header of an xz file (.xz format, 5.3.1) and
/// repairs the header's CRC32.
fn with_dictionary(mut xz: Vec<u8>, size: u8) -> Vec<u8> {
    let start = 12;
    let length = (usize::from(xz[start]) + 1) * 4;
    let dictionary = start + 4;
    assert_eq!(
        xz[start + 2..start + 4],
        [0x21, 1],
        "LZMA2 with one property byte"
    );
    xz[dictionary] = size;
    let mut crc = flate2::Crc::new();
    crc.update(&xz[start..start + length - 4]);
    xz[start + length - 4..start + length].copy_from_slice(&crc.sum().to_le_bytes());
    xz
}

#[test]
fn compressed_bytes_depend_on_nothing_else() {
    let content: Vec<u8> = (0..100).flat_map(text).collect();
    let zstd = |threads: usize, piece: usize| {
        let mut encoder = Encoder::zstd(Vec::new(), 3, threads).unwrap();
        for part in content.chunks(piece) {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    };
    let one = zstd(1, 1 << 20);
    assert_eq!(one, zstd(4, 1 << 20));
    assert_eq!(one, zstd(2, 777));
    let gzip = compress(Encoding::Gzip, &content[..1 << 20]);
    assert_eq!(gzip, compress(Encoding::Gzip, &content[..1 << 20]));
    assert_eq!(gzip[4..8], [0; 4], "no time");
}
