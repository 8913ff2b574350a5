//! Estimates of tars whose compressed size is known.

use super::*;

/// Bytes that compress to about a third: a text of numbers.
fn text(length: usize) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::with_capacity(length + 32);
    let mut number = 1_u64;
    while text.len() < length {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.extend_from_slice(format!("{} is next\n", number >> 40).as_bytes());
    }
    text.truncate(length);
    text
}

fn measured(bytes: &[u8], piece: usize, effort: Effort) -> Compressed {
    let mut meter = Meter::new(effort);
    bytes.chunks(piece).for_each(|piece| meter.see(piece));
    meter.finish()
}

#[test]
fn what_is_small_is_counted_and_what_is_large_is_estimated_within_a_tenth() {
    let bytes = text(3 << 20);
    let small = &bytes[..100_000];
    let exact = measured(small, 4096, Effort::Exact);
    assert!(!exact.gzip.is_estimate && exact.gzip.bytes > 10_000);
    assert_eq!(measured(small, 7777, Effort::Estimate), exact);

    let exact = measured(&bytes, 65_536, Effort::Exact);
    let estimate = measured(&bytes, 1000, Effort::Estimate);
    assert!(estimate.gzip.is_estimate && estimate.zstd.is_estimate);
    for (estimate, exact) in [(estimate.gzip, exact.gzip), (estimate.zstd, exact.zstd)] {
        let difference = estimate.bytes.abs_diff(exact.bytes);
        assert!(difference * 10 < exact.bytes, "{estimate:?} {exact:?}");
    }
}

#[test]
fn an_estimate_does_not_depend_on_the_pieces() {
    let bytes = text(1 << 20);
    let whole = measured(&bytes, bytes.len(), Effort::Estimate);
    assert_eq!(measured(&bytes, 977, Effort::Estimate), whole);
    assert_eq!(measured(b"", 1, Effort::Estimate), Compressed::default());
}
