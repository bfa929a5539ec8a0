//! Hostile and odd WAV files: what the gate makes of headers and sizes that lie.

use voicepost::domain::{Code, Note};

use crate::audio_hostile::{bytes_until_refused, code, judge};

/// A WAVE file of `format` (16 bytes) whose data chunk declares `declared` bytes and has `held`.
pub(crate) fn wav(format: [u16; 8], declared: u32, held: usize) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(format.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(b"data");
    file.extend(declared.to_le_bytes());
    file.resize(file.len() + held, 0);
    file
}

/// 16-bit mono PCM at 8 kHz.
pub(crate) const PCM_8_KHZ: [u16; 8] = [1, 1, 8_000, 0, 16_000, 0, 2, 16];

#[test]
fn wav_sizes_are_an_upper_bound_unless_they_are_placeholders() {
    let played = |declared, held| {
        let media = judge(&wav(PCM_8_KHZ, declared, held)).unwrap();
        (media.duration_ms, media.notes)
    };
    assert_eq!(played(16_000, 16_000), (1_000, vec![]));
    assert_eq!(played(16_000, 8_000), (500, vec![Note::Truncated]));
    assert_eq!(played(16_000, 16_300), (1_000, vec![Note::JunkBytes]));
    assert_eq!(code(&wav(PCM_8_KHZ, 16_000, 16_400)), Code::AudioCorrupted);
    assert_eq!(played(0x7000_0000, 16_000), (1_000, vec![Note::Truncated]));
    for placeholder in [0, u32::MAX, u32::MAX - 36, 0x7FFF_FFFF, 0x7FFF_F000, 0x8000_0000] {
        assert_eq!(played(placeholder, 16_000), (1_000, vec![Note::UnknownSize]));
    }
}

/// ffmpeg does not pad the chunk, and would read the next ones a byte earlier than we do.
#[test]
fn an_odd_ds64_is_refused() {
    let rf64 = |size: u32| {
        let mut file = b"RF64\xff\xff\xff\xffWAVEds64".to_vec();
        file.extend(size.to_le_bytes());
        file.extend(16_000_u64.to_le_bytes());
        file.extend(16_000_u64.to_le_bytes());
        file.extend(vec![0; size.div_ceil(2) as usize * 2 - 16]);
        file.extend(&wav(PCM_8_KHZ, u32::MAX, 16_000)[12..]);
        file
    };
    assert_eq!(judge(&rf64(28)).unwrap().duration_ms, 1_000);
    assert_eq!(code(&rf64(29)), Code::AudioCorrupted);
}

#[test]
fn wav_is_refused_at_the_byte_that_makes_it_too_long() {
    for declared in [16_000 * 70, u32::MAX] {
        let long = wav(PCM_8_KHZ, declared, 16_000 * 70);
        // 60,500.5 ms at 8 kHz are 484,004 samples.
        assert_eq!(bytes_until_refused(&long), 44 + 484_004 * 2);
    }
    let second = wav(PCM_8_KHZ, 16_000, 16_000);
    let chunks = [&second[..], &second[36..]].concat();
    assert_eq!(code(&chunks), Code::AudioCorrupted, "players play one data chunk or both");
}

#[test]
fn wav_headers_that_make_no_sense_are_named_with_their_values() {
    let with = |at: usize, value: u16| {
        let mut format = PCM_8_KHZ;
        format[at] = value;
        judge(&wav(format, 16_000, 16_000)).unwrap_err().to_string()
    };
    assert!(with(1, 0).contains("0 channels"));
    assert!(with(1, 9).contains("9 channels"));
    assert!(with(2, 0).contains("0 Hz"));
    assert!(with(3, 9).contains("Hz"));
    assert!(with(6, 0).contains("blocks of 0 bytes"));
    assert!(with(7, 12).contains("12 bits"));
    assert!(with(0, 0x31).contains("GSM"));
    assert!(with(0, 0x55).contains("MPEG"));
}

#[test]
fn wav_chunks_are_padded_and_in_order() {
    let sound = wav(PCM_8_KHZ, 16_000, 16_000);
    let odd = [&sound[..12], b"LIST\x05\0\0\0abcde\0", &sound[12..]].concat();
    assert_eq!(judge(&odd).unwrap().duration_ms, 1_000);
    assert_eq!(code(&[&sound[..12], &sound[36..], &sound[12..36]].concat()), Code::AudioCorrupted);
    assert_eq!(code(&sound[..44]), Code::AudioCorrupted);
}
