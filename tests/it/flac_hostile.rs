//! FLAC that is cut, changed, joined or full of something else is judged by the policy of all
//! formats, whatever its description says.

use voicepost::audio;
use voicepost::domain::{ClipRefusal, Code, Media, Note};

use crate::audio::LIMITS;
use crate::convert::source;

/// Bytes of the magic and the description.
const HEAD_BYTES: usize = 42;

fn judged(clip: &[u8]) -> Result<Media, ClipRefusal> {
    audio::judge(clip, &LIMITS)
}

/// A clip of frames of 72 ms and a last one of 44 ms, without the metadata between description and
/// frames, and the places where its frames begin.
fn voice() -> (Vec<u8>, Vec<usize>) {
    let clip = source("containers/voice.flac");
    let starts = |clip: &[u8]| -> Vec<usize> {
        let begins = [b"\xFF\xF8\x35\x08", b"\xFF\xF8\x75\x08"];
        let begins = |at: &usize| begins.iter().any(|four| clip[*at..].starts_with(*four));
        (0..clip.len()).filter(begins).collect()
    };
    let first = starts(&clip)[0];
    let mut voice = clip[..HEAD_BYTES].to_vec();
    voice[4] = 0x80;
    voice.extend_from_slice(&clip[first..]);
    let starts = starts(&voice);
    assert_eq!(starts.len(), 24);
    (voice, starts)
}

/// Invariant 9: a clip may end anywhere, and what is whole is played.
#[test]
fn a_stream_may_end_at_any_byte() {
    let (voice, starts) = voice();
    for end in (0..voice.len()).step_by(37).chain(starts.iter().copied()) {
        let whole = starts.iter().skip(1).filter(|start| **start <= end).count() as u32;
        let cut = judged(&voice[..end]);
        match cut {
            Err(refusal) if end < 16 => {
                let code = refusal.code();
                assert!(
                    [Code::AudioCorrupted, Code::UnsupportedAudioFormat, Code::AudioEmpty]
                        .contains(&code),
                    "{end}: {code:?}"
                );
            }
            Err(refusal) if whole == 0 => {
                assert_eq!(refusal.code(), Code::AudioCorrupted, "{end}");
            }
            Err(refusal) => assert_eq!((refusal.code(), whole), (Code::AudioTooShort, 1)),
            Ok(media) => {
                assert_eq!(media.duration_ms, 72 * whole, "up to {end}");
                let is_cut = !starts.contains(&end);
                assert_eq!(media.notes.contains(&Note::Truncated), is_cut, "up to {end}");
            }
        }
    }
}

#[test]
fn any_changed_byte_of_the_audio_is_noticed() {
    let (voice, starts) = voice();
    for at in (starts[0]..starts[23]).step_by(101).chain(starts[..23].iter().copied()) {
        let mut changed = voice.clone();
        changed[at] ^= 0x10;
        match judged(&changed) {
            Err(refusal) => assert_eq!(refusal.code(), Code::AudioCorrupted, "byte {at}"),
            // A header that is none any more leaves a frame of junk, and this one is small.
            Ok(media) => {
                assert_eq!((media.duration_ms, &media.notes[..]), (1_628, &[Note::JunkBytes][..]));
                assert!(starts.iter().any(|start| (*start..start + 8).contains(&at)), "byte {at}");
            }
        }
    }
}

#[test]
fn junk_is_stepped_over_up_to_a_fiftieth() {
    let (voice, starts) = voice();
    let junk: [&[u8]; 4] = [&[0; 500], &[0xFF; 500], &b"<html>no audio</html>".repeat(25), b"fLaC"];
    for place in [starts[1], starts[11], voice.len()] {
        for junk in junk {
            let (before, behind) = voice.split_at(place);
            let media = judged(&[before, junk, behind].concat()).unwrap();
            assert_eq!((media.duration_ms, &media.notes[..]), (1_700, &[Note::JunkBytes][..]));
            if junk.len() > 4 {
                let refusal = judged(&[before, junk, junk, behind].concat()).unwrap_err();
                assert_eq!(refusal.code(), Code::AudioCorrupted);
            }
        }
    }
}

#[test]
fn streams_in_a_row_are_added_up_and_held_to_the_limit() {
    let (voice, _) = voice();
    let media = judged(&voice.repeat(35)).unwrap();
    assert_eq!((media.duration_ms, &media.notes[..]), (59_500, &[Note::Chained][..]));
    assert_eq!(judged(&voice.repeat(36)).unwrap_err().code(), Code::AudioTooLong);
    // Each of them says that it is a second, or an hour, or does not say.
    for samples in [16_000u32, 57_500_000, 0] {
        let mut lying = voice.clone();
        lying[22..26].copy_from_slice(&samples.to_be_bytes());
        assert_eq!(judged(&lying.repeat(35)).unwrap().duration_ms, 59_500);
        assert_eq!(judged(&lying.repeat(36)).unwrap_err().code(), Code::AudioTooLong);
    }
}

/// A description has to fit its frames, and be of a rate that is worth decoding.
#[test]
fn frames_of_another_rate_than_described_are_junk() {
    let (voice, _) = voice();
    let cases = [
        (384_000u64, 4, Code::AudioCorrupted),
        (384_001, 1, Code::UnsupportedAudioFormat),
        (384_000, 5, Code::UnsupportedAudioFormat),
    ];
    for (rate_hz, channels, code) in cases {
        let mut lying = voice.clone();
        let packed = rate_hz << 44 | (channels - 1) << 41 | 15 << 36;
        lying[18..26].copy_from_slice(&packed.to_be_bytes());
        assert_eq!(judged(&lying).unwrap_err().code(), code, "{rate_hz} Hz, {channels}");
    }
}
