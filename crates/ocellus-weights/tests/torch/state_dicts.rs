//! Where the state dict is found, and what beside it is left out.

use crate::assemble::{Pickle, SIX, both, open, refusal};

fn tensor(pickle: Pickle, name: &str) -> Pickle {
    pickle.text(name).tensor("0", 6, 0, &[6], &[1])
}

fn dict(pickle: Pickle, names: &[&str]) -> Pickle {
    names
        .iter()
        .fold(pickle.raw(b"}("), |pickle, name| tensor(pickle, name))
        .raw(b"u")
}

#[test]
fn the_state_dict_is_found() {
    let top = |pickle: Pickle| pickle.raw(b"u").stop();
    let start = || Pickle::new().raw(b"}(");
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("at the top", top(tensor(tensor(start(), "a"), "b")), &["a", "b"]),
        (
            "at the top, with a number",
            top(tensor(tensor(start(), "a"), "b").text("epoch").int(3)),
            &["a", "b"],
        ),
        ("under model", top(dict(start().text("model"), &["a"])), &["a"]),
        (
            "under state_dict",
            top(dict(start().text("state_dict"), &["a"])),
            &["a"],
        ),
        ("under module", top(dict(start().text("module"), &["a"])), &["a"]),
        (
            "under another name",
            top(dict(start().text("net"), &["a"])),
            &["a"],
        ),
        (
            "under two names",
            top(dict(start().text("checkpoint").raw(b"}").text("model"), &["a"]).raw(b"s")),
            &["a"],
        ),
        (
            "a wrapper goes before others",
            top(dict(dict(start().text("ema"), &["e"]).text("model"), &["a"])),
            &["a"],
        ),
        (
            "a wrapper goes before the tensors beside it",
            top(tensor(
                tensor(dict(start().text("state_dict"), &["a"]), "mean"),
                "deviation",
            )),
            &["a"],
        ),
        (
            "an optimizer's state is numbered",
            top(dict(
                dict(
                    start().text("optimizer").raw(b"}").text("state").raw(b"}K\x00"),
                    &["exp_avg"],
                )
                .raw(b"ss")
                .text("model"),
                &["a"],
            )),
            &["a"],
        ),
    ];
    for (what, saved, expected) in cases {
        for bytes in both(&saved, &SIX) {
            let weights = open(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(weights.names().collect::<Vec<_>>(), expected, "{what}");
        }
    }
}

#[test]
fn metadata_of_the_state_dict_is_left_out() {
    let saved = tensor(
        Pickle::new().global("collections", "OrderedDict").raw(b")R("),
        "a",
    );
    let saved = saved
        .raw(b"u}")
        .text("_metadata")
        .raw(b"}")
        .text("")
        .raw(b"K\x01ssb")
        .stop();
    for bytes in both(&saved, &SIX) {
        assert_eq!(open(bytes).unwrap().names().collect::<Vec<_>>(), ["a"]);
    }
}

#[test]
fn ordered_dictionaries_of_python_2() {
    let saved = Pickle::new()
        .global("collections", "OrderedDict")
        .raw(b"(](](U\x01a");
    let saved = saved.tensor("0", 6, 0, &[6], &[1]).raw(b"eetR").stop();
    for bytes in both(&saved, &SIX) {
        assert_eq!(open(bytes).unwrap().names().collect::<Vec<_>>(), ["a"]);
    }
}

#[test]
fn files_without_a_state_dict() {
    for (what, saved) in [
        ("an empty dictionary", Pickle::new().raw(b"}").stop()),
        ("a number", Pickle::new().int(3).stop()),
        (
            "a tensor alone",
            Pickle::new().tensor("0", 6, 0, &[6], &[1]).stop(),
        ),
        (
            "numbered tensors",
            Pickle::new()
                .raw(b"}K\x00")
                .tensor("0", 6, 0, &[6], &[1])
                .raw(b"s")
                .stop(),
        ),
        (
            "a dictionary that holds itself",
            Pickle::new().raw(b"}q\x00").text("model").raw(b"h\x00s").stop(),
        ),
    ] {
        // The stream also checks that storages and tensors go together, so only the archive is tested here.
        let [archive, _] = both(&saved, &SIX);
        let message = refusal(archive);
        assert!(
            message.contains("nothing saved in it is a dictionary of tensors"),
            "{what}: {message}"
        );
    }
}

#[test]
fn a_name_that_is_set_twice() {
    for bytes in both(&dict(Pickle::new(), &["a", "a"]).stop(), &SIX) {
        assert!(refusal(bytes).contains("tensor `a` is listed twice"));
    }
}
