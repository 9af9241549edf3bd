//! Types, strides, tied and special tensors, in both containers.

use crate::assemble::{Pickle, SIX, archive, both, floats, open, refusal, small, stream};
use ocellus_weights::Dtype;

fn one(tensor: impl Fn(Pickle) -> Pickle) -> Vec<u8> {
    tensor(Pickle::new().raw(b"}").text("w")).raw(b"s").stop()
}

#[test]
fn both_containers_hold_the_same() {
    for bytes in both(&small(), &SIX) {
        let weights = open(bytes).unwrap();
        let view = weights.view("w").unwrap();
        assert_eq!((view.dtype, &view.shape[..]), (Dtype::F32, &[2, 3][..]));
        assert_eq!(view.to_f32().unwrap(), SIX);
        assert_eq!(weights.total_bytes(), 24);
    }
}

#[test]
fn every_layout_gives_its_elements_in_the_order_of_rows() {
    for (what, offset, shape, strides, expected) in [
        (
            "transposed",
            0,
            &[3, 2][..],
            &[1, 3][..],
            &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0][..],
        ),
        ("columns", 1, &[2, 2], &[3, 1], &[2.0, 3.0, 5.0, 6.0]),
        ("every second", 0, &[3], &[2], &[1.0, 3.0, 5.0]),
        ("with an offset", 2, &[2, 2], &[2, 1], &[3.0, 4.0, 5.0, 6.0]),
        ("scalar", 5, &[], &[], &[6.0]),
        ("empty", 0, &[0, 3], &[3, 1], &[]),
        ("one row, any stride", 0, &[1, 6], &[0, 1], &SIX),
        (
            "a row twice",
            0,
            &[2, 3],
            &[0, 1],
            &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0],
        ),
    ] {
        for bytes in both(&one(|p| p.tensor("0", 6, offset, shape, strides)), &SIX) {
            let weights = open(bytes).unwrap();
            let view = weights.view("w").unwrap();
            assert_eq!(view.to_f32().unwrap(), expected, "{what}");
            assert!(
                view.shape
                    .iter()
                    .zip(shape)
                    .all(|(got, side)| *got as i64 == *side),
                "{what}"
            );
        }
    }
}

#[test]
fn storages_of_every_type() {
    let data: Vec<u8> = (0..16).collect();
    for (class, dtype) in [
        ("FloatStorage", Dtype::F32),
        ("HalfStorage", Dtype::F16),
        ("BFloat16Storage", Dtype::Bf16),
        ("DoubleStorage", Dtype::F64),
        ("LongStorage", Dtype::I64),
        ("IntStorage", Dtype::I32),
        ("ShortStorage", Dtype::I16),
        ("CharStorage", Dtype::I8),
        ("ByteStorage", Dtype::U8),
        ("BoolStorage", Dtype::Bool),
    ] {
        let count = (16 / dtype.size_bytes()) as i64;
        let saved = one(|p| p.tensor_of(class, "k", count, 0, &[count], &[1]));
        for bytes in [
            archive(&saved, &[("k", &data)]),
            stream(&saved, &[("k", count, &data)]),
        ] {
            let weights = open(bytes).unwrap();
            let view = weights.view("w").unwrap();
            assert_eq!((view.dtype, &view.bytes[..]), (dtype, &data[..]), "{class}");
        }
    }
}

#[test]
fn doubles_are_read_but_not_rounded_silently() {
    let saved = one(|p| p.tensor_of("DoubleStorage", "k", 1, 0, &[1], &[1]));
    let weights = open(archive(&saved, &[("k", &1.5f64.to_le_bytes())])).unwrap();
    let message = weights.view("w").unwrap().to_f32().unwrap_err().to_string();
    assert_eq!(
        message,
        "tensor `w` has element type F64, expected F32, F16 or BF16"
    );
}

#[test]
fn parameters_and_old_tensors_are_tensors() {
    let rebuilt = |p: Pickle| {
        p.global("torch._utils", "_rebuild_tensor")
            .raw(b"(")
            .storage("FloatStorage", "0", 6)
            .int(0)
            .ints(&[6])
            .ints(&[1])
            .raw(b"tR")
    };
    let parameter = |p: Pickle| {
        rebuilt(p.global("torch._utils", "_rebuild_parameter").raw(b"("))
            .raw(b"\x88ccollections\nOrderedDict\n)RtR")
    };
    for saved in [one(rebuilt), one(parameter)] {
        for bytes in both(&saved, &SIX) {
            assert_eq!(open(bytes).unwrap().view("w").unwrap().to_f32().unwrap(), SIX);
        }
    }
}

#[test]
fn tied_tensors_share_their_bytes() {
    let saved = Pickle::new()
        .raw(b"}(")
        .text("a")
        .tensor("0", 6, 0, &[2, 3], &[3, 1])
        .raw(b"r\x07\0\0\0")
        .text("b")
        .raw(b"j\x07\0\0\0")
        .text("c")
        .tensor("0", 6, 3, &[3], &[1])
        .text("t")
        .tensor("0", 6, 0, &[3, 2], &[1, 3])
        .text("u")
        .tensor("0", 6, 0, &[3, 2], &[1, 3])
        .raw(b"u")
        .stop();
    for bytes in both(&saved, &SIX) {
        let weights = open(bytes).unwrap();
        let bytes = |name: &str| weights.view(name).unwrap().bytes;
        assert_eq!(bytes("a").as_ptr(), bytes("b").as_ptr());
        assert_eq!(bytes("c"), &bytes("a")[12..]);
        assert_eq!(
            bytes("t").as_ptr(),
            bytes("u").as_ptr(),
            "equal copies are made once"
        );
    }
}

#[test]
fn the_old_stream_can_hold_views_of_storages() {
    let view = |first: i64, count: i64| {
        one(|p| {
            p.global("torch._utils", "_rebuild_tensor_v2")
                .raw(b"((")
                .text("storage")
                .global("torch", "FloatStorage")
                .text("0")
                .text("cpu")
                .int(6)
                .raw(b"(")
                .text("view")
                .int(first)
                .int(count)
                .raw(b"ttQ")
                .int(1)
                .ints(&[2])
                .ints(&[1])
                .raw(b"\x89}tR")
        })
    };
    let data = floats(&SIX);
    let weights = open(stream(&view(2, 3), &[("0", 6, &data)])).unwrap();
    assert_eq!(weights.view("w").unwrap().to_f32().unwrap(), [4.0, 5.0]);
    for (first, count, expected) in [
        (2, 2, "ends at element 3 of its storage, which holds 2"),
        (4, 3, "a part that cannot be"),
        (-1, 3, "a part that cannot be"),
        (i64::MAX, 1, "a part that cannot be"),
    ] {
        let message = refusal(stream(&view(first, count), &[("0", 6, &data)]));
        assert!(message.contains(expected), "{first}, {count}: {message}");
    }
}

#[test]
fn data_at_odd_places_converts() {
    for pad in 1..8 {
        let saved = one(|p| p.text(&"x".repeat(pad)).raw(b"0").tensor("0", 6, 0, &[6], &[1]));
        for bytes in both(&saved, &SIX) {
            assert_eq!(
                open(bytes).unwrap().view("w").unwrap().to_f32().unwrap(),
                SIX,
                "{pad}"
            );
        }
    }
}
