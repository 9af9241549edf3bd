//! Only the binary reads the environment and the clock, and only the binary prints.

use super::source::Tree;

/// Where reaching out is somebody's work.
const MAY: [&str; 2] = ["crates/ocellus", "dev/xtask"];

/// What it looks like in code, and what it is.
const REACHES: [(&str, &str); 14] = [
    ("env::var(", "reads the environment"),
    ("env::var_os(", "reads the environment"),
    ("env::vars(", "reads the environment"),
    ("env::vars_os(", "reads the environment"),
    ("env::args(", "reads the environment"),
    ("env::args_os(", "reads the environment"),
    ("env::current_dir(", "reads the environment"),
    ("print!(", "prints"),
    ("println!(", "prints"),
    ("dbg!(", "prints"),
    ("io::stdout(", "prints"),
    ("io::stderr(", "prints"),
    ("Instant::now", "reads the clock"),
    ("SystemTime::now", "reads the clock"),
];

pub fn failures(tree: &Tree) -> Vec<String> {
    let mut failures = Vec::new();
    for source in tree
        .shipped()
        .filter(|source| !MAY.contains(&source.room.as_str()))
    {
        for (number, line) in source.code.lines().enumerate() {
            if let Some((pattern, what)) = REACHES.iter().find(|(pattern, _)| line.contains(pattern)) {
                let (path, number) = (&source.path, number + 1);
                failures.push(format!(
                    "{path}:{number}: {what} (`{pattern}`), which only the binary may"
                ));
            }
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn each_reach_fails_in_a_room_and_nowhere_else() {
        let bodies = [
            "let x = std::env::var(\"HOME\");",
            "for a in env::args() {}",
            "println!(\"x\");",
            "eprint!(\"x\");",
            "let t = Instant::now();",
            "let t = std::time::SystemTime::now();",
            "writeln!(io::stderr(), \"x\");",
        ];
        for body in bodies {
            for (path, count) in [
                ("crates/ocellus-nn/src/a.rs", 1),
                ("dev/ocellus-testkit/src/a.rs", 1),
                ("crates/ocellus/src/a.rs", 0),
                ("dev/xtask/src/a.rs", 0),
                ("crates/ocellus-nn/tests/a.rs", 0),
                ("crates/ocellus-nn/src/a/tests.rs", 0),
                ("crates/ocellus-nn/benches/a.rs", 0),
                ("crates/ocellus-nn/build.rs", 0),
            ] {
                assert_eq!(failures(&tree(&[(path, body)])).len(), count, "{path}: {body}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        let text = "/// println!(\"x\")\nconst A: &str = \"Instant::now\";\nlet x = env!(\"CARGO\"); writeln!(out, \"x\");\n\
                    #[cfg(test)]\nmod tests { fn f() { println!(\"x\"); } }";
        assert_eq!(
            failures(&tree(&[("crates/ocellus-nn/src/a.rs", text)])),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_line_is_named() {
        let found = failures(&tree(&[(
            "crates/ocellus-nn/src/a.rs",
            "\n/* a\n b */\nlet t = Instant::now();",
        )]));
        assert!(
            found[0].starts_with("crates/ocellus-nn/src/a.rs:4: reads the clock"),
            "{found:?}"
        );
    }
}
