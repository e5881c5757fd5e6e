//! Holds the import table of the tree against the source. Fails with the line that breaks it.
//!
//! The table is the design's: no stage imports a stage, only the composition root ties links, and the engine knows
//! nothing but types. Comments do not count; `tests` modules inside a file do, so that a unit test cannot reach
//! round the table either.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folder (or file) below `src`, and what it may import of ours. `*` is everything.
const TABLE: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("config", &["types"]),
    ("wire", &["types"]),
    ("engine", &["types"]),
    ("os", &[]),
    ("runtime", &["types", "os"]),
    ("journal", &["types", "wire", "os", "runtime"]),
    ("gateway", &["types", "config", "wire", "os", "runtime", "journal"]),
    ("feed", &["types", "config", "wire", "os", "runtime", "journal"]),
    ("sequencer", &["types", "config", "engine", "runtime", "journal"]),
    ("matcher", &["types", "config", "engine", "runtime"]),
    ("egress", &["types", "config", "runtime"]),
    ("client", &["types", "wire", "os", "runtime"]),
    ("measure", &["types", "wire", "os", "runtime", "client"]),
    ("launch", &["*"]),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

/// What the deterministic core must not name.
const FORBIDDEN_IN_ENGINE: &[&str] = &[
    "std::time",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "HashMap",
    "HashSet",
    "f32",
    "f64",
    "println!",
    "eprintln!",
    "print!",
    "dbg!",
    "unsafe",
];

/// Files outside `os` that may hold unsafe code, each with its reason at its top.
const UNSAFE_ALLOWED: &[&str] = &["runtime/shared_ring.rs"];

fn source_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("an entry of src").path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    files.sort();
    let relative = |p: &PathBuf| p.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
    files.iter().map(|p| (relative(p), fs::read_to_string(p).expect("a source file is text"))).collect()
}

/// The first part of the path: the folder, or the file's stem when it lies in `src` itself.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// The code of a line: nothing of a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// Rooms named in a `crate::` path of this line, `crate::{a, b::c}` included.
fn imports(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for part in code(line).split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(list) => rooms.extend(list.split(',').map(first_word).filter(|w| !w.is_empty())),
            None => rooms.push(first_word(part)),
        }
    }
    rooms
}

fn first_word(text: &str) -> String {
    text.trim_start_matches(['{', ' ']).chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn every_import_is_in_the_table() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut broken = Vec::new();
    for (file, text) in all_sources() {
        let own = room(&file).to_owned();
        let allowed = table.get(own.as_str()).unwrap_or_else(|| panic!("src/{file}: {own} is not in the table"));
        for (index, line) in text.lines().enumerate() {
            for import in imports(line) {
                let known = table.contains_key(import.as_str());
                if known && import != own && !allowed.contains(&"*") && !allowed.contains(&import.as_str()) {
                    broken.push(format!("src/{file}:{}: {own} may not import {import}", index + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn imports_are_written_so_that_this_test_sees_them() {
    for (file, text) in all_sources().iter().filter(|(file, _)| room(file) != "cli" && room(file) != "main") {
        for (index, line) in text.lines().enumerate() {
            let multi_line = code(line).trim_end().ends_with("crate::{");
            assert!(!multi_line, "src/{file}:{}: name each room in a `use crate::room` of its own", index + 1);
        }
    }
}

#[test]
fn the_engine_is_deterministic_by_what_it_cannot_name() {
    let mut broken = Vec::new();
    for (file, text) in all_sources().iter().filter(|(file, _)| room(file) == "engine") {
        for (index, line) in text.lines().enumerate() {
            for word in FORBIDDEN_IN_ENGINE.iter().filter(|w| names(code(line), w)) {
                broken.push(format!("src/{file}:{}: the engine may not use {word}", index + 1));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Whether the word stands in the line by itself, not inside a longer name.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joins(before) && !joins(after)
    })
}

#[test]
fn unsafe_code_stays_in_its_files() {
    for (file, text) in all_sources() {
        let opened = text.contains("allow(unsafe_code)");
        let may = room(&file) == "os" || UNSAFE_ALLOWED.contains(&file.as_str());
        assert!(!opened || may, "src/{file} opens unsafe code outside the files that may");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in all_sources() {
        assert!(text.starts_with("//! "), "src/{file} does not open with what it is for");
    }
}

#[test]
fn the_table_catches_a_wrong_import() {
    assert_eq!(imports("use crate::gateway::session;"), ["gateway"]);
    assert_eq!(imports("use crate::{types::Price, engine};"), ["types", "engine"]);
    assert!(imports("// crate::gateway").is_empty());
    assert!(names("let x: f64 = 0;", "f64") && !names("pdf64x", "f64"));
}
