//! What passes the gate and has to be converted: no panic, and what comes out passes the gate in
//! turn, within the limits, and is as long as it was said to be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voicepost_fuzz::audio::{convert, judge};
use voicepost_fuzz::domain::Conversion;
use voicepost_fuzz::{LIMITS, gate};

fuzz_target!(|clip: &[u8]| {
    let Ok(media) = gate(clip, &[]) else { return };
    if media.container.deliverable().is_some() {
        return;
    }
    // With the sanitizer the encoder takes twice as long as the clip plays.
    let conversions = [Conversion::Wav, Conversion::OggOpus { bits_per_second: 24_000 }];
    let count = if media.duration_ms < 500 { 2 } else { 1 };
    for conversion in conversions.into_iter().take(count) {
        let Ok(converted) = convert(clip, &media, conversion, &LIMITS) else { continue };
        let again = judge(&converted.clip, &LIMITS);
        let judged = again.as_ref().map(|media| media.duration_ms);
        assert_eq!(judged, Ok(converted.media.duration_ms), "{media:?}");
        assert!((100..=60_500).contains(&converted.media.duration_ms));
    }
});
