//! Small files that ask for much: each meets its bound, and nothing nests deep enough to end the process.

use crate::assemble::{Pickle, SIX, archive, both, floats, open, refusal};
use ocellus_base::limits;

/// `{"w": tensor}` after `work`, which leaves nothing on the stack.
fn after(work: Vec<u8>) -> Vec<u8> {
    let tensor = Pickle::new()
        .raw(&work)
        .raw(b"}")
        .text("w")
        .tensor("0", 6, 0, &[6], &[1]);
    archive(&tensor.raw(b"s").stop(), &[("0", &floats(&SIX))])
}

#[test]
fn every_count_of_the_machine_is_bounded() {
    let remember = |count: usize| -> Vec<u8> {
        let put = |key: usize| [&b"r"[..], &(key as u32).to_le_bytes()].concat();
        let puts: Vec<u8> = (0..count).flat_map(put).collect();
        [b"N".to_vec(), puts, b"0".to_vec()].concat()
    };
    let text = |bytes: usize| [&b"X"[..], &(bytes as u32).to_le_bytes(), &vec![b'a'; bytes], b"0"].concat();
    let marks = |count: usize| [vec![b'('; count], vec![b'1'; count]].concat();
    let cases = [
        ("marks", marks(limits::PICKLE_MARKS), None),
        (
            "marks",
            marks(limits::PICKLE_MARKS + 1),
            Some("more than 1000 marks"),
        ),
        ("memory", remember(limits::PICKLE_MEMO), None),
        (
            "memory",
            remember(limits::PICKLE_MEMO + 1),
            Some("remembers more than 2097152 values"),
        ),
        (
            "opcodes",
            b"N0".repeat(limits::PICKLE_OPCODES / 2),
            Some("more than the 4194304 opcodes"),
        ),
        ("text", text(limits::PICKLE_TEXT_BYTES), None),
        (
            "text",
            text(limits::PICKLE_TEXT_BYTES + 1),
            Some("text of 1048577 bytes"),
        ),
        (
            "pickle",
            text(limits::PICKLE_TEXT_BYTES).repeat(64),
            Some("longer than the 67108864 bytes"),
        ),
    ];
    for (what, work, expected) in cases {
        match expected {
            Some(expected) => assert!(refusal(after(work)).contains(expected), "{what}"),
            None => assert_eq!(open(after(work)).unwrap().len(), 1, "{what}"),
        }
    }
}

#[test]
fn counts_that_are_only_announced_cost_nothing() {
    for (announced, expected) in [
        (&b"X\xff\xff\xff\xff"[..], "text of 4294967295 bytes"),
        (
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
            "text of 18446744073709551615 bytes",
        ),
        (
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
            "text of 9223372036854775807 bytes",
        ),
        (b"\x8b\xff\xff\xff\xff", "text of 4294967295 bytes"),
        (b"\x8b\x00\x00\x10\x00", "ends within it"),
    ] {
        assert!(refusal(after(announced.to_vec())).contains(expected));
    }
}

#[test]
fn nesting_is_as_deep_as_it_likes() {
    let tuples = [&b")"[..], &b"\x85".repeat(200_000), b"0"].concat();
    assert_eq!(open(after(tuples)).unwrap().len(), 1);
    let lists = [b"]".repeat(200_000), b"a".repeat(199_999), b"0".to_vec()].concat();
    assert_eq!(open(after(lists)).unwrap().len(), 1);
    let dictionaries = [
        b"}U\x05model".repeat(100_000),
        b"Ns".to_vec(),
        b"s".repeat(99_999),
        b"0".to_vec(),
    ]
    .concat();
    assert_eq!(open(after(dictionaries)).unwrap().len(), 1);
}

#[test]
fn doubling_costs_one_step_per_doubling() {
    // Each tuple holds the one before twice: 2^1000 leaves in total.
    let doubled = [&b")q\x00"[..], &b"0h\x00h\x00\x86q\x00".repeat(1000), b"0"].concat();
    assert_eq!(open(after(doubled)).unwrap().len(), 1);
}

#[test]
fn a_remembered_list_is_not_copied_without_end() {
    // A list of pairs, made into an ordered dictionary again and again.
    let pairs = b"]q\x00("
        .to_vec()
        .into_iter()
        .chain(b"NN\x86".repeat(10_000))
        .chain(*b"e0");
    let copies = b"ccollections\nOrderedDict\nh\x00\x85R0".repeat(1000);
    let message = refusal(after(pairs.chain(copies).collect()));
    assert!(message.contains("copies more than 2097152 pairs"), "{message}");
}

#[test]
fn tensors_that_ask_for_more_than_the_file_holds() {
    let one = |shape: &[i64], strides: &[i64], offset: i64| {
        Pickle::new()
            .raw(b"}")
            .text("w")
            .tensor("0", 6, offset, shape, strides)
            .raw(b"s")
            .stop()
    };
    /// What, shape, strides, offset, part of the message.
    type Case = (&'static str, &'static [i64], &'static [i64], i64, &'static str);
    let cases: &[Case] = &[
        ("expanded", &[1 << 40], &[0], 0, "repeats the 6 elements"),
        ("expanded a little", &[7], &[0], 0, "repeats the 6 elements"),
        ("negative stride", &[2], &[-1], 3, "may not be negative"),
        ("negative side", &[-1], &[1], 0, "may not be negative"),
        ("negative offset", &[1], &[1], -1, "may not be negative"),
        ("offset at the end", &[1], &[1], 6, "ends at element 7"),
        ("a stride outside", &[2, 2], &[6, 1], 0, "ends at element 8"),
        (
            "overflow of the product",
            &[i64::MAX, i64::MAX],
            &[0, 0],
            0,
            "can be addressed",
        ),
        (
            "overflow of the end",
            &[2, 2],
            &[i64::MAX, i64::MAX],
            2,
            "can be addressed",
        ),
        (
            "more strides than sides",
            &[2],
            &[1, 1],
            0,
            "1 dimensions have 2 strides",
        ),
        (
            "nine dimensions",
            &[1; 9],
            &[1; 9],
            0,
            "a tensor has 9 dimensions, more than the 8",
        ),
        (
            "a shape of a thousand",
            &[1; 1000],
            &[1],
            0,
            "a tensor has 1000 dimensions",
        ),
    ];
    for (what, shape, strides, offset, expected) in cases {
        for bytes in both(&one(shape, strides, *offset), &SIX) {
            let message = refusal(bytes);
            assert!(message.contains(expected), "{what}: {message}");
        }
    }
    let longer = Pickle::new()
        .raw(b"}")
        .text("w")
        .tensor("0", i64::MAX, 0, &[6], &[1])
        .raw(b"s")
        .stop();
    for bytes in both(&longer, &SIX) {
        refusal(bytes);
    }
}

#[test]
fn copies_together_stay_below_the_size_of_the_file() {
    // Every tensor has other strides, so that each needs a copy of its own.
    let tensors = (0..100).fold(Pickle::new().raw(b"}("), |pickle, i| {
        pickle
            .text(&format!("w{i}"))
            .tensor("0", 4096, i, &[2, 1900], &[1, 2])
    });
    let saved = tensors.raw(b"u").stop();
    let message = refusal(archive(&saved, &[("0", &[0; 4 * 4096])]));
    assert!(
        message.contains("the copies would be larger than the file"),
        "{message}"
    );
}
