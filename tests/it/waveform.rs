//! A clip is drawn as it is played: what plays nothing leaves no trace in its waveform, and what a
//! header says of loudness and size is followed.

use voicepost::audio;
use voicepost::domain::Waveform;

use crate::audio::LIMITS;

fn drawn(clip: &[u8]) -> Waveform {
    let media = audio::judge(clip, &LIMITS).unwrap().deliverable().unwrap();
    audio::waveform(clip, &media).unwrap()
}

/// Three seconds of digital silence with a chunk of anything behind them, whichever way the size of
/// the data is told.
#[test]
fn chunks_behind_the_audio_of_a_wav_are_not_drawn() {
    let data = vec![0; 3 * 32_000];
    let chunk =
        |id: &[u8; 4], size: u32, body: &[u8]| [&id[..], &size.to_le_bytes(), body].concat();
    let format = b"\x01\0\x01\0\x80\x3E\0\0\0\x7D\0\0\x02\0\x10\0";
    let format = chunk(b"fmt ", 16, format);
    let noise: Vec<u8> =
        (0..60_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let behind = chunk(b"bext", 60_000, &noise);
    let data_bytes = data.len() as u32;
    let mut long_sizes = [0; 28];
    long_sizes[8..12].copy_from_slice(&data_bytes.to_le_bytes());
    let long_sizes = chunk(b"ds64", 28, &long_sizes);
    for (magic, long_sizes, size) in [
        (b"RIFF", &[][..], data_bytes),
        (b"RF64", &long_sizes, u32::MAX),
        (b"RF64", &long_sizes, data_bytes),
    ] {
        let audio = chunk(b"data", size, &data);
        let body = [b"WAVE", long_sizes, &format, &audio, &behind].concat();
        let size = if magic == b"RF64" { u32::MAX } else { body.len() as u32 };
        let drawn = drawn(&chunk(magic, size, &body));
        assert!(drawn.silent && drawn.peaks.iter().all(|peak| *peak == 0), "{drawn:?}");
    }
}
