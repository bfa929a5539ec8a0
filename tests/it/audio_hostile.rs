//! Clips that lie, made here: whatever their headers say, the verdict follows what is played.

use voicepost::audio::{self, Gate};
use voicepost::domain::{ClipRefusal, Code, Codec, Media, Note};

use crate::audio::{LIMITS, clip};
use crate::ogg_writer::{self as ogg, BEGINS, CONTINUES, ENDS};

pub(crate) fn judge(clip: &[u8]) -> Result<Media, ClipRefusal> {
    audio::judge(clip, &LIMITS)
}

pub(crate) fn code(clip: &[u8]) -> Code {
    judge(clip).unwrap_err().code()
}

pub(crate) fn detected(clip: &[u8]) -> String {
    match judge(clip) {
        Err(ClipRefusal::UnsupportedFormat { detected }) => detected,
        other => panic!("{other:?}"),
    }
}

/// Bytes that go in before the gate refuses.
pub(crate) fn bytes_until_refused(clip: &[u8]) -> usize {
    let mut gate = Gate::new(LIMITS);
    clip.iter().position(|byte| gate.feed(&[*byte]).is_err()).map_or(clip.len(), |at| at + 1)
}

/// An Opus packet of one 20 ms frame (CELT, full band), as short as can be.
const OPUS_20_MS: &[u8] = &[31 << 3, 0, 0];
/// Opus packet of one 60 ms frame and one byte.
const OPUS_60_MS: &[u8] = &[3 << 3];

/// An Opus clip of pages with `per_page` equal packets; `granule` says what the n-th page claims
/// when its packets end at that sample.
fn opus(
    packet: &[u8],
    samples: i64,
    pages: i64,
    per_page: i64,
    granule: impl Fn(i64) -> i64,
) -> Vec<u8> {
    let packets = vec![packet; per_page as usize];
    let mut clip = ogg::opus_headers(1, 1, 312);
    for number in 1..=pages {
        let flags = if number == pages { ENDS } else { 0 };
        clip.extend(ogg::page(1, flags, granule(number * per_page * samples), &packets));
    }
    clip
}

#[test]
fn opus_granules_can_not_hide_packets() {
    let honest = opus(OPUS_20_MS, 960, 5, 50, |end| end);
    assert_eq!(judge(&honest).unwrap().duration_ms, 4_994);
    let lying = opus(OPUS_20_MS, 960, 65, 50, |end| end / 13);
    assert_eq!(code(&lying), Code::AudioTooLong);
    let silent = opus(OPUS_20_MS, 960, 65, 50, |_| -1);
    assert_eq!(code(&silent), Code::AudioTooLong);
    let standing = opus(OPUS_20_MS, 960, 5, 50, |_| 48_000);
    let media = judge(&standing).unwrap();
    assert_eq!((media.duration_ms, media.notes), (4_994, vec![Note::HeaderDurationWrong]));
}

#[test]
fn opus_recorded_live_counts_from_its_own_beginning() {
    let live = opus(OPUS_20_MS, 960, 5, 50, |end| end + 48_000 * 3_600);
    let media = judge(&live).unwrap();
    assert_eq!((media.duration_ms, media.notes), (4_994, vec![]));
}

#[test]
fn opus_gaps_are_played() {
    let gap = opus(OPUS_20_MS, 960, 4, 50, |end| if end > 100_000 { end + 96_000 } else { end });
    assert_eq!(judge(&gap).unwrap().duration_ms, 5_994);
    let endless = opus(OPUS_20_MS, 960, 4, 50, |end| if end > 100_000 { i64::MAX } else { end });
    assert_eq!(code(&endless), Code::AudioTooLong);
}

#[test]
fn opus_end_is_trimmed_only_as_far_as_its_last_page() {
    let end = 5 * 48_000;
    let trimmed = opus(OPUS_20_MS, 960, 5, 50, |at| if at == end { at - 24_000 } else { at });
    assert_eq!(judge(&trimmed).unwrap().duration_ms, 4_494);
    let too_far = opus(OPUS_20_MS, 960, 5, 50, |at| if at == end { at - 72_000 } else { at });
    assert_eq!(judge(&too_far).unwrap().duration_ms, 4_994);
}

#[test]
fn opus_bombs_go_off_at_their_first_pages() {
    let bomb = opus(OPUS_60_MS, 2_880, 4_000, 255, |_| 0);
    assert!(bomb.len() > 2_000_000, "seventeen hours");
    assert_eq!(code(&bomb), Code::AudioTooLong);
    assert!(bytes_until_refused(&bomb) < 5_000);
}

#[test]
fn opus_packets_of_48_short_frames_count_in_full() {
    let mut packet = vec![28 << 3 | 3, 48];
    packet.extend([0; 96]);
    let media = judge(&opus(&packet, 5_760, 5, 8, |end| end)).unwrap();
    assert_eq!(media.duration_ms, 4_794);
    packet[1] = 49;
    assert_eq!(code(&opus(&packet, 5_760, 5, 8, |end| end)), Code::AudioCorrupted);
    packet[1] = 0;
    assert_eq!(code(&opus(&packet, 5_760, 5, 8, |end| end)), Code::AudioCorrupted);
}

#[test]
fn opus_packets_with_no_sound_structure_are_undecodable() {
    // Code 1 promises two frames of equal size; one byte is left over.
    let odd = [31 << 3 | 1, 0, 0, 0];
    assert_eq!(code(&opus(&odd, 1_920, 5, 20, |end| end)), Code::AudioUndecodable);
}

#[test]
fn vorbis_granules_can_not_hide_packets() {
    let whole = clip("long-61s.vorbis.ogg");
    let mut lying = Vec::new();
    for page in ogg::pages(&whole) {
        let mut page = page.to_vec();
        let granule = i64::from_le_bytes(page[6..14].try_into().unwrap());
        page[6..14].copy_from_slice(&(granule / 12).to_le_bytes());
        ogg::seal(&mut page);
        lying.extend(page);
    }
    assert_eq!(code(&lying), Code::AudioTooLong);
}

#[test]
fn vorbis_headers_stand_before_the_audio_alone() {
    let whole = clip("long-61s.vorbis.ogg");
    let mut pages: Vec<_> = ogg::pages(&whole)[..6].iter().map(|page| page.to_vec()).collect();
    assert!(judge(&pages.concat()).is_ok());
    let begins = |page: &&mut Vec<u8>| page[5] & 1 == 0;
    let page = pages[3..].iter_mut().find(begins).unwrap();
    let at = 27 + usize::from(page[26]);
    page[at] = 5;
    ogg::seal(page);
    assert_eq!(code(&pages.concat()), Code::AudioCorrupted);
}

#[test]
fn vorbis_codebooks_can_not_take_the_memory() {
    let whole = clip("hello.vorbis.ogg");
    let mut setup = b"\x05vorbis\xFFBCV".to_vec();
    setup.extend([0xFF; 64]);
    let mut bomb = ogg::pages(&whole)[0].to_vec();
    bomb.extend(ogg::page(first_serial(&whole), 0, 0, &[b"\x03vorbis", &setup]));
    let refusal = judge(&bomb).unwrap_err();
    assert_eq!(refusal.code(), Code::AudioCorrupted);
    assert!(refusal.to_string().contains("codebooks"), "{refusal}");
}

fn first_serial(clip: &[u8]) -> u32 {
    u32::from_le_bytes(clip[14..18].try_into().unwrap())
}

#[test]
fn ogg_streams_may_follow_each_other_but_not_run_side_by_side() {
    let (a, b) = (opus(OPUS_20_MS, 960, 2, 50, |end| end), clip("hello.ogg"));
    let media = judge(&[a.clone(), b, a.clone()].concat()).unwrap();
    assert_eq!((media.codec, media.notes), (Codec::Opus, vec![Note::Chained]));
    assert_eq!(media.duration_ms, 3_987 + 5_000);
    let two_codecs = [a.clone(), clip("hello.vorbis.ogg")].concat();
    assert_eq!(detected(&two_codecs), "Ogg with streams of two codecs, one behind the other");

    let mut side_by_side = ogg::pages(&a)[0].to_vec();
    side_by_side.extend(ogg::opus_headers(2, 1, 312));
    assert_eq!(detected(&side_by_side), "Ogg with several streams side by side");

    let mut stray = a.clone();
    stray.extend(ogg::page(9, 0, 0, &[OPUS_20_MS]));
    assert_eq!(code(&stray), Code::AudioCorrupted);
}

#[test]
fn a_minute_passes_and_a_minute_and_five_seconds_do_not() {
    for file in ["hello.ogg", "hello.vorbis.ogg"] {
        let five_seconds = clip(file);
        let minute = judge(&ogg::repeated(&five_seconds, 12)).unwrap();
        assert!((60_000..60_500).contains(&minute.duration_ms), "{file} {minute:?}");
        assert_eq!(code(&ogg::repeated(&five_seconds, 13)), Code::AudioTooLong, "{file}");
    }
}

#[test]
fn ogg_pages_must_be_sound() {
    let whole = clip("hello.ogg");
    let mut flipped = whole.clone();
    flipped[9_000] ^= 1;
    assert_eq!(code(&flipped), Code::AudioCorrupted);
    let media = judge(&[&whole[..], b"PK\x03\x04"].concat()).unwrap();
    assert_eq!((media.duration_ms, media.notes), (5_000, vec![Note::JunkBytes]));
    assert_eq!(code(&[&whole[..], &[b'x'; 1_000]].concat()), Code::AudioCorrupted);
    let headless = ogg::pages(&whole)[2..].concat();
    assert_eq!(code(&headless), Code::AudioCorrupted);
    assert_eq!(code(&ogg::raw_page(1, BEGINS, 0, &[], b"")), Code::AudioCorrupted);
}

#[test]
fn ogg_packets_may_run_over_pages() {
    let mut long = vec![31 << 3 | 3, 0x80 | 2, 250];
    long.extend([0; 250 + 300]);
    let mut split = ogg::opus_headers(1, 1, 0);
    let mut granule = 0;
    for _ in 0..50 {
        split.extend(ogg::raw_page(1, 0, -1, &[255], &long[..255]));
        granule += 1_920;
        let rest = &long[255..];
        split.extend(ogg::raw_page(1, CONTINUES, granule, &[255, 43], rest));
    }
    assert_eq!(judge(&split).unwrap().duration_ms, 2_000);
    split.extend(ogg::raw_page(1, 0, -1, &[255], &long[..255]));
    let media = judge(&split).unwrap();
    assert_eq!((media.duration_ms, media.notes), (2_000, vec![Note::Truncated]));
}

#[test]
fn ogg_comments_may_hold_a_picture() {
    let plain = opus(OPUS_20_MS, 960, 2, 50, |end| end);
    let pages = ogg::pages(&plain);
    let mut clip = pages[0].to_vec();
    let comment = [&b"OpusTags"[..], &[7; 255 * 250 - 8]].concat();
    clip.extend(ogg::raw_page(1, 0, -1, &[255; 250], &comment));
    clip.extend(ogg::raw_page(1, CONTINUES, -1, &[255; 255], &[7; 255 * 255]));
    clip.extend(ogg::raw_page(1, CONTINUES, 0, &[9], &[7; 9]));
    clip.extend(pages[2..].concat());
    assert_eq!(judge(&clip).unwrap().duration_ms, judge(&plain).unwrap().duration_ms);
}

/// A silent MPEG-1 layer III frame at 44.1 kHz, mono, 32 kbit/s (26.1 ms).
fn frame() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFB, 0x10, 0xC0];
    frame.resize(104, 0);
    frame
}

/// A silent MPEG-2 layer III frame at 16 kHz, mono, 8 kbit/s (36 ms).
fn slow_frame() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xF3, 0x18, 0xC0];
    frame.resize(36, 0);
    frame
}

#[test]
fn mp3_frames_are_summed_each_at_its_own_rate() {
    let mixed = [frame().repeat(100), slow_frame().repeat(100)].concat();
    let mut gate = Gate::new(LIMITS);
    gate.feed(&mixed).unwrap();
    assert_eq!(gate.finish().unwrap().duration_ms, 2_612 + 3_600);
}

#[test]
fn mp3_frames_can_not_hide_in_tags_or_junk() {
    let start = frame().repeat(20);
    for mark in ["TAG", "APETAGEX\0\0", "ID3\x04\0\0\x7f\x7f\x7f\x7f", "LYRICSBEGIN", "junk"] {
        let hidden = [&start[..], mark.as_bytes(), &frame().repeat(2_400)].concat();
        assert_eq!(code(&hidden), Code::AudioTooLong, "{mark}");
    }
}

#[test]
fn mp3_junk_is_tolerated_up_to_two_percent() {
    let with = |junk| [frame().repeat(100), vec![b'x'; junk], frame().repeat(100)].concat();
    let media = judge(&with(400)).unwrap();
    assert_eq!((media.duration_ms, media.notes), (5_224, vec![Note::JunkBytes]));
    assert_eq!(code(&with(450)), Code::AudioCorrupted);
}

#[test]
fn mp3_tags_at_the_end_are_no_junk() {
    let mut tag = b"TAGtitle".to_vec();
    tag.resize(128, 0);
    let media = judge(&[frame().repeat(10), tag].concat()).unwrap();
    assert_eq!((media.duration_ms, media.notes), (261, vec![]));
}

#[test]
fn behind_the_mark_of_a_tag_there_is_no_more_than_the_tag() {
    let audio = frame().repeat(100);
    let page = b"<html>".repeat(1_000);
    let ape = |size: u32| {
        let size = size.to_le_bytes();
        [&b"APETAGEX\xD0\x07\0\0"[..], &size, &[1, 0, 0, 0, 0, 0, 0, 0x80], &[0; 8]].concat()
    };
    let large = [ape(6_000), vec![0; 6_000]].concat();
    for tag in [large, id3(6_000)] {
        let media = judge(&[audio.clone(), tag.clone()].concat()).unwrap();
        assert_eq!((media.duration_ms, media.notes), (2_612, vec![]));
        assert_eq!(code(&[audio.clone(), tag, page.clone()].concat()), Code::AudioCorrupted);
    }
    for mark in [&b"TAG"[..], b"APET", b"APETAGEX", &ape(0), b"ID3", b"ID3\x04\0\0\0\0\0\0"] {
        let polyglot = [&audio[..], mark, &page].concat();
        assert_eq!(code(&polyglot), Code::AudioCorrupted, "{:?}", mark.escape_ascii().to_string());
    }
    // What is told to be large is bounded too, and so is how many there are.
    let lying = [&audio[..], &ape(u32::MAX), &b"<html>".repeat(200_000)].concat();
    assert_eq!(code(&lying), Code::AudioCorrupted);
    let many = [b"TAG".to_vec(), vec![b'x'; 352]].concat().repeat(200);
    assert_eq!(code(&[audio, many].concat()), Code::AudioCorrupted);
}

/// A frame that says how many are to come, and what its encoder put around the audio.
fn encoder_frame(encoder: &[u8; 4], frames: Option<u32>) -> Vec<u8> {
    let mut first = frame();
    let mut info = b"Info".to_vec();
    info.extend(u32::from(frames.is_some()).to_be_bytes());
    info.extend(frames.map(u32::to_be_bytes).into_iter().flatten());
    info.extend(encoder);
    info.extend([0; 17]);
    // 4,095 samples at the start, 4,095 at the end: 186 ms.
    info.extend([0xFF, 0xFF, 0xFF]);
    first[21..21 + info.len()].copy_from_slice(&info);
    first
}

#[test]
fn only_encoders_that_players_believe_say_what_is_not_played() {
    let played_ms = |encoder, frames| {
        judge(&[encoder_frame(encoder, frames), frame().repeat(100)].concat()).unwrap().duration_ms
    };
    for encoder in [b"LAME", b"Lavf", b"Lavc"] {
        assert_eq!(played_ms(encoder, Some(100)), 2_427);
        // Where the end is not known, nothing is dropped from it.
        for frames in [None, Some(5), Some(101)] {
            assert_eq!(played_ms(encoder, frames), 2_612 - 93, "{frames:?}");
        }
    }
    for encoder in [b"GOGO", b"ABCD"] {
        assert_eq!(played_ms(encoder, Some(100)), 2_612);
    }
}

#[test]
fn mp3_needs_a_run_of_frames_at_its_beginning() {
    assert_eq!(code(&[&frame()[..], &[0; 200]].concat()), Code::UnsupportedAudioFormat);
    assert_eq!(code(&frame().repeat(2)), Code::AudioTooShort);
    assert_eq!(code(&[&frame()[..], &frame()[..50]].concat()), Code::AudioCorrupted);
    assert_eq!(code(&[&frame()[..], &frame(), &[0; 200]].concat()), Code::UnsupportedAudioFormat);
    let free_format = [0xFF, 0xFB, 0x00, 0xC0].repeat(8);
    assert_eq!(detected(&free_format), "MP3 with a free-format bit rate");
    assert_eq!(detected(&[&[0; 20][..], &frame().repeat(50)].concat()), "zero bytes");
}

fn id3(body_bytes: usize) -> Vec<u8> {
    let mut tag = b"ID3\x04\0\0".to_vec();
    tag.extend([21, 14, 7, 0].map(|shift| (body_bytes >> shift & 0x7F) as u8));
    tag.resize(10 + body_bytes, 0);
    tag
}

#[test]
fn id3_tags_are_bounded_in_number_and_size() {
    let audio = frame().repeat(50);
    assert!(judge(&[id3(1_000), id3(500_000), audio.clone()].concat()).is_ok());
    let three = [id3(10), id3(10), id3(10), audio.clone()].concat();
    assert_eq!(code(&three), Code::AudioCorrupted);
    assert_eq!(code(&[id3(1_048_570), audio].concat()), Code::AudioCorrupted);
    assert_eq!(code(&id3(5_000)[..3_000]), Code::AudioCorrupted);
    assert_eq!(code(&id3(0)), Code::AudioCorrupted);
    let ogg = [id3(10), clip("hello.ogg")].concat();
    assert_eq!(detected(&ogg), "Ogg behind an ID3 tag");
}

#[test]
fn sizes_are_held_to_the_limit_at_the_byte() {
    let limits = voicepost::domain::AudioLimits { bytes_max: 1_000, ..LIMITS };
    let mut gate = Gate::new(limits);
    gate.feed(&frame().repeat(9)).unwrap();
    gate.feed(&frame()[..64]).unwrap();
    let refusal = ClipRefusal::TooLarge { at_least_bytes: 1_001, bytes_max: 1_000 };
    assert_eq!(gate.feed(&[0]), Err(refusal.clone()));
    assert_eq!(gate.feed(&[]), Err(refusal.clone()));
    assert_eq!(gate.finish(), Err(refusal));
    assert!(std::mem::size_of::<Gate>() < 2_048);
}

#[test]
fn other_formats_are_named_at_their_sixteenth_byte() {
    let cases: [(&[u8], &str); 9] = [
        (b"\xFF\xF1\x50\x80\x02\x1F\xFC\0\0\0\0\0\0\0\0\0", "audio/aac (ADTS)"),
        (b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1", "application/pdf"),
        (b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0", "application/zip"),
        (b"<!DOCTYPE html><html>", "text/html"),
        (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR", "image/png"),
        (b"MAC \x96\x0F\0\0\x34\0\0\0\x18\0\0\0", "Monkey's Audio"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
        (b"hello, this is text", "text/plain"),
        (b"\xFF\xFD\x90\x04\0\0\0\0\0\0\0\0\0\0\0\0", "MPEG audio of layer I or II"),
    ];
    for (bytes, name) in cases {
        let long = [bytes, &[0x55; 5_000]].concat();
        assert_eq!(detected(&long), name);
        assert_eq!(bytes_until_refused(&long), 16, "{name}");
    }
}
