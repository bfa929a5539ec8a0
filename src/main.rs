//! Voicepost
fn main() {}
