use super::*;

const TWO: &str = r#"{
    "about": "random numbers",
    "ours": [{"weights": "q8", "bits": 8, "model": "{peers}/m", "arguments": ["--quant", "q8"]}],
    "peers": [{"name": "other", "weights": "int8", "bits": 8, "command": ["{peers}/bin/other", "-n", "{tokens}"],
               "environment": {"THREADS": "{threads}"}, "files": ["{peers}/m.bin"]}]}"#;

fn places() -> Places {
    let line = "--peers-dir /p --threads 2 --tokens 9";
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    Places::new(
        Path::new("/r"),
        Path::new("/r/ocellus"),
        &Options::parse(&words).unwrap(),
    )
}

#[test]
fn a_list_is_read_and_its_places_filled() {
    let list = List::parse(TWO).unwrap();
    let [ours, other] = &list.sides[..] else {
        panic!("{list:?}")
    };
    assert!(ours.is_ours() && !other.is_ours());
    assert_eq!(
        (ours.label(), other.label()),
        ("ocellus q8".into(), "other int8".into())
    );
    let line = places().command(ours).join(" ");
    let expected = "/r/ocellus bench /p/m --image-size 1092x784 --tokens 9 --threads 2 --runs 1 --no-ceilings --json --quant q8";
    assert_eq!(line, expected);
    assert_eq!(places().command(other), ["/p/bin/other", "-n", "9"]);
    assert_eq!(places().environment(other), [("THREADS".into(), "2".into())]);
    assert_eq!(places().files(other), [PathBuf::from("/p/m.bin")]);
}

#[test]
fn a_part_of_the_list_is_chosen_by_name_and_weights() {
    for (words, expected) in [
        ("", "ocellus q8, other int8"),
        ("other", "other int8"),
        ("ocellus:q8", "ocellus q8"),
    ] {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let chosen = List::parse(TWO).unwrap().only(&words).unwrap();
        let labels: Vec<String> = chosen.sides.iter().map(Side::label).collect();
        assert_eq!(labels.join(", "), expected);
    }
    let found = List::parse(TWO).unwrap().only(&["other:q8".into()]).unwrap_err();
    assert_eq!(found, "--only: no `other:q8`, only ocellus:q8, other:int8");
}

#[test]
fn what_is_wrong_with_a_list_is_named() {
    for (from, to, expected) in [
        ("{\n", "", "not JSON"),
        ("\"peers\"", "\"pears\"", "`peers` is no list"),
        ("\"random numbers\"", "1", "`about` is no string"),
        ("\"bits\": 8, \"model\"", "\"model\"", "`bits` is no number"),
        (
            "\"q8\", \"bits\"",
            "\"q,8\", \"bits\"",
            "expected letters, digits",
        ),
        ("\"other\"", "\"ocellus\"", "a peer has a name of its own"),
        (
            "[\"{peers}/bin/other\", \"-n\", \"{tokens}\"]",
            "[]",
            "and a command",
        ),
        ("[\"{peers}/m.bin\"]", "[3]", "`files` is no list of strings"),
        ("\"{threads}\"", "2", "THREADS is no string"),
    ] {
        assert!(TWO.contains(from), "{from}");
        let found = List::parse(&TWO.replacen(from, to, 1)).unwrap_err();
        assert!(found.contains(expected), "{to}: {found}");
    }
    let twice = r#"{"about": "", "ours": [{"weights": "q8", "bits": 8, "model": "m"}, {"weights": "q8", "bits": 8, "model": "n"}],
                    "peers": []}"#;
    assert_eq!(List::parse(twice).unwrap_err(), "`ocellus q8` stands there twice");
}

#[test]
fn the_list_of_the_project_is_in_order() {
    let text = fs::read_to_string(crate::root().join("tools/peers/peers.json")).unwrap();
    let list = List::parse(&text).unwrap();
    assert!(list.sides.iter().any(Side::is_ours));
    for side in &list.sides {
        let all = places().command(side).join(" ");
        assert!(!all.contains(['{', '}']), "a place that nothing fills: {all}");
        let script = side.command.iter().find_map(|word| word.strip_prefix("{repo}/"));
        assert!(
            side.is_ours() || script.is_some_and(|file| crate::root().join(file).is_file()),
            "{all}"
        );
    }
}
