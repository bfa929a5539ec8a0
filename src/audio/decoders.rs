//! Whole clips into samples, piece after piece: each format that may be delivered. For clips that
//! have passed the gate and the second look; what does not decode all the same is left out.
//!
//! A taker gets interleaved samples and how many there are in a second, all channels together.

use ropus::OpusMSDecoder;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_MP3, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE,
    CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE,
    CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::{AdpcmDecoder, MpaDecoder, PcmDecoder, VorbisDecoder};

use crate::domain::Codec;

use super::inspect::{behind_tags, frames, options};
use super::ogg_packets::OggPackets;
use super::opus::{self, StreamLayout};
use super::wav_format::{self, WavFormat};

/// Takes samples, and how many of them there are in a second.
pub(super) type Taker<'a> = &'a mut dyn FnMut(&[f32], u64);

/// The rate at which Opus is decoded: enough to see it, and the cheapest that is not muffled.
const OPUS_RATE_HZ: u32 = 16_000;
/// Samples of 120 ms, the longest packet, of one channel.
const OPUS_PACKET_SAMPLES: usize = OPUS_RATE_HZ as usize * 120 / 1_000;

struct Pieces<'a> {
    take: Taker<'a>,
    pcm: Vec<f32>,
}

impl Pieces<'_> {
    fn decode(&mut self, decoder: &mut dyn AudioDecoder, packet: &[u8]) {
        self.decode_long(decoder, packet, 0);
    }

    /// For decoders that have to be told how many samples of a channel there are.
    fn decode_long(&mut self, decoder: &mut dyn AudioDecoder, packet: &[u8], samples: u64) {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::new(samples), packet);
        if let Ok(buffer) = decoder.decode_ref(&packet) {
            self.take(&buffer);
        }
    }

    fn take(&mut self, buffer: &GenericAudioBufferRef<'_>) {
        buffer.copy_to_vec_interleaved(&mut self.pcm);
        let per_second = u64::from(buffer.spec().rate()) * buffer.num_planes() as u64;
        (self.take)(&self.pcm, per_second);
    }
}

pub(super) fn mp3(clip: &[u8], take: Taker<'_>) -> Option<()> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_MP3);
    let mut decoder = MpaDecoder::try_new(&params, &options()).ok()?;
    let mut pieces = Pieces { take, pcm: Vec::new() };
    let mut audio = behind_tags(clip);
    loop {
        let mut walked = 0;
        for frame in frames(audio) {
            pieces.decode(&mut decoder, frame);
            walked += frame.len();
        }
        // Junk between frames is stepped over, as players do it.
        audio = audio.get(walked + 1..).unwrap_or_default();
        let next = audio.iter().position(|byte| *byte == 0xFF);
        let Some(next) = next else { return Some(()) };
        audio = &audio[next..];
    }
}

pub(super) fn vorbis(clip: &[u8], take: Taker<'_>) -> Option<()> {
    let mut pieces = Pieces { take, pcm: Vec::new() };
    let mut packets = OggPackets::new(clip);
    loop {
        let mut headers = Vec::new();
        for number in 0..3 {
            // What was drawn counts where no whole stream follows.
            let Some(packet) = packets.next() else { return Some(()) };
            if number != 1 {
                headers.extend_from_slice(packet);
            }
        }
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_VORBIS).with_extra_data(headers.into());
        let mut decoder = VorbisDecoder::try_new(&params, &options()).ok()?;
        while let Some(packet) = packets.next() {
            pieces.decode(&mut decoder, packet);
        }
        packets.next_link();
    }
}

pub(super) fn opus(clip: &[u8], take: Taker<'_>) -> Option<()> {
    let mut packets = OggPackets::new(clip);
    let (mut pcm, mut floats) = (Vec::new(), Vec::new());
    loop {
        let Some(head) = packets.next() else { return Some(()) };
        let StreamLayout { streams, coupled } = opus::stream_layout(head)?;
        // Each channel of each stream as it comes: which loudspeaker it is for makes no picture.
        let channels = streams + coupled;
        let order: Vec<u8> = (0..channels).collect();
        let [channels, streams, coupled] = [channels, streams, coupled].map(i32::from);
        let rate_hz = OPUS_RATE_HZ as i32;
        let mut decoder = OpusMSDecoder::new(rate_hz, channels, streams, coupled, &order).ok()?;
        packets.next();
        pcm.resize(OPUS_PACKET_SAMPLES * order.len(), 0);
        while let Some(packet) = packets.next() {
            let (bytes, room) = (packet.len() as i32, OPUS_PACKET_SAMPLES as i32);
            let decoded = decoder.decode(Some(packet), bytes, &mut pcm, room, false);
            if let Some(samples) = decoded.ok().and_then(|samples| usize::try_from(samples).ok()) {
                floats.clear();
                let samples = pcm.get(..samples * order.len())?;
                floats.extend(samples.iter().map(|sample| f32::from(*sample) / 32_768.0));
                take(&floats, u64::from(OPUS_RATE_HZ) * order.len() as u64);
            }
        }
        packets.next_link();
    }
}

pub(super) fn wav(clip: &[u8], take: Taker<'_>) -> Option<()> {
    let (format, data) = wav_format::locate(clip)?;
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec_id(&format)?).with_sample_rate(format.sample_rate_hz);
    let channels = match format.channels {
        1 => symphonia::core::audio::layouts::CHANNEL_LAYOUT_MONO,
        2 => symphonia::core::audio::layouts::CHANNEL_LAYOUT_STEREO,
        count => symphonia::core::audio::Channels::Discrete(count),
    };
    params.with_channels(channels);
    params.with_max_frames_per_packet(u64::from(format.block_samples().max(1)));
    params.with_frames_per_block(u64::from(format.block_samples()));
    let mut pieces = Pieces { take, pcm: Vec::new() };
    let block = format.block_bytes() as usize;
    if format.codec == Codec::Adpcm {
        let mut decoder = AdpcmDecoder::try_new(&params, &options()).ok()?;
        let samples = u64::from(format.block_samples());
        for block in data.chunks_exact(block) {
            pieces.decode_long(&mut decoder, block, samples);
        }
        return Some(());
    }
    params.with_max_frames_per_packet(WAV_PIECE_FRAMES as u64);
    let mut decoder = PcmDecoder::try_new(&params, &options()).ok()?;
    for piece in data.chunks(block * WAV_PIECE_FRAMES) {
        let whole = piece.len() / block * block;
        pieces.decode(&mut decoder, &piece[..whole]);
    }
    Some(())
}

/// Frames of PCM decoded at a time.
const WAV_PIECE_FRAMES: usize = 4_096;

fn codec_id(format: &WavFormat) -> Option<AudioCodecId> {
    let sample_bytes = format.block_bytes() / u32::from(format.channels);
    Some(match (format.codec, sample_bytes) {
        (Codec::Pcm, 1) => CODEC_ID_PCM_U8,
        (Codec::Pcm, 2) => CODEC_ID_PCM_S16LE,
        (Codec::Pcm, 3) => CODEC_ID_PCM_S24LE,
        (Codec::Pcm, 4) => CODEC_ID_PCM_S32LE,
        (Codec::PcmFloat, 4) => CODEC_ID_PCM_F32LE,
        (Codec::PcmFloat, 8) => CODEC_ID_PCM_F64LE,
        (Codec::Alaw, _) => CODEC_ID_PCM_ALAW,
        (Codec::Mulaw, _) => CODEC_ID_PCM_MULAW,
        (Codec::Adpcm, _) if format.is_microsoft() => CODEC_ID_ADPCM_MS,
        (Codec::Adpcm, _) => CODEC_ID_ADPCM_IMA_WAV,
        _ => return None,
    })
}
