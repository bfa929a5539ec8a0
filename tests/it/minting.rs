//! The README's examples of how a backend makes a token are run, and what they make is accepted.

use std::path::Path;
use std::process::Command;

use voicepost::settings::Secret;

use crate::access::signed;
use crate::support::{Form, TestGateway};

const SECRET: &str = "a-secret-that-a-backend-shares-0123456789";
/// The block's language, the file it goes to, and what runs it.
const EXAMPLES: [(&str, &str, &str); 3] =
    [("python", "mint.py", "python3"), ("js", "mint.mjs", "node"), ("java", "Mint.java", "java")];

/// Of those the one that has to be here: other tests need it too.
const NEEDED: &str = "python3";

/// The first block of code in this language.
fn block<'a>(readme: &'a str, language: &str) -> &'a str {
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect(language);
    rest.split_once("```").expect("an end").0
}

#[test]
fn tokens_of_the_readme_are_accepted() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let gateway = TestGateway::builder()
        .settings(|s| s.auth.jwt_audience = Some("shop".to_owned()))
        .access(|secrets| secrets.jwt_secret = Some(Secret::new(SECRET).into()))
        .start();
    let directory = tempfile::tempdir().unwrap();
    for (language, file, program) in EXAMPLES {
        std::fs::write(directory.path().join(file), block(&readme, language)).unwrap();
        let mut run = Command::new(program);
        let run = run.arg(file).current_dir(&directory).env("VOICEPOST_JWT_SECRET", SECRET);
        let Ok(output) = run.output() else {
            assert_ne!(program, NEEDED, "it is not here, and the tests need it");
            println!("{language} was not run: there is no {program} here");
            continue;
        };
        assert!(output.status.success(), "{language}: {output:?}");
        let token = String::from_utf8(output.stdout).unwrap();
        let form = Form::sample().without("conversation_id").without("sender_id");
        let receipt = gateway.send(&signed(form, token.trim())).receipt(201);
        assert_eq!(receipt["conversation_id"], "c1", "{language}");
    }
}
