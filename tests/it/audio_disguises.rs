//! Clips that are one thing by the judge's walk and another to players.

use voicepost::domain::Code;

use crate::audio::clip;
use crate::audio_hostile::{code, detected, judge};
use crate::ogg_writer as ogg;
use crate::wav_hostile::{PCM_8_KHZ, wav};

/// A chunk as it stands in a WAVE file.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32).to_le_bytes();
    [&name[..], &size, body].concat()
}

/// Players step over the odd chunk by its size, and the last data chunk is the one they play.
#[test]
fn data_behind_a_chunk_whose_name_is_no_name_is_a_second_chunk() {
    let first = wav(PCM_8_KHZ, 80_000, 80_000);
    let hidden = chunk(b"data", &[0; 1_000]);
    assert!(
        judge(&[&first[..], &chunk(b"\x80abc", &[])].concat()).is_ok(),
        "junk and nothing more"
    );
    for junk in
        [chunk(b"\x80abc", &[]), chunk(b"\xff\0\xff\0", b"four"), chunk(b"\x01abc", b"odd\0")]
    {
        assert_eq!(code(&[&first[..], &junk, &hidden].concat()), Code::AudioCorrupted);
    }
    // Behind data of an odd size either way through the chunks counts.
    let odd = wav(PCM_8_KHZ, 79_999, 80_000);
    let junk = chunk(b"\x80abc", &[]);
    assert_eq!(code(&[&odd[..], &junk, &hidden].concat()), Code::AudioCorrupted);
}

/// ffmpeg and Chromium give up on either.
#[test]
fn chunks_that_players_end_at_are_refused() {
    let sound = wav(PCM_8_KHZ, 16_000, 16_000);
    let with =
        |name, size: usize| [&sound[..12], &chunk(name, &vec![0; size]), &sound[12..]].concat();
    assert_eq!(detected(&with(b"XMA2", 44)), "WAV with a format chunk of XMA2");
    assert_eq!(code(&with(b"LIST", 2)), Code::AudioCorrupted);
    assert!(judge(&with(b"LIST", 4)).is_ok() && judge(&with(b"XMA3", 44)).is_ok());
}

/// Frames of 320 kbit/s at 48 kHz with these bytes between their headers.
fn framed(mut inside: Vec<u8>) -> Vec<u8> {
    const FRAME_BYTES: usize = 960;
    inside.resize(40 * FRAME_BYTES, 0);
    for frame in inside.chunks_mut(FRAME_BYTES) {
        frame[..4].copy_from_slice(&[0xFF, 0xFB, 0xE4, 0xC0]);
    }
    inside
}

/// Packets of this length, of which the twelfth begins what the others go on with.
fn transport(packet_bytes: usize, of_ten: usize, adaptation_bytes: u8) -> Vec<u8> {
    let mut stream = vec![0; 40_000];
    for (number, packet) in stream.chunks_exact_mut(packet_bytes).enumerate() {
        if number % 10 < of_ten {
            packet[..4].copy_from_slice(&[0x47, 0x01, 0x00, 0x10]);
        }
        if number == 11 {
            let begins = 5 + usize::from(adaptation_bytes);
            packet[..5].copy_from_slice(&[0x47, 0x41, 0x00, 0x30, adaptation_bytes]);
            packet[begins..][..4].copy_from_slice(&[0, 0, 1, 0xC0]);
        }
    }
    stream
}

#[test]
fn a_transport_stream_between_mp3_headers_is_none() {
    for packet_bytes in [188, 192, 204] {
        for adaptation_bytes in [0, 1, 170] {
            let stream = framed(transport(packet_bytes, 8, adaptation_bytes));
            assert_eq!(detected(&stream), "an MPEG transport stream");
        }
        let rare = framed(transport(packet_bytes, 4, 1));
        assert!(judge(&rare).is_ok(), "a coincidence, to players too");
    }
    assert!(judge(&framed(transport(190, 10, 1))).is_ok(), "packets of no length that there is");
    // The same bytes at the same distance, as a tone has them, carry nothing.
    let packet = [&[0x47, 0x01, 0x00, 0x10][..], &[0; 188]].concat();
    assert!(judge(&framed(packet.repeat(200))).is_ok());
}

const PACK: &[u8] = &[0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xF8];
const SYSTEM_HEADER: &[u8] = &[0, 0, 1, 0xBB, 0, 6, 0x80, 0, 1, 0, 0xFF, 0x7F];

/// A packet of this stream with as many bytes of it, in MPEG-2 or in MPEG-1.
fn packet(stream: u8, mpeg: u8, bytes: usize) -> Vec<u8> {
    let time = [0x21, 0, 1, 0, 1];
    let before: &[u8] = if mpeg == 2 { &[0x80, 0x80, 5] } else { &[0xFF, 0xFF, 0x40, 0x20] };
    let length = ((before.len() + time.len() + bytes) as u16).to_be_bytes();
    [&[0, 0, 1, stream], &length[..], before, &time, &vec![0x55; bytes]].concat()
}

/// A tag of so many bytes, filled up behind these.
fn tag(bytes: usize, inside: &[u8]) -> Vec<u8> {
    let mut tag = b"ID3\x04\0\0".to_vec();
    tag.extend([21, 14, 7, 0].map(|shift| ((bytes - 10) >> shift & 0x7F) as u8));
    tag.extend(inside);
    tag.resize(bytes, 0x55);
    tag
}

const PROGRAM: &str = "an MPEG program stream";

#[test]
fn a_program_stream_between_mp3_headers_is_none() {
    let packs = |count: usize| [PACK, &[0x55; 300]].concat().repeat(count);
    let stream = |inside: &[u8]| framed([&[0x55; 100][..], inside].concat());
    for mpeg in [1, 2] {
        for id in [0xBD, 0xC0, 0xE5, 0xFD] {
            let with_packets = [PACK, &packet(id, mpeg, 300)].concat();
            assert_eq!(detected(&stream(&with_packets.repeat(3))), PROGRAM);
        }
        for id in [0xC0, 0xE5, 0xFD] {
            assert_eq!(detected(&stream(&packet(id, mpeg, 300).repeat(13))), PROGRAM);
            assert!(judge(&stream(&packet(id, mpeg, 300).repeat(3))).is_ok());
        }
    }
    let one_of_each = [PACK, SYSTEM_HEADER, &packet(0xC0, 2, 300)].concat();
    assert_eq!(detected(&stream(&one_of_each)), PROGRAM);
    // To players too these are none.
    assert!(judge(&stream(&packs(12))).is_ok(), "nothing in the packs");
    assert!(judge(&stream(&packet(0xBD, 2, 300).repeat(13))).is_ok(), "private packets alone");
    let none = [0, 0, 1, 0xC0, 0, 9, 0x80, 0x80, 5, 0x11].repeat(13);
    assert!(judge(&stream(&none)).is_ok(), "packets with a mark that is none");
    let one = [&packet(0xC0, 2, 65_000)[..18], &packet(0xC0, 2, 300).repeat(13)].concat();
    assert!(judge(&stream(&one)).is_ok(), "packets within another");
    let behind = [&[0x55; 8_192][..], &[PACK, &packet(0xC0, 2, 300)].concat().repeat(13)].concat();
    assert!(judge(&stream(&behind)).is_ok(), "behind as many frames as players ask for");
}

/// Behind fewer players look for longer, and less is enough.
#[test]
fn a_program_stream_behind_few_mp3_frames_is_found_up_to_a_mebibyte() {
    const LOOK_BYTES: usize = 1 << 20;
    const FRAME_BYTES: usize = 960;
    let frames = framed(Vec::new());
    // As in a clip of 57 s, of which packets in the frames make one of nine minutes.
    let clip = |count: usize, at: usize, inside: &[u8]| {
        let first = count * FRAME_BYTES;
        let tag = tag(LOOK_BYTES - 30, &[&vec![0x55; at - first - 10], inside].concat());
        [&frames[..first], &tag, &frames[..]].concat()
    };
    let pack = [PACK, &packet(0xBD, 2, 300)].concat();
    let header = [PACK, SYSTEM_HEADER].concat();
    let packets = packet(0xC0, 1, 20).repeat(2);
    for inside in [pack, header, packets] {
        for at in [8_000, 300_000, LOOK_BYTES - inside.len()] {
            for count in [3, 6] {
                assert_eq!(detected(&clip(count, at, &inside)), PROGRAM, "{count} frames, {at}");
            }
            assert!(judge(&clip(7, at.max(8_192), &inside)).is_ok(), "{at}");
        }
        assert_ne!(detected(&clip(3, LOOK_BYTES, &inside[..18])), PROGRAM, "further than a look");
    }
    let end = [&packet(0xC0, 2, 20)[..], &[0, 0, 1, 0xE0, 0, 9, 0x80]].concat();
    let cut_off = clip(3, 20_000, &end);
    assert_eq!(detected(&cut_off[..20_000 + end.len()]), PROGRAM, "zeros follow, to players");

    let mut repeated = clip(7, 8_192, PACK);
    repeated.splice(300_000..300_000, packet(0xC0, 2, 20));
    assert!(judge(&repeated).is_ok());
    for at in [100, 200, 300] {
        repeated[at..][..4].copy_from_slice(&[0xFF, 0xFB, 0xE4, 0xC0]);
    }
    assert_eq!(detected(&repeated), PROGRAM, "to players a frame with three headers is none");
}

/// Players take for MP3 what little else there is, and look for formats without a head in more.
#[test]
fn an_mp3_of_few_frames_is_no_more_than_those_and_a_small_tag() {
    let clip = |frames: usize, tag_bytes: usize| {
        let frame = [&[0xFF, 0xFB, 0xE4, 0xC0][..], &[0; 956]].concat();
        [frame.repeat(frames), tag(tag_bytes, &[])].concat()
    };
    for (frames, tag_bytes) in [(5, 1_900), (6, 1_900), (7, 4_000), (7, 1 << 20)] {
        assert!(judge(&clip(frames, tag_bytes)).is_ok(), "{frames} frames, {tag_bytes} bytes");
    }
    let found = "bytes that begin like MP3 but hold no run of frames";
    for (frames, tag_bytes) in [(5, 2_100), (6, 4_000), (6, 1 << 20)] {
        assert_eq!(detected(&clip(frames, tag_bytes)), found, "{frames} frames, {tag_bytes} bytes");
    }
    let behind = [clip(6, 4_000), framed(Vec::new())].concat();
    assert_eq!(detected(&behind), found, "whatever follows");
}

/// Players step over one tag in front, where it ends before they look no further.
#[test]
fn a_program_or_transport_stream_in_a_tag_in_front_is_found_where_players_look() {
    let frames = framed(Vec::new());
    let program = [PACK, &packet(0xC0, 2, 300)].concat();
    let transport = transport(188, 10, 1);
    let large = (1 << 20) - 16;
    for (inside, name) in [(program, PROGRAM), (transport, "an MPEG transport stream")] {
        for tags in [[tag(20, &[]), tag(50_000, &inside)].concat(), tag(large, &inside)] {
            assert_eq!(detected(&[&tags[..], &frames].concat()), name);
        }
        for tags in [[tag(50_000, &inside), tag(20, &[])].concat(), tag(large - 1, &inside)] {
            assert!(judge(&[&tags[..], &frames].concat()).is_ok());
        }
    }
}

#[test]
fn a_name_of_another_format_behind_an_mp3_header_is_believed() {
    for (at, name, whose) in [
        (4, "udta", "QuickTime"),
        (4, "moov", "QuickTime"),
        (44, "SCRM", "a tracker's module"),
        (1_080, "M.K.", "a tracker's module"),
        (1_080, "8CHN", "a tracker's module"),
        (1_080, "32CH", "a tracker's module"),
    ] {
        let mut clip = framed(Vec::new());
        clip[at..at + 4].copy_from_slice(name.as_bytes());
        assert_eq!(detected(&clip), format!("{whose} that begins like MP3"));
        let mut elsewhere = framed(Vec::new());
        elsewhere[at + 8..at + 12].copy_from_slice(name.as_bytes());
        assert!(judge(&elsewhere).is_ok(), "{name}");
    }
    let mut counted = framed(Vec::new());
    counted[1_080..1_084].copy_from_slice(b"xxCH");
    assert!(judge(&counted).is_ok());
}

/// A frame that no other follows is played all the same.
#[test]
fn frames_without_neighbours_make_an_mp3_too_long() {
    // 8 kbit/s at 8 kHz, 72 ms each; the other rate is 11,025 Hz.
    let frame = [&[0xFF, 0xE3, 0x18, 0xC0][..], &[0; 68]].concat();
    let honest = frame.repeat(14);
    let tag = |body: Vec<u8>| {
        let size = (body.len() as u32).to_le_bytes();
        let head = [&b"APETAGEX"[..], &2_000_u32.to_le_bytes(), &size, &[0; 16]].concat();
        [&honest[..], &head, &body].concat()
    };
    let lone = |count: usize| tag([&frame[..], b"x"].concat().repeat(count));
    assert_eq!(code(&lone(900)), Code::AudioTooLong);
    assert!(judge(&lone(700)).is_ok_and(|media| media.duration_ms == 14 * 72));
    let other = [&[0xFF, 0xE3, 0x10, 0xC0][..], &[0; 48]].concat();
    assert_eq!(code(&tag([&frame[..], &other].concat().repeat(600))), Code::AudioTooLong);
}

/// Players look for bursts in data of every width.
#[test]
fn what_goes_over_a_digital_cable_is_no_samples() {
    let burst = [&[0x72, 0xF8, 0x1F, 0x4E, 0x01, 0x00][..], &[0; 1_000]].concat();
    for format in [PCM_8_KHZ, [1, 1, 8_000, 0, 8_000, 0, 1, 8]] {
        let clip = |bursts: usize| {
            let mut clip = wav(format, 16_000, 16_000);
            clip[2_000..][..burst.len() * bursts].copy_from_slice(&burst.repeat(bursts));
            clip
        };
        let found = "WAV with the bursts of a digital cable (IEC 61937) in the place of samples";
        assert_eq!(detected(&clip(2)), found);
        assert!(judge(&clip(1)).is_ok(), "a coincidence, to players too");
    }
}

#[test]
fn a_voice_recorders_mark_makes_a_wav_another_file() {
    let mut clip = wav(PCM_8_KHZ, 16_000, 16_000);
    clip[44..512].fill(0);
    clip[256] = 0x84;
    clip[257..264].fill(1);
    assert_eq!(detected(&clip), "a voice recorder's ACT file");
    // To players too these are samples of the WAV.
    for other in [44, 255, 264, 511] {
        let mut honest = clip.clone();
        honest[other] = 1;
        assert!(judge(&honest).is_ok(), "{other}");
    }
}

/// Of Vorbis players cut the last packet and no more, whatever the last page says.
#[test]
fn a_vorbis_end_is_cut_in_the_last_packet_alone() {
    let honest = clip("hello.vorbis.ogg");
    let played_ms = judge(&honest).unwrap().duration_ms;
    let last_at = honest.len() - ogg::pages(&honest).last().unwrap().len();
    for less_ms in [100_i64, 500, 900] {
        let mut lying = honest.clone();
        let field = last_at + 6..last_at + 14;
        let granule = i64::from_le_bytes(lying[field.clone()].try_into().unwrap());
        let less = less_ms * 48;
        lying[field].copy_from_slice(&(granule - less).to_le_bytes());
        ogg::seal(&mut lying[last_at..]);
        let ms = judge(&lying).unwrap().duration_ms;
        assert!(ms >= played_ms && ms <= played_ms + 50, "{ms} of {played_ms}, {less_ms} claimed");
    }
}
