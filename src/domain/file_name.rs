//! What of a sender's file name may go on the wire.

/// Longest stem, in characters (media-api contract, "Upload").
const STEM_CHARS_MAX: usize = 64;

/// Reduces a file name to a stem of `[A-Za-z0-9._-]`, at most 64 characters, without path and
/// extension; `None` where nothing usable is left. The name is a hint and never a path.
pub fn file_stem(file_name: &str) -> Option<String> {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reduced: String = stem.chars().filter(allowed).take(STEM_CHARS_MAX).collect();
    let usable = reduced.chars().any(|c| c.is_ascii_alphanumeric());
    usable.then_some(reduced)
}
