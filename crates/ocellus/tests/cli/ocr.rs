//! `ocr`: where results go, every page of every input, what is cut or skipped is said, what is finished is kept.

use serde_json::Value;

use crate::support::{Place, blank, golden, small_model};

fn place() -> Place {
    let place = Place::new();
    for name in ["a2.png", "a10.png"] {
        place.write(name, blank(40, 30));
    }
    place
}

fn sources(document: &Value) -> Vec<(String, u64)> {
    let pages = document["pages"].as_array().expect("pages");
    let source = |page: &Value| {
        (
            page["source"].as_str().expect("a source").to_owned(),
            page["page"].as_u64().expect("a page"),
        )
    };
    pages.iter().map(source).collect()
}

fn read_json(place: &Place, name: &str) -> Value {
    let bytes = std::fs::read(place.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn every_page_of_a_tiff_is_read_and_frames_that_are_not_are_said() {
    let place = place();
    place.write(
        "pages.tif",
        golden("crates/ocellus-media/tests/formats/three-pages.tif"),
    );
    for name in ["frames.gif", "frames.png", "frames.webp"] {
        place.write(
            name,
            golden(&format!("crates/ocellus-media/tests/formats/{name}")),
        );
    }
    let pages = place.run(
        &["ocr", "a2.png", "pages.tif", "a10.png", "--format", "json"],
        &[],
    );
    assert_eq!((pages.code, pages.stderr.as_str()), (0, ""));
    let found = sources(&serde_json::from_str(&pages.stdout).expect("JSON"));
    let expected = [
        ("a2.png", 1),
        ("pages.tif", 1),
        ("pages.tif", 2),
        ("pages.tif", 3),
        ("a10.png", 1),
    ];
    assert_eq!(found, expected.map(|(name, page)| (name.to_owned(), page)));
    let alone = place.run(&["ocr", "pages.tif", "--format", "jsonl"], &[]);
    assert_eq!((alone.code, alone.stdout.lines().count()), (0, 3));

    small_model(&place, "model");
    for name in ["frames.gif", "frames.png", "frames.webp"] {
        let animation = place.run(&["ocr", name, "--format", "jsonl"], &[]);
        assert_eq!(animation.code, 0, "{}", animation.stderr);
        assert!(
            animation
                .stderr
                .starts_with(&format!("warning: {name}: the first of ")),
            "{}",
            animation.stderr
        );
        let page: Value = serde_json::from_str(&animation.stdout).expect("JSON");
        assert_eq!(page["warnings"][0]["kind"], "skipped", "{page}");
        let quiet = place.run(&["ocr", "-q", name, "--format", "jsonl"], &[]);
        assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
    }
    // Who looks at one picture says that there are more.
    for (name, more) in [
        ("pages.tif", "the first of 3 pages"),
        ("frames.gif", "the first of "),
    ] {
        let asked = ["ask", "-m", "./model", "--image", name, "hi", "--max-tokens", "1"];
        let asked = place.run(&asked, &[]);
        assert_eq!(asked.code, 0, "{}", asked.stderr);
        assert!(asked.stderr.contains(more), "{}", asked.stderr);
        let described = place.run(&["caption", "-m", "./model", name, "--max-tokens", "1"], &[]);
        assert!(described.stderr.contains(more), "{}", described.stderr);
    }
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let place = place();
    small_model(&place, "model");
    let page = [
        "ocr",
        "-m",
        "./model",
        "a2.png",
        "--max-pixels",
        "9000",
        "--max-tokens",
        "2",
    ];
    let cut = place.run(
        &[&page[..], &["--prompt", "read", "--format", "jsonl"]].concat(),
        &[],
    );
    assert_eq!(cut.code, 0, "{}", cut.stderr);
    assert!(
        cut.stderr
            .contains("a2.png, page 1: the text was cut after 2 tokens"),
        "{}",
        cut.stderr
    );
    assert!(cut.stderr.contains("--max-tokens"), "{}", cut.stderr);
    let page: Value = serde_json::from_str(&cut.stdout).expect("JSON");
    assert_eq!(page["warnings"][0]["kind"], "length", "{page}");
    for command in [
        &["ask", "-m", "./model", "hi"][..],
        &["caption", "-m", "./model", "a2.png"],
    ] {
        let cut = place.run(
            &[command, &["--max-tokens", "2", "--format", "json"]].concat(),
            &[],
        );
        assert_eq!(cut.code, 0, "{}", cut.stderr);
        assert!(
            cut.stderr.contains("cut after 2 tokens"),
            "{command:?}: {}",
            cut.stderr
        );
        let answer: Value = serde_json::from_str(&cut.stdout).expect("JSON");
        assert_eq!(answer["warnings"][0]["kind"], "length", "{answer}");
    }
    // What a line reader has no use for is refused.
    for option in [
        ["--prompt", "x"],
        ["--max-tokens", "5"],
        ["--max-pixels", "900"],
        ["--min-pixels", "9"],
    ] {
        let idle = place.run(&[&["ocr", "a2.png"][..], &option].concat(), &[]);
        assert_eq!(idle.code, 2, "{}", idle.stderr);
        assert!(
            idle.stderr.contains(&format!("no use for {}", option[0])),
            "{}",
            idle.stderr
        );
    }
}

#[test]
fn inputs_are_told_apart() {
    let place = place();
    place.write("more/a9.png", blank(40, 30));
    place.write("more/.hidden.png", blank(40, 30));
    place.write("more/doc.pdf", "%PDF-1.7\n");
    let two = place.run(&["ocr", "a2.png", "more"], &[]);
    assert_eq!(two.code, 0);
    assert_eq!(two.stdout, "==> a2.png <==\n\n==> more/a9.png <==\n");
    assert_eq!(
        two.stderr,
        "warning: more/doc.pdf: skipped, this kind of file is not read\n"
    );
    let one = place.run(&["ocr", "a2.png"], &[]);
    assert_eq!((one.code, one.stdout.as_str()), (0, ""));
    let md = place.run(&["ocr", "a2.png", "a10.png", "--format", "md"], &[]);
    assert_eq!(md.stdout, "<!-- a2.png -->\n\n\n<!-- a10.png -->\n\n");
    let folder = place.run(&["ocr", ".", "--format", "json"], &[]);
    let found = sources(&serde_json::from_str(&folder.stdout).expect("JSON"));
    let expected = ["./a2.png", "./a10.png", "./more/a9.png"];
    assert_eq!(found.iter().map(|(name, _)| name).collect::<Vec<_>>(), expected);
}

#[test]
fn a_folder_gets_a_file_for_each_input() {
    let place = place();
    place.write("scans/x.png", blank(40, 30));
    place.write("scans/deep/x.png", blank(40, 30));
    place.write("scans/y.png", blank(40, 30));
    place.write("scans/y.bmp", "no picture");
    let read = [
        "ocr", "scans", "a2.png", "-o", "out/", "--draw", "boxes/", "--format", "json",
    ];
    let read = place.run(&read, &[]);
    assert_eq!(read.code, 1, "one is no picture");
    for (file, source) in [
        ("out/x.json", "scans/x.png"),
        ("out/deep/x.json", "scans/deep/x.png"),
        ("out/y.png.json", "scans/y.png"),
        ("out/a2.json", "a2.png"),
    ] {
        assert_eq!(
            sources(&read_json(&place, file)),
            [(source.to_owned(), 1)],
            "{file}"
        );
    }
    assert!(
        !place.path().join("out/y.bmp.json").exists(),
        "nothing was read of it"
    );
    let drawn = std::fs::read(place.path().join("boxes/deep/x.png")).expect("a picture");
    assert!(drawn.starts_with(b"\x89PNG"));

    place.write("other/x.png", blank(40, 30));
    let clash = place.run(&["ocr", "scans/x.png", "other/x.png", "-o", "out/"], &[]);
    assert_eq!(clash.code, 2, "{}", clash.stderr);
    assert!(
        clash.stderr.contains("would both be written to out/x"),
        "{}",
        clash.stderr
    );
}

#[test]
fn a_table_is_a_table() {
    let place = Place::new();
    place.write("page.png", golden("examples/page.png"));
    let read = |format: &str| {
        let outcome = place.run(&["ocr", "page.png", "--format", format], &[]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        outcome.stdout
    };
    let markdown = read("md");
    for row in [
        "\n\n| Sensor | Reading | Reference | Difference |\n| --- | --- | --- | --- |\n",
        "\n| Relative humidity | 71 % | 73 % | -2 |\n",
        "\n| Wind speed | 4.6 m/s | 4.5 m/s | +0.1 |\n\n",
    ] {
        assert!(markdown.contains(row), "{row}: {markdown}");
    }
    assert_eq!(markdown.matches("\n| ").count(), 6, "{markdown}");
    let document: Value = serde_json::from_str(&read("json")).expect("JSON");
    let lines = document["pages"][0]["lines"].as_array().expect("lines");
    let cell = |text: &str| {
        lines
            .iter()
            .find(|line| line["text"] == text)
            .map(|line| &line["cell"])
    };
    assert_eq!(
        cell("73 %"),
        Some(&serde_json::json!({"table": 0, "row": 2, "column": 2}))
    );
    assert_eq!(cell("1. Summary"), Some(&Value::Null));
}

#[test]
fn drawings_are_what_their_names_say() {
    let place = place();
    let drawn = place.run(&["ocr", "a2.png", "--draw", "boxes.jpg"], &[]);
    assert_eq!((drawn.code, drawn.stderr.as_str()), (0, ""));
    let file = std::fs::read(place.path().join("boxes.jpg")).expect("a picture");
    assert!(file.starts_with(&[0xff, 0xd8]), "JPEG");
    place.write(
        "pages.tif",
        golden("crates/ocellus-media/tests/formats/three-pages.tif"),
    );
    let before = place.files();
    for (arguments, text) in [
        (
            &["a2.png", "--draw", "boxes.webp"][..],
            "--draw writes PNG and JPEG",
        ),
        (
            &["a2.png", "a10.png", "--draw", "x.png"],
            "--draw FILE draws one page",
        ),
        (&["pages.tif", "--draw", "x.png"], "and there are 3"),
        (&["a2.png", "--draw", "-"], "to one place"),
        (&["a2.png", "--draw", "x.png", "-o", "x.png"], "to one place"),
        (
            &["a2.png", "--draw", "a2.png"],
            "a2.png is read and would be replaced",
        ),
        (
            &["a2.png", "a10.png", "-o", "./a10.png"],
            "a10.png is read and would be replaced",
        ),
        (&[".", "-o", "a2.png"], "./a2.png is read and would be replaced"),
    ] {
        let refused = place.run(&[&["ocr"], arguments].concat(), &[]);
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            refused.stderr
        );
        assert!(refused.stderr.contains(text), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(place.files(), before, "nothing is left behind");
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
    use std::process::{Command, Stdio};

    use super::*;

    fn fifo(place: &Place, name: &str) {
        let made = Command::new("mkfifo").arg(place.path().join(name)).status();
        assert!(made.expect("mkfifo").success());
    }

    #[test]
    fn outputs_are_written_to_and_not_replaced() {
        let place = place();
        let at = |name: &str| place.path().join(name);
        fs::write(at("secret"), "old").unwrap();
        fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("secret", at("link")).unwrap();
        let page = |out: &str| place.run(&["ocr", "a2.png", "--format", "jsonl", "-o", out], &[]);
        let link = page("link");
        assert_eq!((link.code, link.stderr.as_str()), (0, ""));
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(fs::metadata(at("secret")).unwrap().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(at("secret")).unwrap().contains("a2.png"));

        for out in ["-", "/dev/stdout", "/dev/fd/1"] {
            let standard = page(out);
            assert_eq!(standard.code, 0, "{}", standard.stderr);
            assert!(standard.stdout.contains("a2.png"), "{out}");
        }
        assert!(!at("-").exists());
        let null = fs::metadata("/dev/null").unwrap();
        assert_eq!(page("/dev/null").code, 0);
        let drawn = place.run(&["ocr", "a2.png", "--draw", "/dev/null"], &[]);
        assert_eq!(drawn.code, 0, "{}", drawn.stderr);
        assert_eq!(fs::metadata("/dev/null").unwrap().ino(), null.ino());

        fifo(&place, "pipe");
        let reader = at("pipe");
        let reader = std::thread::spawn(move || fs::read_to_string(reader));
        assert_eq!(page("pipe").code, 0);
        assert!(reader.join().unwrap().unwrap().contains("a2.png"));
        assert!(fs::symlink_metadata(at("pipe")).unwrap().file_type().is_fifo());

        let missing = page("nodir/x");
        assert_eq!(missing.code, 1);
        assert!(
            missing.stderr.contains("the folder nodir does not exist"),
            "{}",
            missing.stderr
        );
    }

    /// The second input never comes; the first is read, and kept when the program is interrupted.
    #[test]
    fn what_is_finished_is_kept_when_the_rest_is_interrupted() {
        let place = place();
        fifo(&place, "never.png");
        for (format, out) in [
            ("jsonl", None),
            ("json", Some("out.json")),
            ("text", Some("out/")),
        ] {
            let mut command = place.command(&["ocr", "a2.png", "never.png", "--format", format]);
            command.args(out.iter().flat_map(|out| ["-o", *out]));
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            match out {
                // It is there before anything ends.
                None => assert!(stdout.read_line(&mut line).unwrap() > 0),
                Some("out/") => {
                    while !place.path().join("out/a2.txt").exists() {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                }
                Some(_) => {
                    while !place.files().iter().any(|name| name.ends_with(".part")) {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                }
            }
            let id = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args(["-INT", &id])
                    .status()
                    .unwrap()
                    .success()
            );
            assert_eq!(child.wait().unwrap().code(), Some(130), "{format}");
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert_eq!(said, "error: interrupted\n", "{format}");
        }
        assert_eq!(
            sources(&read_json(&place, "out.json")),
            [("a2.png".to_owned(), 1)]
        );
        assert!(
            place.files().iter().all(|name| !name.ends_with(".part")),
            "{:?}",
            place.files()
        );
    }
}
