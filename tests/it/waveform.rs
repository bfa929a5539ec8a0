//! A clip is drawn as it is played: what plays nothing leaves no trace in its waveform, and what a
//! header says of loudness and size is followed.

use voicepost::audio;
use voicepost::domain::{PEAKS, Waveform};

use crate::audio::{LIMITS, clip};
use crate::ogg_writer::{ENDS, page, pages, seal};

fn drawn(clip: &[u8]) -> Waveform {
    let media = audio::judge(clip, &LIMITS).unwrap().deliverable().unwrap();
    audio::waveform(clip, &media).unwrap()
}

fn serial(page: &[u8]) -> u32 {
    u32::from_le_bytes(page[14..18].try_into().unwrap())
}

/// A decoder that is handed them makes up audio for each, and takes its time.
#[test]
fn empty_packets_of_opus_play_nothing() {
    let hello = clip("hello.ogg");
    let wanted = drawn(&hello);
    let parts = pages(&hello);
    let empty = page(serial(parts[0]), 0, -1, &[b"".as_slice(); 255]).repeat(40);
    let behind = [&hello[..], &empty].concat();
    let (headers, speech) = parts.split_at(2);
    let in_front = [&headers.concat()[..], &empty, &speech.concat()].concat();
    let between = [&parts[..4].concat()[..], &empty, &parts[4..].concat()].concat();
    for (place, clip) in [("behind", behind), ("in front", in_front), ("between", between)] {
        let drawn = drawn(&clip);
        assert_eq!((drawn.peaks, drawn.silent), (wanted.peaks.clone(), false), "{place}");
    }
}

/// Streams of nothing but headers.
#[test]
fn a_chain_of_empty_streams_costs_no_decoders() {
    let hello = clip("hello.ogg");
    let parts = pages(&hello);
    let headers = parts[..2].concat();
    let empty = page(serial(parts[0]), ENDS, 0, &[b""]);
    for link in [headers.clone(), [headers, empty].concat()] {
        let chain = [&hello[..], &link.repeat(2_000)].concat();
        assert_eq!(drawn(&chain).peaks, drawn(&hello).peaks);
    }
}

/// Codebooks are costly to build, and a stream of one packet plays nothing.
#[test]
fn a_chain_of_vorbis_is_drawn_unless_every_stream_is_another() {
    let hello = clip("hello.vorbis.ogg");
    let parts = pages(&hello);
    let (identification, pages_of_headers) = (parts[0].to_vec(), parts[1].to_vec());
    let chain = |streams: u8, differ: bool| {
        let mut clip = hello.clone();
        for number in 0..streams {
            let mut identification = identification.clone();
            // The nominal bit rate, which decides nothing.
            identification[28 + 20] ^= if differ { number + 1 } else { 0 };
            seal(&mut identification);
            clip.extend(identification);
            clip.extend(&pages_of_headers);
        }
        clip
    };
    let look = |clip: &[u8]| {
        let media = audio::judge(clip, &LIMITS).unwrap().deliverable().unwrap();
        audio::waveform(clip, &media).map(|drawn| drawn.peaks)
    };
    let wanted = Some(drawn(&hello).peaks);
    assert_eq!(look(&chain(100, false)), wanted);
    assert_eq!(look(&chain(3, true)), wanted);
    assert_eq!(look(&chain(100, true)), None);
}

/// RFC 7845 §5.1: in 1/256 dB, and for the stream whose header says so.
#[test]
fn the_output_gain_of_opus_is_applied() {
    let hello = clip("hello.ogg");
    let with_gain = |decibels: i16| {
        let mut clip = hello.clone();
        let head_bytes = pages(&hello)[0].len();
        let gain = head_bytes - 3;
        clip[gain..gain + 2].copy_from_slice(&(decibels * 256).to_le_bytes());
        seal(&mut clip[..head_bytes]);
        clip
    };
    let wanted = drawn(&hello);
    assert_eq!(drawn(&with_gain(0)), wanted);
    let quieter = drawn(&with_gain(-20));
    assert!(!quieter.silent);
    for (quieter, wanted) in quieter.peaks.iter().zip(&wanted.peaks) {
        assert!((f32::from(*quieter) - f32::from(*wanted) / 10.0).abs() <= 0.6);
    }
    let gone = drawn(&with_gain(-128));
    assert!(gone.silent && gone.peaks.iter().all(|peak| *peak == 0), "{gone:?}");
    assert_eq!(drawn(&with_gain(60)).peaks.iter().max(), Some(&255));
    let chained = drawn(&[with_gain(-128), hello.clone()].concat());
    let (first, second) = chained.peaks.split_at(PEAKS / 2);
    assert!(first.iter().all(|peak| *peak == 0), "{chained:?}");
    assert!(second.iter().max() == wanted.peaks.iter().max(), "{chained:?}");
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
