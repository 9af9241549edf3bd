//! Pickles that want more than tensors: refused by the name of what they want, in both containers and in none.

use crate::assemble::{Pickle, SIX, both, open, refusal, small, stream};
use ocellus_weights::WeightsError;

/// `{"w": tensor, <what `keep` leaves on the stack as a value>}`
fn beside(keep: impl Fn(Pickle) -> Pickle) -> Vec<u8> {
    let start = Pickle::new().raw(b"}(").text("w").tensor("0", 6, 0, &[6], &[1]);
    keep(start.text("x")).raw(b"u").stop()
}

const FOREIGN: &[(&str, &str)] = &[
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("builtins", "eval"),
    ("__builtin__", "exec"),
    ("builtins", "getattr"),
    ("subprocess", "Popen"),
    ("torch", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("torch.serialization", "_load"),
    ("torch", "FloatStorage.from_file"),
    ("torch._utils", "_rebuild_tensor_v3"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("collections", "OrderedDict.fromkeys"),
    ("collections", "defaultdict"),
    ("argparse", "Namespace"),
    ("_codecs", "encode"),
];

#[test]
fn every_foreign_name_is_refused_by_name() {
    for (module, name) in FOREIGN {
        let call = |p: Pickle| p.raw(b"(").text("id").raw(b"tR");
        let programs = [
            ("called", beside(|p| call(p.global(module, name)))),
            ("kept", beside(|p| p.global(module, name))),
            ("dropped", beside(|p| p.global(module, name).raw(b"0N"))),
            (
                "by the stack",
                beside(|p| call(p.text(module).text(name).raw(b"\x93"))),
            ),
            (
                "as an instance",
                beside(|p| {
                    p.raw(b"(")
                        .text("id")
                        .raw(format!("i{module}\n{name}\n").as_bytes())
                }),
            ),
            (
                "as a new object",
                beside(|p| p.global(module, name).raw(b")\x81")),
            ),
            (
                "as an argument",
                beside(|p| {
                    p.global("collections", "OrderedDict")
                        .raw(b"(")
                        .global(module, name)
                        .raw(b"tR")
                }),
            ),
            (
                "as a state",
                beside(|p| p.raw(b"}").global(module, name).raw(b"b")),
            ),
            (
                "as a type of storage",
                beside(|p| p.raw(b"(").text("storage").global(module, name).raw(b"tQ")),
            ),
        ];
        for (how, saved) in programs {
            let [archive, stream] = both(&saved, &SIX);
            for (container, bytes) in [("zip", archive), ("stream", stream), ("none", saved)] {
                let error = open(bytes).expect_err("the file should be refused");
                assert!(
                    matches!(error, WeightsError::Import { .. }),
                    "{module}.{name} {how}, {container}: {error}"
                );
                assert_eq!(
                    error.to_string(),
                    format!(
                        "model.pth wants to import `{module}.{name}`: only tensors are read, nothing in a checkpoint is \
                         ever executed"
                    ),
                );
            }
        }
    }
}

#[test]
fn a_hostile_pickle_in_every_part_of_the_stream() {
    let hostile = Pickle::new()
        .global("os", "system")
        .raw(b"(")
        .text("id")
        .raw(b"tR")
        .stop();
    let good = stream(&small(), &[("0", 6, &[0; 24])]);
    // The pickles before the saved object are 15 and 6 bytes long.
    for start in [0, 15, 21] {
        let bytes = [&good[..start], &hostile].concat();
        assert!(
            refusal(bytes).contains("wants to import `os.system`"),
            "after byte {start}"
        );
    }
}

#[test]
fn pickles_of_the_first_protocols_are_refused_by_name_too() {
    for program in [&b"cos\nsystem\n(S'id'\ntR."[..], b"(S'id'\nios\nsystem\n."] {
        let message = refusal(program.to_vec());
        assert!(
            message.contains("`os.system`") || message.contains("opcode"),
            "{message}"
        );
    }
    assert!(refusal(b"cos\nsystem\n(S'id'\ntR.".to_vec()).contains("`os.system`"));
}

#[test]
fn a_name_cannot_forge_the_message() {
    let long = "y".repeat(500);
    for (module, name, shown) in [
        ("os\n", "a\u{1b}[31m", "`os\\n.a\\u{1b}[31m`"),
        ("", "", "`.`"),
        (long.as_str(), "z", "yyy….z`"),
    ] {
        for bytes in both(&beside(|p| p.text(module).text(name).raw(b"\x93")), &SIX) {
            let message = refusal(bytes);
            assert!(message.contains(shown) && message.len() < 400, "{message}");
        }
    }
}

#[test]
fn what_is_allowed_cannot_be_used_otherwise() {
    let dict = |p: Pickle| p.global("collections", "OrderedDict");
    let rebuild = |p: Pickle| p.global("torch._utils", "_rebuild_tensor_v2");
    let storage = |p: Pickle| p.global("torch", "FloatStorage");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a storage is called",
            beside(|p| storage(p).raw(b")R")),
            "calls `torch.FloatStorage` in a way",
        ),
        (
            "a text is called",
            beside(|p| p.text("os.system").raw(b")R")),
            "calls something that is no function",
        ),
        (
            "a tensor of nothing",
            beside(|p| rebuild(p).raw(b")R")),
            "`torch._utils._rebuild_tensor_v2` in a way",
        ),
        (
            "no tuple of arguments",
            beside(|p| rebuild(p).raw(b"NR")),
            "`torch._utils._rebuild_tensor_v2` in a way",
        ),
        (
            "a storage that is a text",
            beside(|p| rebuild(p).raw(b"(").text("s").raw(b"K\x00))\x89NtR")),
            "no storage",
        ),
        (
            "a parameter of a text",
            beside(|p| p.global("torch._utils", "_rebuild_parameter").raw(b"(NNNtR")),
            "`torch._utils._rebuild_parameter` in a way",
        ),
        (
            "a dictionary of a number",
            beside(|p| dict(p).raw(b"(](K\x01etR")),
            "no pair",
        ),
        (
            "a state for a tensor",
            beside(|p| p.tensor("0", 6, 0, &[6], &[1]).raw(b"}b")),
            "is no dictionary",
        ),
        (
            "a state for a function",
            beside(|p| rebuild(p).raw(b"}b")),
            "is no dictionary",
        ),
        ("a new object", beside(|p| dict(p).raw(b")\x81")), "opcode 0x81"),
        (
            "a new object by keywords",
            beside(|p| dict(p).raw(b")}\x92")),
            "opcode 0x92",
        ),
        (
            "an instance",
            beside(|p| p.raw(b"(icollections\nOrderedDict\n")),
            "opcode 0x69 (`i`)",
        ),
        (
            "an object",
            beside(|p| dict(p.raw(b"(")).raw(b"o")),
            "opcode 0x6f (`o`)",
        ),
        ("an extension", beside(|p| p.raw(b"\x82\x01")), "opcode 0x82"),
        (
            "a textual persistent id",
            beside(|p| p.raw(b"P0\n")),
            "opcode 0x50 (`P`)",
        ),
        ("an out-of-band buffer", beside(|p| p.raw(b"\x97")), "opcode 0x97"),
        (
            "a text of protocol 0",
            beside(|p| p.raw(b"S'x'\n")),
            "opcode 0x53 (`S`)",
        ),
        (
            "a later protocol",
            beside(|p| p.raw(b"\x80\x06N")),
            "its protocol is 6",
        ),
        (
            "a persistent id of no storage",
            beside(|p| p.raw(b"NQ")),
            "none of a storage",
        ),
        (
            "a persistent id of another kind",
            beside(|p| {
                storage(p.raw(b"(").text("module"))
                    .text("0")
                    .text("cpu")
                    .int(6)
                    .raw(b"tQ")
            }),
            "none of a storage",
        ),
        (
            "an import without a name",
            beside(|p| p.raw(b"NN\x93")),
            "has no name",
        ),
        (
            "an append to a number",
            beside(|p| p.raw(b"K\x01Na")),
            "is no list",
        ),
        ("items of a list", beside(|p| p.raw(b"]NNs")), "is no dictionary"),
        ("a key alone", beside(|p| p.raw(b"}(Nu")), "has no value"),
        (
            "an unknown memory",
            beside(|p| p.raw(b"h\xff")),
            "value 255, which it never remembered",
        ),
        (
            "a text that is not UTF-8",
            beside(|p| p.raw(b"X\x02\0\0\0\xff\xfe")),
            "not UTF-8",
        ),
        (
            "a mark that was not opened",
            Pickle::new().raw(b"t").stop(),
            "never opened",
        ),
        ("an empty stack", Pickle::new().stop(), "empty stack"),
        (
            "a value below the mark",
            Pickle::new().raw(b"}(0").stop(),
            "empty stack",
        ),
        ("no end", Pickle::new().raw(b"}").0, "ends within it"),
        ("a name without an end", Pickle::new().raw(b"cos").0, "has no end"),
    ];
    for (what, saved, expected) in cases {
        let [archive, _] = both(&saved, &SIX);
        let message = refusal(archive);
        assert!(message.contains(expected), "{what}: {message}");
    }
}
