//! MP4 files with more in them than the audio of a minute: honest ones, and what they are told.

use voicepost::audio;
use voicepost::domain::{ClipRefusal, Code};

use crate::audio::LIMITS;
use crate::convert::{gated, source};
use crate::convert_hostile::mp4_box;

/// A clip whose description stands behind its packets.
fn moov_last() -> Vec<u8> {
    source("containers/aac-moov-last.m4a")
}

fn place_of(clip: &[u8], kind: &[u8]) -> usize {
    clip.windows(4).position(|four| four == kind).unwrap() - 4
}

fn grow(clip: &mut [u8], kinds: &[&[u8]], bytes: i64) {
    for kind in kinds {
        let at = place_of(clip, kind);
        let size = i64::from(u32::from_be_bytes(clip[at..at + 4].try_into().unwrap())) + bytes;
        clip[at..at + 4].copy_from_slice(&(size as u32).to_be_bytes());
    }
}

/// The clip with another box of that kind in its table.
fn with_table(clip: &[u8], kind: &[u8; 4], fields: &[u32]) -> Vec<u8> {
    let body: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
    let table = mp4_box(kind, &body);
    let at = place_of(clip, kind);
    let size = u32::from_be_bytes(clip[at..at + 4].try_into().unwrap()) as usize;
    let mut changed = [&clip[..at], &table, &clip[at + size..]].concat();
    let bytes = table.len() as i64 - size as i64;
    grow(&mut changed, &[b"moov", b"trak", b"mdia", b"minf", b"stbl"], bytes);
    changed
}

#[test]
fn a_long_recording_is_too_long_and_not_broken() {
    let count = 40_000_u32;
    let sizes = [&[0, 0, count][..], &vec![100; count as usize]].concat();
    let long = with_table(&moov_last(), b"stsz", &sizes);
    let cut_short = with_table(&long, b"stts", &[0, 1, count, 1_024]);
    assert_eq!(gated(&cut_short).unwrap_err().code(), Code::AudioCorrupted);
    let mut long = long;
    let edits = place_of(&long, b"elst") + 4;
    long[edits..edits + 4].copy_from_slice(b"free");
    let long = with_table(&long, b"stts", &[0, 1, count, 1_024]);
    let Err(ClipRefusal::TooLong { at_least_ms, .. }) = gated(&long) else { panic!() };
    assert!(at_least_ms > 60_500, "{at_least_ms}");
    // Where no time is told with so many packets, it is no recording.
    let lying = with_table(&long, b"stts", &[0, 1, count, 0]);
    assert_eq!(gated(&lying).unwrap_err().code(), Code::AudioCorrupted);
}

#[test]
fn a_picture_in_the_description_takes_no_room() {
    let plain = moov_last();
    let wanted = audio::judge(&plain, &LIMITS).unwrap();
    for kind in [b"udta", b"meta"] {
        let picture = mp4_box(kind, &vec![0xFF; 700_000]);
        let mut illustrated = [plain.clone(), picture.clone()].concat();
        grow(&mut illustrated, &[b"moov"], picture.len() as i64);
        let media = audio::judge(&illustrated, &LIMITS).unwrap();
        assert_eq!((media.duration_ms, media.notes), (wanted.duration_ms, wanted.notes.clone()));
    }
    let other = mp4_box(b"what", &vec![0; 700_000]);
    let mut filled = [plain, other.clone()].concat();
    grow(&mut filled, &[b"moov"], other.len() as i64);
    assert_eq!(gated(&filled).unwrap_err().code(), Code::AudioCorrupted);
}
