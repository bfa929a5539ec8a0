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

/// Samples of this many bits that are these bytes, and silence up to a second.
fn disguised(bits: u16, data: &[u8]) -> Vec<u8> {
    let block = bits / 8;
    let mut file = wav([1, 1, 8_000, 0, 8_000 * block, 0, block, bits], 0, 0);
    file.extend(data);
    file.resize(44 + 8_000 * usize::from(block), 0);
    file
}

/// A frame of this length that begins so.
fn coded(head: &[u8], frame_bytes: usize) -> Vec<u8> {
    let mut frame = head.to_vec();
    frame.resize(frame_bytes, 0);
    frame
}

/// ffmpeg plays such files as what their data are, which lasts longer than the samples would.
#[test]
fn coded_audio_in_the_place_of_16_bit_samples_is_refused() {
    let mpeg = [
        coded(&[0xFF, 0xFB, 0x10, 0xC0], 104),
        coded(&[0xFF, 0xFD, 0x14, 0xC0], 96),
        coded(&[0xFF, 0xFF, 0x10, 0xC0], 32),
    ]
    .concat();
    let at_the_start = [
        coded(&[0xFF, 0xF1, 0x6C, 0x40, 0x0C, 0x80], 100),
        coded(&[0x56, 0xE0, 97], 100),
        coded(&[0x0B, 0x77, 0, 0, 0x80, 0x40], 192),
        coded(&[0x77, 0x0B, 0, 0, 0x40, 0x41], 140),
        coded(&[0x0B, 0x77, 0, 99, 0x34, 0x80], 200),
    ]
    .map(|frame| frame.repeat(3));
    let dts = [
        coded(&[0x7F, 0xFE, 0x80, 0x01, 0xFC, 0x3C], 1_006),
        coded(&[0xFE, 0x7F, 0x01, 0x80, 0x3C, 0xFC], 1_006),
        coded(&[0x1F, 0xFF, 0xE8, 0x00, 0x07, 0xF0], 1_006),
        coded(&[0xFF, 0x1F, 0x00, 0xE8, 0xF0, 0x07], 1_006),
    ]
    .map(|frame| [vec![1; 63], frame.repeat(3)].concat());
    let true_hd = coded(&[0xF0, 0x54, 0, 0, 0xF8, 0x72, 0x6F, 0xBA], 64);
    let anywhere = [mpeg.clone(), [vec![0; 1_001], mpeg.clone()].concat()];
    let all = anywhere.iter().chain(&at_the_start).chain(&dts).chain([&true_hd]);
    for (number, data) in all.enumerate() {
        assert_eq!(code(&disguised(16, data)), Code::UnsupportedAudioFormat, "{number}");
        assert!(bytes_until_refused(&disguised(16, data)) <= 44 + data.len(), "{number}");
        // Where no player looks, they are samples.
        assert!(judge(&disguised(8, data)).is_ok(), "{number}");
        assert!(judge(&disguised(24, data)).is_ok(), "{number}");
        let too_few = &data[..data.len() * 2 / 3 - 10];
        if number < 11 {
            assert!(judge(&disguised(16, too_few)).is_ok(), "{number}");
        }
    }
    for data in at_the_start.iter().chain([&mpeg]) {
        assert!(judge(&disguised(16, &[&[0, 9], &data[..]].concat())).is_ok());
    }
}

/// Loud squares, noise and what is nearly silent are samples.
#[test]
fn samples_that_look_odd_are_no_coded_audio() {
    let square = |low: i16, high: i16, half: usize| {
        let period = [vec![low; half], vec![high; half]].concat();
        period.into_iter().cycle().take(8_000).flat_map(i16::to_le_bytes).collect::<Vec<u8>>()
    };
    for half in 1..40 {
        for (low, high) in [(-32_767, 32_766), (-32_768, 32_767), (-1, 0), (-5, 4)] {
            assert!(
                judge(&disguised(16, &square(low, high, half))).is_ok(),
                "{low}..{high} {half}"
            );
        }
    }
    let mut state = 1_u32;
    for _ in 0..200 {
        let noise: Vec<u8> = (0..16_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert!(judge(&disguised(16, &noise)).is_ok());
    }
}
