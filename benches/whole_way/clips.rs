//! The clips that are sent, each with the form around it.

use std::path::Path;

#[path = "../../tests/it/ogg_writer.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod ogg_writer;

pub struct Clip {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Five seconds and a minute of speech, Ogg Opus.
pub fn all() -> [Clip; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio");
    let hello = std::fs::read(folder.join("hello.ogg")).unwrap();
    let minute = ogg_writer::repeated(&hello, 12);
    [Clip { name: "5 s", bytes: hello }, Clip { name: "60 s", bytes: minute }]
}
