//! The crates of the workspace as cargo sees them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A crate of the workspace.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    /// Its folder, relative to the root.
    pub room: String,
    pub uses: Vec<Dependency>,
}

#[derive(Debug)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// What code calls it.
    pub word: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Dev,
    Build,
}

impl Package {
    /// Crates in `dev/` serve tests and the build, and stand outside the room table.
    pub fn is_dev(&self) -> bool {
        self.room.starts_with("dev/")
    }
}

pub fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata: no list `packages`")?;
    Ok(packages.iter().map(package).collect())
}

fn package(package: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let manifest = text(&package["manifest_path"]);
    let mut folders: Vec<&str> = manifest.rsplit('/').skip(1).take(2).collect();
    folders.reverse();
    let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let dependency = |value: &Value| {
        let name = text(&value["name"]);
        let word = value["rename"].as_str().unwrap_or(&name).replace('-', "_");
        let kind = match value["kind"].as_str() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        };
        Dependency { name, word, kind }
    };
    Package {
        name: text(&package["name"]),
        room: folders.join("/"),
        uses: dependencies.iter().map(dependency).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_what_code_calls_their_dependencies() {
        let json = serde_json::json!({"name": "ocellus-nn", "manifest_path": "/r/dev/x/Cargo.toml", "dependencies": [
            {"name": "a-b", "kind": null}, {"name": "b", "kind": "dev", "rename": "c-d"}, {"name": "c", "kind": "build"}]});
        let package = package(&json);
        let uses: Vec<(&str, &str, Kind)> = (package.uses.iter())
            .map(|d| (d.name.as_str(), d.word.as_str(), d.kind))
            .collect();
        assert_eq!(
            uses,
            [
                ("a-b", "a_b", Kind::Normal),
                ("b", "c_d", Kind::Dev),
                ("c", "c", Kind::Build)
            ]
        );
        assert_eq!((package.room.as_str(), package.is_dev()), ("dev/x", true));
    }
}
