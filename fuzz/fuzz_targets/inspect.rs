//! The second look survives any bytes: what has passed the gate, and what a wrong verdict about it
//! would hand on. Decoders run here, so their crashes, which the gateway catches, are found too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voicepost_fuzz::audio::inspect;
use voicepost_fuzz::domain::{Codec, Container, Media};
use voicepost_fuzz::{gate, seal_pages};

fuzz_target!(|clip: &[u8]| {
    let mut clip = clip.to_vec();
    seal_pages(&mut clip);
    match gate(&clip, &[]) {
        Ok(media) => drop(inspect(&clip, &media)),
        Err(_) => {
            for (container, codec) in [
                (Container::Mp3, Codec::Mp3),
                (Container::Ogg, Codec::Vorbis),
                (Container::Ogg, Codec::Opus),
            ] {
                drop(inspect(&clip, &claimed(container, codec, clip.len())));
            }
        }
    }
});

fn claimed(container: Container, codec: Codec, bytes: usize) -> Media {
    Media {
        container,
        codec,
        duration_ms: 1_000,
        sample_rate_hz: 48_000,
        channels: 1,
        bytes: bytes as u64,
        notes: Vec::new(),
    }
}
