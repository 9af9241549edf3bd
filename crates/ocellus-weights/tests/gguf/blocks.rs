//! Blocks of quantised types against a second decoder, one element at a time, straight from the published layouts.

use half::f16;
use ocellus_testkit::gguf::File;
use ocellus_weights::{Dtype, Grouped, Weights};
use proptest::prelude::*;

/// Type, its number, elements in a group, bits.
pub const TYPES: &[(Dtype, u32, usize, u8)] = &[
    (Dtype::Q4_0, 2, 32, 4),
    (Dtype::Q4_1, 3, 32, 4),
    (Dtype::Q5_0, 6, 32, 5),
    (Dtype::Q5_1, 7, 32, 5),
    (Dtype::Q8_0, 8, 32, 8),
    (Dtype::Q4K, 12, 32, 4),
    (Dtype::Q5K, 13, 32, 5),
    (Dtype::Q6K, 14, 16, 6),
    (Dtype::Q2K, 10, 16, 2),
    (Dtype::Q3K, 11, 16, 3),
    (Dtype::Q8K, 15, 256, 8),
    (Dtype::Iq4Nl, 20, 32, 8),
    (Dtype::Iq4Xs, 23, 32, 8),
    (Dtype::Mxfp4, 39, 32, 8),
];

/// What four bits stand for in two of the types.
const UNEVEN: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];
const FP4: [f64; 16] = [
    0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0,
];

/// Weight `i` of a block, in f64.
fn element(dtype: Dtype, b: &[u8], i: usize) -> f64 {
    let half = |at: usize| f64::from(f16::from_le_bytes([b[at], b[at + 1]]));
    let bit = |at: usize, bit: usize| u32::from(b[at] >> bit & 1);
    // Four bits, the first half of the elements in the low halves of the bytes.
    let four = |at: usize, i: usize, half: usize| u32::from(b[at + i % half] >> (4 * (i / half)) & 15);
    // The scale and offset of group `g` of a block of 256.
    let pair = |g: usize| {
        let at = |n: usize| u32::from(b[4 + n]);
        let (scale, offset) = if g < 4 {
            (at(g) % 64, at(g + 4) % 64)
        } else {
            (
                at(g + 4) % 16 + at(g - 4) / 64 * 16,
                at(g + 4) / 16 + at(g) / 64 * 16,
            )
        };
        (half(0) * f64::from(scale), half(2) * f64::from(offset))
    };
    let number = |n: u32| f64::from(n);
    match dtype {
        Dtype::Q4_0 => half(0) * (number(four(2, i, 16)) - 8.0),
        Dtype::Q4_1 => half(0) * number(four(4, i, 16)) + half(2),
        Dtype::Q5_0 => half(0) * (number(four(6, i, 16) + 16 * bit(2 + i / 8, i % 8)) - 16.0),
        Dtype::Q5_1 => half(0) * number(four(8, i, 16) + 16 * bit(4 + i / 8, i % 8)) + half(2),
        Dtype::Q8_0 => half(0) * f64::from(b[2 + i] as i8),
        Dtype::Q4K => {
            let (scale, offset) = pair(i / 32);
            scale * number(four(16 + i / 64 * 32, i % 64, 32)) - offset
        }
        Dtype::Q5K => {
            let (scale, offset) = pair(i / 32);
            let value = four(48 + i / 64 * 32, i % 64, 32) + 16 * bit(16 + i % 32, i / 32);
            scale * number(value) - offset
        }
        Dtype::Q6K => {
            let (half_at, within) = (i / 128, i % 128);
            let low = four(64 * half_at, within, 64);
            let high = u32::from(b[128 + 32 * half_at + within % 32] >> (2 * (within / 32)) & 3);
            let scale = f64::from(b[192 + i / 16] as i8);
            half(208) * scale * (number(low + 16 * high) - 32.0)
        }
        Dtype::Q2K => {
            let value = u32::from(b[16 + i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3);
            let packed = b[i / 16];
            half(80) * f64::from(packed & 15) * number(value) - half(82) * f64::from(packed >> 4)
        }
        Dtype::Q3K => {
            let low = u32::from(b[32 + i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3);
            let value = low + 4 * bit(i % 32, i / 32);
            let group = i / 16;
            let scale = u32::from(b[96 + group % 8] >> (4 * (group / 8)) & 15)
                + 16 * u32::from(b[104 + group % 4] >> (2 * (group / 4)) & 3);
            half(108) * (number(scale) - 32.0) * (number(value) - 4.0)
        }
        Dtype::Q8K => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])) * f64::from(b[4 + i] as i8),
        Dtype::Iq4Nl => half(0) * f64::from(UNEVEN[four(2, i, 16) as usize]),
        Dtype::Iq4Xs => {
            let group = i / 32;
            let high = u32::from(b[2]) + 256 * u32::from(b[3]);
            let scale =
                u32::from(b[4 + group / 2] >> (4 * (group % 2)) & 15) + 16 * (high >> (2 * group) & 3);
            half(0) * (number(scale) - 32.0) * f64::from(UNEVEN[four(8 + 16 * group, i % 32, 16) as usize])
        }
        Dtype::Mxfp4 => 2.0_f64.powi(i32::from(b[0]) - 127) * FP4[four(1, i, 16) as usize],
        other => panic!("{other} has no blocks"),
    }
}

/// Places of a block's halves.
fn halves(dtype: Dtype) -> &'static [usize] {
    match dtype {
        Dtype::Q4_0 | Dtype::Q5_0 | Dtype::Q8_0 => &[0],
        Dtype::Q6K => &[208],
        Dtype::Q2K => &[80, 82],
        Dtype::Q3K => &[108],
        Dtype::Iq4Nl | Dtype::Iq4Xs => &[0],
        // A float, and a power of two.
        Dtype::Q8K | Dtype::Mxfp4 => &[],
        _ => &[0, 2],
    }
}

/// Bytes of any values with finite scales.
fn blocks(dtype: Dtype, random: &[u8]) -> Vec<u8> {
    let size = dtype.size_bytes();
    let mut bytes: Vec<u8> = random
        .iter()
        .copied()
        .cycle()
        .take(random.len().next_multiple_of(size))
        .collect();
    for block in bytes.chunks_mut(size) {
        match dtype {
            Dtype::Q8K => block[3] = block[3] & 0x80 | 0x3f,
            Dtype::Mxfp4 => block[0] = block[0].clamp(10, 240),
            _ => {}
        }
        for &at in halves(dtype) {
            let value = f16::from_le_bytes([block[at], block[at + 1]]);
            if !value.is_finite() {
                block[at + 1] &= 0xbf;
            }
        }
    }
    bytes
}

fn open(dtype: Dtype, rows: usize, bytes: &[u8]) -> Weights {
    let kind = TYPES.iter().find(|row| row.0 == dtype).unwrap().1;
    let cols = bytes.len() / dtype.size_bytes() * dtype.block_elements() / rows;
    let file = File::new().tensor("w", &[cols as u64, rows as u64], kind, bytes);
    Weights::from_bytes(file.bytes(), "m.gguf").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_element_is_what_the_layout_says(random in prop::collection::vec(any::<u8>(), 1..900)) {
        for (dtype, _, group, bits) in TYPES {
            let bytes = blocks(*dtype, &random);
            let weights = open(*dtype, 1, &bytes);
            let view = weights.view("w").unwrap();
            let (size, elements) = (dtype.size_bytes(), dtype.block_elements());
            let expected: Vec<f32> = bytes
                .chunks(size)
                .flat_map(|block| (0..elements).map(move |i| element(*dtype, block, i) as f32))
                .collect();
            prop_assert_eq!(&view.to_f32().unwrap(), &expected, "{}", dtype);
            let grouped = view.grouped(0..1).unwrap();
            match dtype {
                // Scales of more bits are rounded once more where zero is an offset.
                Dtype::Q8K | Dtype::Iq4Xs => {
                    for (ours, expected) in grouped.to_f32().iter().zip(&expected) {
                        prop_assert!((ours - expected).abs() <= 1e-6 * view.largest_number(0..1).unwrap());
                    }
                }
                _ => prop_assert_eq!(&grouped.to_f32(), &expected, "{}", dtype),
            }
            prop_assert_eq!((grouped.group, grouped.bits), (*group, *bits));
            prop_assert!(grouped.values.iter().all(|value| u32::from(*value) < 1 << bits));
        }
    }
}

#[test]
fn rows_of_groups() {
    for (dtype, _, group, _) in TYPES {
        let random: Vec<u8> = (0..dtype.size_bytes() * 6)
            .map(|i| (i * 37 + i / 7) as u8)
            .collect();
        let bytes = blocks(*dtype, &random);
        let weights = open(*dtype, 3, &bytes);
        let view = weights.view("w").unwrap();
        let cols = 2 * dtype.block_elements();
        let whole = view.to_f32().unwrap();
        for rows in [0..3, 1..3, 2..3, 1..1] {
            let Grouped {
                rows: count,
                cols: found,
                values,
                scales,
                offsets,
                ..
            } = view.grouped(rows.clone()).unwrap();
            assert_eq!((count, found), (rows.len(), cols));
            assert_eq!(values.len(), rows.len() * cols);
            assert_eq!(
                (scales.len(), offsets.len()),
                (values.len() / group, values.len() / group)
            );
            let grouped = view.grouped(rows.clone()).unwrap().to_f32();
            if matches!(dtype, Dtype::Q8K | Dtype::Iq4Xs) {
                continue;
            }
            assert_eq!(grouped, whole[rows.start * cols..rows.end * cols]);
        }
        assert_eq!(view.grouped(0..4), None);
        #[expect(clippy::reversed_empty_ranges, reason = "this is what is tested")]
        let backwards = 2..1;
        assert_eq!(view.grouped(backwards), None);
    }
}

#[test]
fn plain_types_have_no_groups() {
    let file = File::new()
        .tensor("w", &[2, 2], 0, &[0; 16])
        .tensor("v", &[2], 0, &[0; 8]);
    let weights = Weights::from_bytes(file.bytes(), "m.gguf").unwrap();
    assert_eq!(weights.view("w").unwrap().grouped(0..1), None);
    assert_eq!(weights.view("v").unwrap().grouped(0..1), None);
}
