//! The rules of the house, as tests: sizes, imports, words, and documents that say what the code
//! says. Run on every change; a rule that cannot hold gets its exception here, with the reason.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "common", "helpers", "manager"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn rust_files(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), "rs", &mut found);
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust files below {folders:?}");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Fails with every finding at once.
fn expect_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn files_are_short_enough_to_read() {
    let mut findings = Vec::new();
    for path in rust_files(&["src", "tests", "benches"]) {
        let lines = read(&path).lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(format!("{}: {lines} lines", relative(&path)));
        }
    }
    expect_none("files of more than 400 lines", &findings);
}

#[test]
fn lines_fit_a_page() {
    let mut findings = Vec::new();
    for path in rust_files(&["src", "tests", "benches"]) {
        for (index, line) in read(&path).lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX {
                findings.push(format!("{}:{}", relative(&path), index + 1));
            }
        }
    }
    expect_none("lines of more than 100 characters", &findings);
}

/// Lengths of functions, first to closing line, by the indentation that rustfmt gives them.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_head = |line: &str| {
        let words = line.trim_start();
        let plain = words.trim_start_matches("pub ").trim_start_matches("pub(super) ");
        let plain = plain.trim_start_matches("pub(crate) ").trim_start_matches("const ");
        plain.trim_start_matches("async ").starts_with("fn ")
    };
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_head(line)) {
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let ends = lines[start..].iter().position(|line| **line == close);
        // A function without a body of its own, or on one line.
        let opens = lines[start..].iter().position(|line| line.ends_with('{'));
        if let (Some(length), Some(_)) = (ends, opens) {
            found.push((start + 1, length + 1));
        }
    }
    found
}

#[test]
fn functions_fit_a_screen() {
    let mut findings = Vec::new();
    let mut seen = 0;
    for path in rust_files(&["src", "tests", "benches"]) {
        for (line, length) in functions(&read(&path)) {
            seen += 1;
            if length > FUNCTION_LINES_MAX {
                findings.push(format!("{}:{line}: {length} lines", relative(&path)));
            }
        }
    }
    assert!(seen > 300, "only {seen} functions were recognised: the rule checks nothing");
    expect_none("functions of more than 70 lines", &findings);
}

#[test]
fn names_say_what_is_inside() {
    let mut findings = Vec::new();
    for path in rust_files(&["src", "tests", "benches"]) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parent = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&stem.as_str()) || EMPTY_NAMES.contains(&parent.as_str()) {
            findings.push(relative(&path));
        }
    }
    expect_none("files or folders with an empty name", &findings);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut findings = Vec::new();
    for path in rust_files(&["src", "tests", "benches"]) {
        if !read(&path).starts_with("//!") {
            findings.push(relative(&path));
        }
    }
    expect_none("files without a head comment", &findings);
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX", "assert!(true"];
    let mut findings = Vec::new();
    for path in rust_files(&["src", "tests", "benches"]) {
        if relative(&path) == "tests/tidy.rs" {
            continue;
        }
        let text = read(&path);
        for (index, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{}", relative(&path), index + 1));
            }
            if line.trim_start().starts_with("#[ignore]") {
                findings.push(format!(
                    "{}:{}: ignored without a reason",
                    relative(&path),
                    index + 1
                ));
            }
        }
    }
    expect_none("unfinished code", &findings);
}

/// Folders of `src` that a folder may use, as ARCHITECTURE.md says it.
fn import_table() -> BTreeMap<String, BTreeSet<String>> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let table = between(&text, "<!-- imports -->", "<!-- /imports -->");
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        let uses = cells.next().unwrap();
        let uses = uses.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.insert(name, uses);
    }
    rows
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("{start} is missing")) + start.len();
    let length = text[from..].find(end).unwrap_or_else(|| panic!("{end} is missing"));
    &text[from..from + length]
}

/// Top-level modules that a source text names: `crate::name` and, inside braces, what follows it.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = code.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` in a macro names the same crate; `super::` stays inside its folder.
        let rest = &code[at + "crate::".len()..];
        if let Some(braces) = rest.strip_prefix('{') {
            let inside = braces.split('}').next().unwrap_or_default();
            let names = inside.split(',').map(|name| name.trim().split("::").next().unwrap_or(""));
            found.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
        } else {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.insert(name);
        }
    }
    found
}

#[test]
fn imports_run_one_way() {
    let table = import_table();
    let mut findings = Vec::new();
    let mut checked = 0;
    for path in rust_files(&["src"]) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let allowed = table
            .get(&module)
            .unwrap_or_else(|| panic!("ARCHITECTURE.md's import table has no row for {module}"));
        for used in imports(&read(&path)).into_iter().filter(|used| *used != module) {
            checked += 1;
            if !allowed.contains(&used) {
                findings.push(format!("{}: uses {used}", relative(&path)));
            }
        }
    }
    assert!(checked > 100, "only {checked} imports were recognised: the rule checks nothing");
    expect_none("imports against the table in ARCHITECTURE.md", &findings);
}

#[test]
fn the_import_table_has_no_cycle() {
    let table = import_table();
    for start in table.keys() {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&String> = table[start].iter().collect();
        while let Some(next) = open.pop() {
            assert_ne!(next, start, "{start} can reach itself through the import table");
            if reached.insert(next.clone()) {
                open.extend(table.get(next).into_iter().flatten());
            }
        }
    }
}

#[test]
fn the_domain_knows_no_clock_and_no_runtime() {
    let banned = [
        "tokio::",
        "actix",
        "awc::",
        "std::time::Instant",
        "SystemTime",
        "rand::",
        "std::fs",
        "std::net",
        "std::env",
    ];
    let mut findings = Vec::new();
    for path in rust_files(&["src/domain"]) {
        for (index, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if banned.iter().any(|word| code.contains(word)) {
                findings.push(format!("{}:{}", relative(&path), index + 1));
            }
        }
    }
    expect_none("the outside world inside the domain", &findings);
}

#[test]
fn actor_files_have_the_same_shape() {
    let headings = [
        "// 1 limits",
        "// 2 state",
        "// 3 observed",
        "// 4 messages",
        "// 5 life-cycle",
        "// 6 handlers",
        "// 7 private",
    ];
    for actor in ["token", "validator", "uploader", "messenger", "janitor"] {
        let text = read(&root().join(format!("src/actors/{actor}.rs")));
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("// "))
            .filter_map(|line| headings.iter().copied().find(|heading| line.starts_with(heading)))
            .collect();
        assert_eq!(found, headings, "headings of src/actors/{actor}.rs");
    }
}

#[test]
fn the_readme_shows_the_problem_table() {
    let text = read(&root().join("README.md"));
    let table = between(&text, "<!-- problems -->", "<!-- /problems -->");
    let shown: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let expected: Vec<Vec<String>> = voicepost::web::ROWS
        .iter()
        .map(|row| {
            let again = if row.retryable { "yes" } else { "no" };
            vec![
                format!("`{}`", row.code),
                row.status.to_string(),
                row.title.to_owned(),
                again.to_owned(),
            ]
        })
        .collect();
    assert_eq!(shown.len(), expected.len(), "rows in the README's problem table");
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(shown, expected);
    }
}

#[test]
fn the_invariants_are_named_where_they_are_kept() {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    let tests: String = rust_files(&["tests/it", "tests/sim"])
        .iter()
        .map(|path| read(path))
        .collect::<Vec<_>>()
        .join("\n");
    let code: String =
        rust_files(&["src"]).iter().map(|path| read(path)).collect::<Vec<_>>().join("\n");
    let mut findings = Vec::new();
    for number in 1..=11 {
        let named = |text: &str| {
            let lower = text.to_lowercase();
            let name = format!("invariant {number}");
            lower.match_indices(&name).any(|(at, found)| {
                !lower[at + found.len()..].starts_with(|c: char| c.is_ascii_digit())
            })
        };
        for (place, text) in [("src", &code), ("tests", &tests)] {
            if !named(text) {
                findings.push(format!("invariant {number} is not named in {place}"));
            }
        }
        if !architecture.contains(&format!("\n{number}. ")) {
            findings.push(format!("invariant {number} is not listed in ARCHITECTURE.md"));
        }
    }
    expect_none("invariants", &findings);
}

/// What a manifest depends on, as paths name it.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = read(manifest);
    let table = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_"))).collect()
}

/// The fuzz targets compile the judge's files in a workspace that no other build looks at.
#[test]
fn the_fuzz_targets_depend_on_what_the_judge_uses() {
    let known = dependencies(&root().join("fuzz/Cargo.toml"));
    assert!(known.contains("symphonia"), "{known:?}");
    let crates = dependencies(&root().join("Cargo.toml"));
    let mut findings = Vec::new();
    for file in rust_files(&["src/audio", "src/domain"]) {
        let text = read(&file);
        let missing = crates.difference(&known).filter(|name| text.contains(&format!("{name}::")));
        findings.extend(missing.map(|name| format!("{} uses {name}", relative(&file))));
    }
    expect_none("the fuzz targets do not know", &findings);
}

#[test]
fn the_tree_speaks_of_itself_only() {
    let mut files = rust_files(&["src", "tests", "benches"]);
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "config.toml", "scripts/test"] {
        files.push(root().join(name));
    }
    let manifest = env!("CARGO_MANIFEST_DIR");
    let banned = [manifest, "DESIGN.md", "../shared"];
    let mut findings = Vec::new();
    for path in files {
        if relative(&path) == "tests/tidy.rs" {
            continue;
        }
        for (index, line) in read(&path).lines().enumerate() {
            if banned.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{}", relative(&path), index + 1));
            }
        }
    }
    expect_none("paths of one machine, or documents outside the tree", &findings);
}
