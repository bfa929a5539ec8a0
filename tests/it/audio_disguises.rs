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

/// Frames of 320 kbit/s at 48 kHz, whose insides are packets of a transport stream of this length.
fn transport(packet_bytes: usize, of_ten: usize) -> Vec<u8> {
    const FRAME_BYTES: usize = 960;
    let mut stream = vec![0; 40 * FRAME_BYTES];
    for (number, packet) in stream.chunks_mut(packet_bytes).enumerate() {
        if number % 10 < of_ten && packet.len() >= 4 {
            packet[..4].copy_from_slice(&[0x47, 0x1F, 0xFF, 0x10]);
        }
    }
    for frame in stream.chunks_mut(FRAME_BYTES) {
        frame[..4].copy_from_slice(&[0xFF, 0xFB, 0xE4, 0xC0]);
    }
    stream
}

#[test]
fn a_transport_stream_between_mp3_headers_is_none() {
    for packet_bytes in [188, 192, 204] {
        assert_eq!(detected(&transport(packet_bytes, 8)), "an MPEG transport stream");
        assert!(judge(&transport(packet_bytes, 4)).is_ok(), "a coincidence, to players too");
    }
    assert!(judge(&transport(190, 10)).is_ok(), "packets of no length that there is");
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
