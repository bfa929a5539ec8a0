//! Any bytes in any pieces: no panic, the same verdict however they are cut, and an accepted clip
//! is within the limits. Once as they are, once with the checksums of Ogg pages put right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voicepost_fuzz::{gate, seal_pages};

fuzz_target!(|clip: &[u8]| {
    check(clip);
    if clip.starts_with(b"OggS") {
        let mut sealed = clip.to_vec();
        seal_pages(&mut sealed);
        check(&sealed);
    }
});

fn check(clip: &[u8]) {
    let whole = gate(clip, &[]);
    // Sizes that the input itself chooses.
    let sizes: Vec<usize> = clip.iter().rev().take(8).map(|byte| usize::from(*byte)).collect();
    assert_eq!(whole, gate(clip, &sizes));
    if clip.len() <= 4_096 {
        assert_eq!(whole, gate(clip, &[1]));
    }
    if let Ok(media) = whole {
        assert_eq!(media.bytes, clip.len() as u64);
        // What has to be converted may only claim its length, until it is decoded.
        if media.container.deliverable().is_some() {
            assert!((100..=60_500).contains(&media.duration_ms));
        }
        assert!(media.channels > 0 && media.sample_rate_hz > 0);
    }
}
