//! Speech as a file: Ogg Opus, or WAV.

use ropus::{Application, Bitrate, Channels, Encoder, Signal};

use crate::domain::ClipRefusal;

use super::super::opus;
use super::ogg_writer::OggWriter;
use super::speech::SPEECH_RATE_HZ;

/// Samples of a packet: 20 ms.
const PACKET_SAMPLES: usize = SPEECH_RATE_HZ as usize / 50;
/// How often a sample of speech is counted by Opus.
const RATIO: u64 = (opus::RATE_HZ / SPEECH_RATE_HZ) as u64;
/// How hard the encoder tries, of ten. Measured on a minute of speech: the next steps cost a third
/// more and are hardly heard.
const COMPLEXITY: u8 = 5;
/// The longest packet that the encoder writes.
const PACKET_BYTES_MAX: usize = 1_276;

/// The speech as an Ogg Opus file of exactly its length.
pub(super) fn ogg_opus(speech: &[i16], bits_per_second: u32) -> Result<Vec<u8>, ClipRefusal> {
    let rate = Bitrate::try_bits(bits_per_second).map_err(failed)?;
    let encoder = Encoder::builder(SPEECH_RATE_HZ, Channels::Mono, Application::Voip);
    let encoder = encoder.bitrate(rate).complexity(COMPLEXITY).signal(Signal::Voice);
    let mut encoder = encoder.build().map_err(failed)?;
    // The encoder counts what it is late in samples of its input.
    let pre_skip = u64::from(encoder.lookahead()) * RATIO;
    let wanted = pre_skip + speech.len() as u64 * RATIO;
    let bytes_expected = speech.len() * bits_per_second as usize / SPEECH_RATE_HZ as usize / 7;
    let mut writer = OggWriter::new(&opus_head(pre_skip as u16), bytes_expected);
    let (mut frame, mut packet) = ([0; PACKET_SAMPLES], [0; PACKET_BYTES_MAX]);
    let mut rest = speech;
    let mut coded = 0;
    while coded < wanted {
        let (part, after) = rest.split_at(rest.len().min(PACKET_SAMPLES));
        rest = after;
        frame[..part.len()].copy_from_slice(part);
        frame[part.len()..].fill(0);
        let bytes = encoder.encode(&frame, &mut packet).map_err(failed)?;
        let samples = PACKET_SAMPLES as u64 * RATIO;
        writer.packet(&packet[..bytes], samples);
        coded += samples;
    }
    Ok(writer.finish(coded - wanted))
}

/// An identification header for one channel (RFC 7845 §5.1).
fn opus_head(pre_skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x01".to_vec();
    head.extend_from_slice(&pre_skip.to_le_bytes());
    head.extend_from_slice(&SPEECH_RATE_HZ.to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    head
}

fn failed(error: impl std::fmt::Display) -> ClipRefusal {
    ClipRefusal::Undecodable { reason: format!("the Opus encoder refuses it: {error}") }
}

/// The speech as a WAV file of 16-bit samples.
pub(super) fn wav(speech: &[i16]) -> Vec<u8> {
    let data_bytes = 2 * speech.len() as u32;
    let mut file = Vec::with_capacity(44 + data_bytes as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&SPEECH_RATE_HZ.to_le_bytes());
    file.extend_from_slice(&(2 * SPEECH_RATE_HZ).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&data_bytes.to_le_bytes());
    file.extend(speech.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
