//! The resize against its definition, level by level.

use super::*;
use proptest::prelude::*;

/// The definition, one output level at a time, in the order of the text above.
fn oracle(image: &Gray, width: u32, height: u32) -> Gray {
    let pass = |source: &Gray, width: u32| {
        let windows = Windows::new(Falloff::Cubic, Rounding::Pillow, source.width, width);
        let mut data = Vec::new();
        for y in 0..source.height {
            for x in 0..width {
                let (first, weights) = windows.at(x as usize);
                let sum: i64 = (0..)
                    .zip(weights)
                    .map(|(tap, &weight)| i64::from(source.pixel(first as u32 + tap, y)) * i64::from(weight))
                    .sum();
                data.push(((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS).clamp(0, 255) as u8);
            }
        }
        Gray {
            width,
            height: source.height,
            data,
        }
    };
    let turn = |source: &Gray| {
        let data = (0..source.width).flat_map(|x| (0..source.height).map(move |y| source.pixel(x, y)));
        Gray {
            width: source.height,
            height: source.width,
            data: data.collect(),
        }
    };
    let rows = |image: &Gray| match image.width == width {
        true => image.clone(),
        false => pass(image, width),
    };
    let columns = |image: &Gray| match image.height == height {
        true => image.clone(),
        false => turn(&pass(&turn(image), height)),
    };
    match columns_first((image.width, image.height), (width, height)) {
        true => rows(&columns(image)),
        false => columns(&rows(image)),
    }
}

fn gray() -> impl Strategy<Value = Gray> {
    (1u32..70, 1u32..70).prop_flat_map(|(width, height)| {
        proptest::collection::vec(any::<u8>(), (width * height) as usize).prop_map(move |data| Gray {
            width,
            height,
            data,
        })
    })
}

proptest! {
    #[test]
    fn grey_equals_the_definition(image in gray(), width in 1u32..90, height in 1u32..90) {
        prop_assert!(resize_gray(&image, width, height).data == oracle(&image, width, height).data);
    }

    #[test]
    fn rgb_is_three_greys(image in gray(), width in 1u32..90, height in 1u32..90) {
        // Channels that differ: the picture, its negative, and a constant.
        let data = image.data.iter().flat_map(|&level| [level, 255 - level, 77]).collect();
        let rgb = resize(&Rgb { width: image.width, height: image.height, data }, width, height);
        let negative = Gray { data: image.data.iter().map(|&level| 255 - level).collect(), ..image.clone() };
        let red: Vec<u8> = rgb.data.iter().copied().step_by(3).collect();
        let green: Vec<u8> = rgb.data.iter().copied().skip(1).step_by(3).collect();
        prop_assert_eq!(red, resize_gray(&image, width, height).data);
        prop_assert_eq!(green, resize_gray(&negative, width, height).data);
        prop_assert!(rgb.data.iter().skip(2).step_by(3).all(|&level| level == 77));
    }

    #[test]
    fn the_same_size_is_the_same_picture(image in gray()) {
        prop_assert_eq!(resize_gray(&image, image.width, image.height), image);
    }
}

#[test]
fn threads_change_nothing() {
    // Large enough for threads, and not a multiple of any band.
    let (width, height) = (401, 311);
    let data = (0..width * height).map(|at| (at * 37 % 251) as u8).collect();
    let image = Gray { width, height, data };
    for (width, height) in [
        (523, 307),
        (523, 150),
        (401, 999),
        (777, 311),
        (401, 311),
        (90, 1),
    ] {
        assert!(
            resize_gray(&image, width, height).data == oracle(&image, width, height).data,
            "{width} x {height}"
        );
    }
}

#[test]
#[should_panic(expected = "both sides must be at least 1")]
fn an_empty_target_is_a_bug_of_the_caller() {
    resize(&Rgb::filled(3, 3, [0; 3]), 0, 3);
}
