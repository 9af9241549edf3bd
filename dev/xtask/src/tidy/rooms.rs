//! The room table of `ARCHITECTURE.md` against the crates' real dependencies.
//!
//! Two fenced blocks are read. ```` ```rooms ```` is the table, top row first: a crate may use only rows below its
//! own. ```` ```absent ```` holds a room and the outside crates that must not be among its dependencies.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::metadata::{Kind, Package, packages};

/// The page is read in one sitting or not at all.
const PAGE_LINES: usize = 300;

/// What the page promises.
#[derive(Debug, Default, PartialEq)]
struct Table {
    /// Room to row, the top row being 0.
    rows: BTreeMap<String, usize>,
    /// Room to outside crates it must do without.
    absent: BTreeMap<String, Vec<String>>,
}

pub fn failures(root: &Path) -> Vec<String> {
    let page = match fs::read_to_string(root.join("ARCHITECTURE.md")) {
        Ok(page) => page,
        Err(error) => return vec![format!("ARCHITECTURE.md: {error}")],
    };
    let mut failures = Vec::new();
    let lines = page.lines().count();
    if lines > PAGE_LINES {
        failures.push(format!(
            "ARCHITECTURE.md: {lines} lines; at most {PAGE_LINES} are read by anyone"
        ));
    }
    match (parse(&page), packages(root)) {
        (Ok(table), Ok(packages)) => failures.extend(check(&table, &packages)),
        (table, packages) => failures.extend([table.err(), packages.err()].into_iter().flatten()),
    }
    failures
}

fn parse(page: &str) -> Result<Table, String> {
    let block = |name: &str| -> Option<Vec<&str>> {
        let start = page
            .lines()
            .position(|line| line.trim() == format!("```{name}"))?;
        Some(
            page.lines()
                .skip(start + 1)
                .take_while(|line| !line.starts_with("```"))
                .collect(),
        )
    };
    let mut table = Table::default();
    for (row, line) in block("rooms")
        .ok_or("ARCHITECTURE.md: no fenced block `rooms`")?
        .iter()
        .enumerate()
    {
        for room in line.split_whitespace() {
            if table.rows.insert(room.to_string(), row).is_some() {
                return Err(format!(
                    "ARCHITECTURE.md: room `{room}` stands in the table twice"
                ));
            }
        }
    }
    for line in block("absent").ok_or("ARCHITECTURE.md: no fenced block `absent`")? {
        let mut words = line.split_whitespace().map(str::to_string);
        let Some(room) = words.next() else { continue };
        if !table.rows.contains_key(&room) {
            return Err(format!(
                "ARCHITECTURE.md: `{room}` of block `absent` is not in the room table"
            ));
        }
        table.absent.entry(room).or_default().extend(words);
    }
    Ok(table)
}

/// `ocellus-nn` is room `nn`; the binary is room `ocellus`.
fn room(package: &str) -> &str {
    package.strip_prefix("ocellus-").unwrap_or(package)
}

fn check(table: &Table, packages: &[Package]) -> Vec<String> {
    let mut failures = Vec::new();
    let rooms: Vec<&Package> = packages.iter().filter(|package| !package.is_dev()).collect();
    for name in table
        .rows
        .keys()
        .filter(|name| !rooms.iter().any(|package| room(&package.name) == **name))
    {
        failures.push(format!("ARCHITECTURE.md: room `{name}` has no crate"));
    }
    for package in rooms {
        let name = &package.name;
        let Some(own) = table.rows.get(room(name)) else {
            failures.push(format!("crates/{name}: not in the room table of ARCHITECTURE.md"));
            continue;
        };
        let uses = package.uses.iter().filter(|used| used.kind != Kind::Dev);
        for used in uses.map(|used| &used.name) {
            let inside = packages.iter().find(|package| package.name == *used);
            if inside.is_some_and(|package| package.is_dev()) {
                failures.push(format!("crates/{name}: `{used}` may be a dev-dependency only"));
            } else if inside.is_some() && table.rows.get(room(used)).is_none_or(|row| row <= own) {
                failures.push(format!(
                    "crates/{name}: uses `{used}`, which is not in a row below it"
                ));
            } else if table
                .absent
                .get(room(name))
                .is_some_and(|absent| absent.contains(used))
            {
                failures.push(format!(
                    "crates/{name}: uses `{used}`, which its room must do without"
                ));
            }
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;

    const PAGE: &str =
        "text\n```rooms\nocellus\nengine  data\nkernels base\n```\n```absent\nengine image\n```\n";

    /// `(name, in dev/, uses)`
    type Made = (&'static str, bool, &'static [&'static str]);

    fn packages(list: &[Made]) -> Vec<Package> {
        let package = |&(name, dev, uses): &Made| Package {
            name: name.into(),
            room: format!("{}/{name}", if dev { "dev" } else { "crates" }),
            uses: uses.iter().map(|used| used_as(used, Kind::Normal)).collect(),
        };
        list.iter().map(package).collect()
    }

    #[test]
    fn the_table_is_read() {
        let table = parse(PAGE).unwrap();
        assert_eq!(
            (table.rows["ocellus"], table.rows["data"], table.rows["base"]),
            (0, 1, 2)
        );
        assert_eq!(table.absent["engine"], ["image"]);
        assert!(parse("nothing").unwrap_err().contains("`rooms`"));
        assert!(
            parse("```rooms\na\na\n```\n```absent\n```")
                .unwrap_err()
                .contains("twice")
        );
        assert!(
            parse("```rooms\na\n```\n```absent\nb x\n```")
                .unwrap_err()
                .contains("`b`")
        );
    }

    #[test]
    fn each_way_to_break_the_table_is_named() {
        let good: [Made; 6] = [
            ("ocellus", false, &["ocellus-engine", "ocellus-base", "serde"]),
            ("ocellus-engine", false, &["ocellus-base"]),
            ("ocellus-data", false, &[]),
            ("ocellus-kernels", false, &[]),
            ("ocellus-base", false, &[]),
            ("ocellus-testkit", true, &["serde"]),
        ];
        let table = parse(PAGE).unwrap();
        assert_eq!(check(&table, &packages(&good)), Vec::<String>::new());
        let broken: [(usize, Made, &str); 6] = [
            (
                4,
                ("ocellus-base", false, &["ocellus-engine"]),
                "not in a row below",
            ),
            (
                1,
                ("ocellus-engine", false, &["ocellus-data"]),
                "not in a row below",
            ),
            (1, ("ocellus-engine", false, &["image"]), "must do without"),
            (
                1,
                ("ocellus-engine", false, &["ocellus-testkit"]),
                "dev-dependency only",
            ),
            (2, ("ocellus-new", false, &[]), "not in the room table"),
            (2, ("ocellus-new", false, &[]), "room `data` has no crate"),
        ];
        for (place, package, message) in broken {
            let mut list = good;
            list[place] = package;
            let failures = check(&table, &packages(&list)).join("\n");
            assert!(failures.contains(message), "{message}: {failures}");
        }
    }

    fn used_as(name: &str, kind: Kind) -> Dependency {
        Dependency {
            name: name.into(),
            word: name.into(),
            kind,
        }
    }

    #[test]
    fn development_dependencies_are_free() {
        let table = parse("```rooms\nnn\nbase\n```\n```absent\nnn image\n```").unwrap();
        for (kind, count) in [(Kind::Dev, 0), (Kind::Build, 1), (Kind::Normal, 1)] {
            let mut list = packages(&[("ocellus-nn", false, &[]), ("ocellus-base", false, &[])]);
            list[0].uses.push(used_as("image", kind));
            assert_eq!(check(&table, &list).len(), count, "{kind:?}");
        }
    }
}
