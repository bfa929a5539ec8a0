//! A whole FLAC clip, decoded to speech.

use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::FlacDecoder;

use crate::domain::{ClipRefusal, Note};

use super::super::flac::{self, StreamInfo};
use super::super::playtime::{PlaytimeLimit, corrupted};
use super::decode::{finished, interleave, undecodable};
use super::speech::Speech;

/// The most samples a frame can have.
const FRAME_SAMPLES_MAX: u16 = u16::MAX;

/// Decodes a native FLAC clip; with it, what is to be noted about it. The walk cuts out the frames:
/// the decoder's own reader looks for them, and takes what it finds.
pub(super) fn flac(
    clip: &[u8],
    limit: PlaytimeLimit,
    keep: bool,
) -> Result<(Speech, Vec<Note>), ClipRefusal> {
    let head = clip.first_chunk::<{ flac::HEAD_BYTES }>();
    let info = head.map(flac::parse).transpose()?;
    let Some(info) = info else { return Err(corrupted("the FLAC stream has no description")) };
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_FLAC).with_extra_data(description(&info).into());
    let options = AudioDecoderOptions::default().gapless(false);
    let mut decoder = FlacDecoder::try_new(&params, &options).map_err(undecodable)?;
    let mut speech = Speech::new(limit, info.sample_rate_hz, 0, None, keep);
    let (mut good, mut bad) = (0, 0);
    let mut pcm = Vec::new();
    let notes = flac::walk(clip, &mut |frame, samples| {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, frame);
        let channels = match decoder.decode_ref(&packet) {
            Ok(buffer) => {
                good += 1;
                interleave(&buffer, &mut pcm)
            }
            // One that cannot be decoded takes its time in silence, as with AAC.
            Err(_) => {
                bad += 1;
                pcm.clear();
                pcm.resize(samples as usize, 0.0);
                1
            }
        };
        speech.push(&pcm, channels)
    })?;
    Ok((finished(Some(speech), good, bad)?, notes))
}

/// A `STREAMINFO` block with what the decoder has to know. The sender's own may promise shorter
/// frames than there are.
fn description(info: &StreamInfo) -> [u8; 34] {
    let mut block = [0; 34];
    block[..2].copy_from_slice(&16u16.to_be_bytes());
    block[2..4].copy_from_slice(&FRAME_SAMPLES_MAX.to_be_bytes());
    let (rate, channels) = (u64::from(info.sample_rate_hz), u64::from(info.channels) - 1);
    let packed = rate << 44 | channels << 41 | (u64::from(info.bits) - 1) << 36;
    block[10..18].copy_from_slice(&packed.to_be_bytes());
    block
}
