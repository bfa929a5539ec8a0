//! Packets of AAC, and whole FLAC streams, decoded to speech.

use std::io::Cursor;

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::formats::FormatReader;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::{AacDecoder, FlacDecoder};
use symphonia::default::formats::FlacReader;

use crate::domain::{ClipRefusal, Note};

use super::super::aac::AacConfig;
use super::super::flac;
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

fn finished(speech: Option<Speech>, good: u64, bad: u64) -> Result<Speech, ClipRefusal> {
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

/// Bytes of a tag that some programs append, which no player takes for audio.
const ID3V1_BYTES: usize = 128;

/// Decodes a native FLAC stream; with it, what is to be noted about the clip.
pub(super) fn flac(
    clip: &[u8],
    limit: PlaytimeLimit,
    keep: bool,
) -> Result<(Speech, Vec<Note>), ClipRefusal> {
    let head = clip.first_chunk::<{ flac::HEAD_BYTES }>();
    let info = head.map(flac::parse).transpose()?;
    let Some(info) = info else { return Err(corrupted("the FLAC stream has no description")) };
    // The reader would take it for a part of the last frame.
    let tag_at = clip.len().saturating_sub(ID3V1_BYTES);
    let audio = if clip[tag_at..].starts_with(b"TAG") { &clip[..tag_at] } else { clip };
    let stream = MediaSourceStream::new(Box::new(Cursor::new(audio)), Default::default());
    let mut reader = FlacReader::try_new(stream, Default::default()).map_err(undecodable)?;
    let params = reader.default_track(symphonia::core::formats::TrackType::Audio);
    let params = params.and_then(|track| track.codec_params.as_ref()?.audio());
    let Some(params) = params else { return Err(corrupted("the FLAC stream has no track")) };
    let options = AudioDecoderOptions::default().gapless(false);
    let mut decoder = FlacDecoder::try_new(params, &options).map_err(undecodable)?;
    let mut speech = Speech::new(limit, info.sample_rate_hz, 0, None, keep);
    let (mut good, mut bad) = (0, 0);
    let mut pcm = Vec::new();
    let is_cut = loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break false,
            Err(_) => break true,
        };
        match decoder.decode(&packet) {
            Ok(buffer) => {
                good += 1;
                let channels = interleave(&buffer, &mut pcm);
                speech.push(&pcm, channels)?;
            }
            Err(_) => bad += 1,
        }
    };
    let speech = finished(Some(speech), good, bad)?;
    let notes = if is_cut { vec![Note::Truncated] } else { Vec::new() };
    Ok((speech, notes))
}

/// The samples one channel after the other in each frame; how many channels there are.
fn interleave(buffer: &GenericAudioBufferRef<'_>, pcm: &mut Vec<f32>) -> usize {
    buffer.copy_to_vec_interleaved(pcm);
    buffer.num_planes()
}

fn undecodable(error: impl std::fmt::Display) -> ClipRefusal {
    ClipRefusal::Undecodable { reason: error.to_string() }
}
