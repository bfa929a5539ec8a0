//! Packets of AAC, decoded to speech; what that has in common with FLAC.

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::AacDecoder;

use crate::domain::ClipRefusal;

use super::super::aac::AacConfig;
use super::super::packets::{AudioTrack, Coding, PacketSink};
use super::super::playtime::{PlaytimeLimit, corrupted};
use super::speech::Speech;

/// The longest packet there is an honest reason for: six times 6,144 bits of each channel.
const PACKET_BYTES_MAX: usize = 16 * 1024;

/// Recordings that were trimmed on the device keep what was cut off, and it has to be decoded to
/// get at the rest. This much is decoded of any clip at most.
const LEFT_OUT_SECONDS_MAX: u64 = 1_800;

/// Takes AAC packets and decodes them.
pub(super) struct AacSpeech {
    limit: PlaytimeLimit,
    keep: bool,
    decoder: Option<(AacDecoder, AacConfig)>,
    speech: Option<Speech>,
    packet: Vec<u8>,
    pcm: Vec<f32>,
    frames: u64,
    good: u64,
    bad: u64,
}

impl AacSpeech {
    pub(super) fn new(limit: PlaytimeLimit, keep: bool) -> AacSpeech {
        AacSpeech {
            limit,
            keep,
            decoder: None,
            speech: None,
            packet: Vec::new(),
            pcm: Vec::new(),
            frames: 0,
            good: 0,
            bad: 0,
        }
    }

    pub(super) fn finish(self) -> Result<Speech, ClipRefusal> {
        finished(self.speech, self.good, self.bad)
    }
}

/// The speech, unless more packets were invalid than valid.
pub(super) fn finished(speech: Option<Speech>, good: u64, bad: u64) -> Result<Speech, ClipRefusal> {
    match speech {
        Some(speech) if good > 0 && good >= bad => Ok(speech),
        Some(_) if good + bad > 0 => Err(ClipRefusal::Undecodable {
            reason: format!("{bad} of its {} packets are not valid", good + bad),
        }),
        _ => Err(corrupted("the clip has no whole packet of audio")),
    }
}

impl PacketSink for AacSpeech {
    fn track(&mut self, track: &AudioTrack) -> Result<(), ClipRefusal> {
        let Coding::Aac(config) = &track.coding else {
            return Err(corrupted("the clip is not what it was found to be"));
        };
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_AAC).with_extra_data(config.core().into());
        params.with_sample_rate(config.sample_rate_hz);
        let decoder = AacDecoder::try_new(&params, &AudioDecoderOptions::default().gapless(false))
            .map_err(undecodable)?;
        self.decoder = Some((decoder, *config));
        self.speech = Some(Speech::new(
            self.limit,
            config.sample_rate_hz,
            track.start_samples,
            track.played_samples,
            self.keep,
        ));
        Ok(())
    }

    fn part(&mut self, bytes: &[u8]) {
        let room = PACKET_BYTES_MAX + 1 - self.packet.len();
        self.packet.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self) -> Result<(), ClipRefusal> {
        let (Some((decoder, config)), Some(speech)) = (&mut self.decoder, &mut self.speech) else {
            return Ok(());
        };
        if self.packet.is_empty() {
            return Ok(());
        }
        let frame_samples = config.frame_samples as usize;
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, &self.packet);
        let decoded = decoder.decode_ref(&packet);
        let frames = decoded.as_ref().map_or(0, |buffer| buffer.frames());
        let channels = match decoded {
            Ok(buffer) if frames == frame_samples => {
                self.good += 1;
                interleave(&buffer, &mut self.pcm)
            }
            // One that cannot be decoded takes its time in silence, as players do it.
            _ => {
                self.bad += 1;
                self.pcm.clear();
                self.pcm.resize(frame_samples, 0.0);
                1
            }
        };
        self.packet.clear();
        self.frames += u64::from(config.frame_samples);
        if self.frames > LEFT_OUT_SECONDS_MAX * u64::from(config.sample_rate_hz) {
            return Err(corrupted(format!(
                "its edit list leaves out more than {LEFT_OUT_SECONDS_MAX} s of audio"
            )));
        }
        speech.push(&self.pcm, channels)
    }

    fn trim_last(&mut self, _: u64) {}

    fn drop_packet(&mut self) {
        self.packet.clear();
    }
}

/// The samples one channel after the other in each frame; how many channels there are.
pub(super) fn interleave(buffer: &GenericAudioBufferRef<'_>, pcm: &mut Vec<f32>) -> usize {
    buffer.copy_to_vec_interleaved(pcm);
    buffer.num_planes()
}

pub(super) fn undecodable(error: impl std::fmt::Display) -> ClipRefusal {
    ClipRefusal::Undecodable { reason: error.to_string() }
}
