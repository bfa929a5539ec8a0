//! Broken and lying WebM, MP4 and FLAC: no panic, no hang, and the same verdict in any pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use voicepost::audio::{self, Gate};
use voicepost::domain::{ClipRefusal, Code, Conversion, Media, Note};

use crate::audio::LIMITS;
use crate::convert::{gated, source, sources};

const WAV: Conversion = Conversion::Wav;

fn in_pieces(clip: &[u8], bytes: usize) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(LIMITS);
    clip.chunks(bytes).try_for_each(|piece| gate.feed(piece))?;
    gate.finish()
}

/// The whole way; any verdict is right, a panic or a wrong length is not.
fn survive(clip: &[u8]) {
    if let Ok(media) = audio::judge(clip, &LIMITS) {
        assert!((100..=60_500).contains(&media.duration_ms));
    }
}

#[test]
fn any_pieces_give_the_same_verdict() {
    for (file, _) in sources() {
        let clip = source(&file);
        let whole = gated(&clip);
        assert!(whole.is_ok(), "{file}: {whole:?}");
        for bytes in [1, 7, 1_000] {
            assert_eq!(in_pieces(&clip, bytes), whole, "{file} in pieces of {bytes}");
        }
    }
}

#[test]
fn a_recording_may_end_at_any_byte() {
    let files =
        ["opus-live.webm", "opus-fragmented.mp4", "aac-moov-first.mp4", "opus-moov-last.mp4"];
    for file in files {
        let whole = source(&format!("containers/{file}"));
        for end in 0..whole.len() {
            let Ok(media) = gated(&whole[..end]) else { continue };
            if end % 13 == 0 {
                survive(&whole[..end]);
            }
            assert!(media.duration_ms <= 1_760, "{file} up to {end}: {media:?}");
        }
    }
    let cut = &source("recorded/chromium-default.webm")[..30_000];
    let media = gated(cut).unwrap();
    assert_eq!(media.notes, [Note::Truncated]);
    let converted = audio::convert(cut, &media, WAV, &LIMITS).unwrap();
    assert_eq!(converted.media.notes, [Note::Truncated]);
    assert_eq!(converted.media.duration_ms, media.duration_ms);
}

fn seeds() -> Vec<Vec<u8>> {
    sources().iter().map(|(file, _)| source(file)).filter(|clip| clip.len() < 20_000).collect()
}

fn changed() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![
        vec(any::<u8>(), 1..8),
        vec(select(vec![0u8, 1, 0x7F, 0x80, 0xFF]), 1..9),
        select(vec![&b"moof"[..], b"mdat", b"trun", b"\x1F\x43\xB6\x75\xFF", b"\xA3\x81"])
            .prop_map(<[u8]>::to_vec),
    ];
    let changes = vec((any::<Index>(), any::<bool>(), bytes), 1..6);
    (select(seeds()), changes).prop_map(|(mut clip, changes)| {
        for (at, near_start, bytes) in changes {
            let reach = if near_start { clip.len().min(1_200) } else { clip.len() };
            let at = at.index(reach);
            for (old, new) in clip[at..].iter_mut().zip(bytes) {
                *old = new;
            }
        }
        clip
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases * 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_the_walks_panic_or_differ(clip in changed(), bytes in 1..700usize) {
        prop_assert_eq!(in_pieces(&clip, bytes), gated(&clip));
        survive(&clip);
    }
}

fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let size = (1u64 << 56 | body.len() as u64).to_be_bytes();
    [id, &size, body].concat()
}

/// A WebM file of one Opus track and these blocks, each body given whole.
fn webm(blocks: &[Vec<u8>]) -> Vec<u8> {
    let head = b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0";
    let entry = [
        element(b"\xD7", &[1]),
        element(b"\x83", &[2]),
        element(b"\x86", b"A_OPUS"),
        element(b"\x63\xA2", head),
    ];
    let mut file = element(b"\x1A\x45\xDF\xA3", &element(b"\x42\x82", b"webm"));
    file.extend(b"\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    file.extend(element(b"\x16\x54\xAE\x6B", &element(b"\xAE", &entry.concat())));
    file.extend(b"\x1F\x43\xB6\x75\xFF");
    blocks.iter().for_each(|block| file.extend(element(b"\xA3", block)));
    file
}

/// A 20 ms packet of one byte.
const OPUS_20_MS: u8 = 31 << 3;

#[test]
fn laced_blocks_count_each_packet() {
    let fixed = vec![
        0x81, 0, 0, 0x04, 9, OPUS_20_MS, OPUS_20_MS, OPUS_20_MS, OPUS_20_MS, OPUS_20_MS,
        OPUS_20_MS, OPUS_20_MS, OPUS_20_MS, OPUS_20_MS, OPUS_20_MS,
    ];
    let clip = webm(&[fixed.clone(), fixed]);
    assert_eq!(gated(&clip).unwrap().duration_ms, 20 * 20 - 6);
    let media = gated(&clip).unwrap();
    assert_eq!(audio::convert(&clip, &media, WAV, &LIMITS).unwrap().media.duration_ms, 394);
    let broken = vec![0x81, 0, 0, 0x02, 9, 255, 255];
    assert_eq!(gated(&webm(&[broken])).unwrap_err().code(), Code::AudioCorrupted);
}

#[test]
fn laces_of_nothing_are_not_worked_through() {
    // Each block of five bytes claims 256 packets; a clip of them once took seconds.
    let lace = webm(&[vec![0x81, 0, 0, 0x04, 255]]);
    assert_eq!(gated(&lace).unwrap_err().code(), Code::AudioCorrupted);
}

/// The elements of a block group may stand in any order (RFC 8794 §11.1.4).
#[test]
fn the_end_of_the_last_block_is_cut_off_wherever_that_is_said() {
    let block = element(b"\xA1", &[0x81, 0, 0, 0, OPUS_20_MS]);
    let packets = vec![vec![0x81, 0, 0, 0, OPUS_20_MS]; 10];
    let cut = |ns: i64| element(b"\x75\xA2", &ns.to_be_bytes());
    for group in [[block.clone(), cut(13_000_000)], [cut(13_000_000), block.clone()]] {
        let mut clip = webm(&packets);
        clip.extend(element(b"\xA0", &group.concat()));
        assert_eq!(gated(&clip).unwrap().duration_ms, 11 * 20 - 6 - 13);
        let judged = audio::judge(&clip, &LIMITS).unwrap();
        assert_eq!(judged.duration_ms, 11 * 20 - 6 - 13);
    }
    // More than there is: not more than the packet.
    let mut clip = webm(&packets);
    clip.extend(element(b"\xA0", &[block, cut(i64::MAX)].concat()));
    assert_eq!(gated(&clip).unwrap().duration_ms, 10 * 20 - 6);
}

#[test]
fn bombs_go_off_at_their_first_bytes() {
    // Hours of packets of one byte.
    let block = vec![0x81, 0, 0, 0, 3 << 3];
    let bomb = webm(&vec![block; 100_000]);
    let mut gate = Gate::new(LIMITS);
    let at = bomb.chunks(64).position(|piece| gate.feed(piece).is_err()).unwrap();
    assert!(at * 64 < 20_000, "{at}");
    // A table that promises packets nobody sent.
    let mut run = b"\0\0\0\x01\xFF\xFF\xFF\xFF\0\0\0\0".to_vec();
    run = mp4_box(b"trun", &run);
    let fragment =
        mp4_box(b"traf", &[mp4_box(b"tfhd", b"\0\0\0\x10\0\0\0\x01\0\0\0\x09"), run].concat());
    let whole = source("containers/opus-fragmented.mp4");
    let moof_at = whole.windows(4).position(|four| four == b"moof").unwrap() - 4;
    let lying = [&whole[..moof_at], &mp4_box(b"moof", &fragment)].concat();
    assert_eq!(gated(&lying).unwrap_err().code(), Code::AudioCorrupted);
    // Many that promise fewer: each would be cheap to write, and dear to read.
    let run = mp4_box(b"trun", b"\0\0\0\0\0\0\x20\0");
    let head = mp4_box(b"tfhd", b"\0\0\0\x10\0\0\0\x01\0\0\0\x01");
    let fragment = mp4_box(b"moof", &mp4_box(b"traf", &[head, run].concat()));
    let flood = [whole, fragment.repeat(10_000)].concat();
    let mut gate = Gate::new(LIMITS);
    let at = flood.chunks(64).position(|piece| gate.feed(piece).is_err()).unwrap();
    assert!(at * 64 < flood.len() - 9_900 * fragment.len(), "{at}");
}

pub(crate) fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

#[test]
fn a_table_cannot_make_audio_shorter_or_longer_than_it_is() {
    // Every duration in the file says a hundred times what it is, or nothing.
    for (file, real_ms) in [("opus-moov-last.mp4", 1_700), ("opus-fragmented.mp4", 1_700)] {
        let honest = source(&format!("containers/{file}"));
        for duration in [[0u8, 0, 0, 1], [0, 1, 0x76, 0xE0]] {
            let mut lying = honest.clone();
            let mut at = 0;
            while at + 4 <= lying.len() {
                if lying[at..at + 4] == [0, 0, 3, 0xC0] {
                    lying[at..at + 4].copy_from_slice(&duration);
                }
                at += 1;
            }
            assert_ne!(lying, honest, "{file}");
            let media = audio::judge(&lying, &LIMITS).unwrap();
            assert!(media.duration_ms.abs_diff(real_ms) <= 20, "{file}: {media:?}");
        }
    }
}

/// What can be converted passes at its sixteenth byte, unless conversion is off.
#[test]
fn convertible_formats_are_named_at_their_sixteenth_byte_when_conversion_is_off() {
    let convertible: [(&[u8], &str); 3] = [
        (b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0", "audio/flac"),
        (b"\x1A\x45\xDF\xA3\x9FB\x86\x81\x01B\xF7\x81\x01B\xF2\x81", "audio/webm"),
        (b"\0\0\0\x1Cftypisom\0\0\x02\0", "audio/mp4"),
    ];
    for (bytes, name) in convertible {
        let bytes = &bytes[..16];
        assert_eq!(Gate::new(LIMITS).feed(bytes), Ok(()), "{name}");
        let mut gate = Gate::new(LIMITS).converting(false);
        assert_eq!(gate.feed(&bytes[..15]), Ok(()), "{name}");
        let detected = name.to_owned();
        assert_eq!(gate.feed(&bytes[15..]), Err(ClipRefusal::UnsupportedFormat { detected }));
    }
}

/// What is no element of WebM, though it may begin like one, does not take the audio with it.
#[test]
fn junk_between_clusters_is_noted_and_the_audio_behind_it_counts() {
    let packet = vec![0x81, 0, 0, 0, OPUS_20_MS, 1, 2, 3, 4, 5, 6, 7];
    let whole = webm(&vec![packet.clone(); 100]);
    let cluster = b"\x1F\x43\xB6\x75\xFF";
    let behind = whole.windows(5).position(|five| five == cluster).unwrap();
    let joined = |junk: &[u8]| [&whole[..], junk, &whole[behind..]].concat();
    assert_eq!(gated(&joined(b"")).unwrap().duration_ms, 200 * 20 - 6);
    let junk: [&[u8]; 9] = [
        &[0; 40],
        &[0xFF; 40],
        // A block that would reach over all the rest; one of another track; one cut short.
        b"\xA3\x10\x0F\xFF\xFF",
        b"\xA3\x90\x82\0\0\0",
        b"\xA3",
        // An unknown element, and one of another place.
        b"\x3C\x68\x74\x6D\x6C\x3E",
        b"\x52\x10\x00\x00\x7F",
        // A number of many bytes, and the beginning of a cluster.
        b"\xE7\x48\x00",
        b"\x1F\x43\xB6",
    ];
    for junk in junk {
        let clip = joined(junk);
        let media = gated(&clip).unwrap();
        assert_eq!(media.notes, [Note::JunkBytes], "{junk:?}");
        assert_eq!(media.duration_ms, 200 * 20 - 6, "{junk:?}");
        assert_eq!(in_pieces(&clip, 1), Ok(media), "{junk:?}");
        assert_eq!(audio::judge(&clip, &LIMITS).unwrap().duration_ms, 200 * 20 - 6);
    }
    let html = b"<html>no audio</html>".repeat(40);
    assert_eq!(gated(&joined(&html)).unwrap_err().code(), Code::AudioCorrupted);
}

#[test]
fn recordings_in_a_row_are_added_up_unless_they_differ() {
    let clip = source("recorded/chromium-default.webm");
    let one = gated(&clip).unwrap();
    let media = gated(&clip.repeat(2)).unwrap();
    assert_eq!(media.notes, [Note::Chained]);
    // The second one's first samples are dropped by no player.
    assert!(media.duration_ms.abs_diff(2 * one.duration_ms) <= 7, "{media:?} {one:?}");
    let fragmented = source("containers/opus-fragmented.mp4");
    let media = gated(&fragmented.repeat(2)).unwrap();
    assert_eq!((media.duration_ms, &media.notes[..]), (3_434, &[Note::Chained][..]));
    let other = [clip, source("containers/opus-six-channels.webm")].concat();
    assert_eq!(gated(&other).unwrap_err().code(), Code::UnsupportedAudioFormat);
}
