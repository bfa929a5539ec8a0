//! The parts of the gateway that read hostile bytes, built by themselves. A sanitizer build of the
//! whole gateway takes many times as long, and `audio` needs nothing but `domain`.

#![allow(missing_docs, dead_code, reason = "the sources are those of the gateway")]

#[path = "../../src/audio/mod.rs"]
pub mod audio;
#[path = "../../src/domain/mod.rs"]
pub mod domain;

use audio::Gate;
use domain::{AudioLimits, ClipRefusal, Media};

/// The limits of the gateway as shipped.
pub const LIMITS: AudioLimits = AudioLimits {
    duration_ms_max: 60_000,
    duration_ms_grace: 500,
    duration_ms_min: 100,
    bytes_max: 12 * 1024 * 1024,
};

/// The verdict on a clip that comes in pieces of the given sizes, over and over. A refusal must be
/// repeated by every later call.
pub fn gate(mut clip: &[u8], piece_bytes: &[usize]) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(LIMITS);
    let mut sizes = piece_bytes.iter().cycle();
    let mut refused = None;
    while !clip.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX).clamp(1, clip.len());
        let (piece, rest) = clip.split_at(size);
        match (gate.feed(piece), &refused) {
            (Err(refusal), None) => refused = Some(refusal),
            (again, Some(refusal)) => {
                assert_eq!(again.as_ref(), Err(refusal));
                // Once more is enough: a message for each byte makes the fuzzer slow.
                break;
            }
            (Ok(()), None) => {}
        }
        clip = rest;
    }
    let verdict = gate.finish();
    if let Some(refusal) = refused {
        assert_eq!(verdict, Err(refusal));
    }
    verdict
}

/// Puts right checksums into Ogg pages, so that what changes in them gets past the first check.
pub fn seal_pages(clip: &mut [u8]) {
    let mut at = 0;
    while clip.len() >= at + 27 && &clip[at..at + 4] == b"OggS" {
        let table = at + 27..at + 27 + usize::from(clip[at + 26]);
        let Some(lacing) = clip.get(table.clone()) else { return };
        let end = table.end + lacing.iter().map(|length| usize::from(*length)).sum::<usize>();
        let Some(page) = clip.get_mut(at..end) else { return };
        page[22..26].fill(0);
        let mut crc = 0u32;
        for byte in page.iter() {
            crc ^= u32::from(*byte) << 24;
            for _ in 0..8 {
                crc = if crc >> 31 == 1 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 };
            }
        }
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}
