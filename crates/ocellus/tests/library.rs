//! The programs of `examples/` run, and a program without a command line is not given one.

use std::process::Command;

#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../examples/library.rs"]
mod library;

#[test]
fn the_example_reads_the_page() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = library::text_of(&format!("{root}/examples/page.png")).unwrap();
    let truth = std::fs::read_to_string(format!("{root}/examples/page.txt")).unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (read, truth) = (words(&read), words(&truth));
    let found = truth.iter().filter(|word| read.contains(word)).count();
    assert!(
        found * 10 >= truth.len() * 9,
        "{found} of {} words were read",
        truth.len()
    );

    let source = include_str!("../examples/library.rs");
    let code = source
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() <= 15, "a program that fits on a card");
}

/// What `cargo add ocellus --no-default-features` brings.
#[test]
fn without_the_feature_cli_nothing_of_a_command_line_is_built() {
    let tree = |features: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "-p",
                "ocellus",
                "-e",
                "normal",
                "--prefix",
                "none",
                "-f",
                "{lib}",
            ])
            .args(features)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let of_commands = [
        "clap",
        "clap_complete",
        "ctrlc",
        "indicatif",
        "mimalloc",
        "sysinfo",
        "ocellus_train",
        "ocellus_synth",
        "ocellus_parity",
    ];
    let (all, library) = (tree(&[]), tree(&["--no-default-features"]));
    let has = |tree: &str, name: &str| tree.lines().any(|line| line.trim() == name);
    for name in of_commands {
        assert!(has(&all, name), "{name} is not of the command line any more");
        assert!(!has(&library, name), "{name} is in the library");
    }
    assert!(has(&library, "ocellus_session"));
}

#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../examples/two_requests.rs"]
mod two_requests;

/// Two lines of the page, as pictures of their own.
fn lines() -> [Vec<u8>; 2] {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png")).unwrap();
    let page = ocellus_media::decode(&file, &Default::default()).unwrap().image;
    let mut lines = ocellus_tasks::layout::find_lines(&page).lines;
    lines.sort_by(|a, b| (b.bbox[2] - b.bbox[0]).total_cmp(&(a.bbox[2] - a.bbox[0])));
    [0, 1].map(|i| {
        let [x1, y1, x2, y2] = lines[i].bbox.map(|side| side as u32);
        // The beginning of the line: a strip is not as wide as a page.
        let (width, height) = ((x2 - x1).min((y2 - y1) * 12), y2 - y1);
        let whole = image::RgbImage::from_raw(page.width, page.height, page.data.clone()).unwrap();
        let line = image::imageops::crop_imm(&whole, x1, y1, width, height).to_image();
        let mut png = std::io::Cursor::new(Vec::new());
        line.write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    })
}

#[test]
fn two_requests_stream_at_once_and_one_is_cancelled() {
    use ocellus::engine::FinishReason;
    use ocellus::{Checkpoint, Conversation, GenerationOptions, OpenOptions, PixelBounds, Session};

    let session = Session::open(&Checkpoint::built_in(), &OpenOptions::default()).unwrap();
    let pictures = lines();
    let alone = [0, 1].map(|i| {
        let picture = session.picture(&pictures[i], PixelBounds::default()).unwrap();
        let talk = Conversation::about_images(1, "");
        let mut events = Vec::new();
        let answer = session.ask(&talk, &[picture], &GenerationOptions::default(), &mut |event| {
            use ocellus::Event::{Finished, PicturePrepared, Started, Text, Warning};
            events.push(match event {
                PicturePrepared { index, .. } => format!("picture {index}"),
                Warning(text) => text.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" "),
                Started { image_tokens, .. } => format!("{} tokens", image_tokens.min(1)),
                Text(_) => "text".to_owned(),
                Finished(reason) => reason.as_str().to_owned(),
            });
            std::ops::ControlFlow::Continue(())
        });
        events.dedup();
        assert_eq!(events, ["picture 0", "only reads:", "1 tokens", "text", "stop"]);
        answer.unwrap()
    });
    assert!(alone.iter().all(|answer| answer.tokens.len() > 8), "{alone:?}");

    let most = 5;
    let (heard, order) = two_requests::stream(&session, [&pictures[0], &pictures[1]], most).unwrap();
    assert_eq!(heard[0].text, alone[0].text);
    assert_eq!(heard[0].finish, Some(FinishReason::Stop));
    assert_eq!(
        (heard[1].tokens, heard[1].finish),
        (most, Some(FinishReason::Cancelled))
    );
    assert!(
        alone[1].text.starts_with(&heard[1].text),
        "{:?} of {:?}",
        heard[1],
        alone[1].text
    );
    // In turns, until one is cancelled.
    assert_eq!(order[..2 * most], [0, 1].repeat(most));
}
