//! Whole clips into samples, piece after piece: each format that may be delivered. For clips that
//! have passed the gate and the second look; what does not decode all the same is left out.
//!
//! No clip gets more decoded than it plays, whatever else is in it.

use ropus::OpusMSDecoder;
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

use super::inspect::{behind_tags, frame_at, frames, options};
use super::ogg_packets::OggPackets;
use super::opus::{self, StreamLayout};
use super::playtime::microseconds;
use super::wav_format::{self, WavFormat};

/// Takes samples of so many channels in turn, of each of which there are so many in a second.
pub(super) type Taker<'a> = &'a mut dyn FnMut(&[f32], usize, u32);

/// What is decoded beyond the length of a clip: encoders add up to a second and a half in front and
/// a second at the end, and a chain may leave out a second more.
const BEYOND_US_MAX: u64 = 5_000_000;
/// Different streams of a Vorbis chain that are decoded. The codebooks of each can take as long to
/// build as minutes of audio take to decode, and a stream of one packet plays nothing.
const VORBIS_SETUPS_MAX: usize = 8;
/// The rate at which Opus is decoded: enough to see it, and the cheapest that is not muffled.
const OPUS_RATE_HZ: u32 = 16_000;
/// Samples of 120 ms, the longest packet, of one channel.
const OPUS_PACKET_SAMPLES: usize = OPUS_RATE_HZ as usize * 120 / 1_000;

/// Where decoded samples go, as long as there are not more of them than the clip plays.
pub(super) struct Pieces<'a> {
    take: Taker<'a>,
    pcm: Vec<f32>,
    us_left: u64,
}

impl<'a> Pieces<'a> {
    /// For a clip that plays so long by the count of the gate.
    pub(super) fn new(duration_ms: u32, take: Taker<'a>) -> Pieces<'a> {
        let us_left = u64::from(duration_ms) * 1_000 + BEYOND_US_MAX;
        Pieces { take, pcm: Vec::new(), us_left }
    }

    /// Whether all that the clip plays has come.
    fn is_full(&self) -> bool {
        self.us_left == 0
    }

    fn spend(&mut self, samples: u64, rate_hz: u32) {
        self.us_left = self.us_left.saturating_sub(microseconds(samples, rate_hz));
    }

    /// Decodes a packet; gives back how many samples of a channel came out, at which rate.
    fn decode(&mut self, decoder: &mut dyn AudioDecoder, packet: &[u8]) -> Option<(u64, u32)> {
        self.decode_long(decoder, packet, 0)
    }

    /// For decoders that have to be told how many samples of a channel there are.
    fn decode_long(
        &mut self,
        decoder: &mut dyn AudioDecoder,
        packet: &[u8],
        samples: u64,
    ) -> Option<(u64, u32)> {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::new(samples), packet);
        let buffer = decoder.decode_ref(&packet).ok()?;
        let rate_hz = buffer.spec().rate();
        buffer.copy_to_vec_interleaved(&mut self.pcm);
        (self.take)(&self.pcm, buffer.num_planes(), rate_hz);
        Some((buffer.frames() as u64, rate_hz))
    }
}

pub(super) fn mp3(clip: &[u8], pieces: &mut Pieces<'_>) -> Option<()> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_MP3);
    let mut decoder = MpaDecoder::try_new(&params, &options()).ok()?;
    let mut audio = behind_tags(clip);
    loop {
        let mut walked = 0;
        for frame in frames(audio) {
            if pieces.is_full() {
                return Some(());
            }
            // By its header, as the gate counts: one that does not decode costs its time as well.
            if let Some(header) = frame_at(frame) {
                pieces.spend(header.samples.into(), header.sample_rate_hz);
            }
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

pub(super) fn vorbis(clip: &[u8], pieces: &mut Pieces<'_>) -> Option<()> {
    let mut packets = OggPackets::new(clip);
    let (mut setups, mut last_headers) = (0, Vec::new());
    let mut decoder = None;
    loop {
        let mut headers = Vec::new();
        for number in 0..3 {
            // What was drawn counts where no whole stream follows.
            let Some(packet) = packets.next() else { return Some(()) };
            if number != 1 {
                headers.extend_from_slice(packet);
            }
        }
        let decoder = match &mut decoder {
            // Recorders that pause begin anew with the same headers.
            Some(decoder) if headers == last_headers => {
                VorbisDecoder::reset(decoder);
                decoder
            }
            decoder => {
                setups += 1;
                if setups > VORBIS_SETUPS_MAX {
                    return None;
                }
                last_headers.clone_from(&headers);
                decoder.insert(vorbis_decoder(headers)?)
            }
        };
        while let Some(packet) = packets.next() {
            if pieces.is_full() {
                return Some(());
            }
            if let Some((samples, rate_hz)) = pieces.decode(decoder, packet) {
                pieces.spend(samples, rate_hz);
            }
        }
        packets.next_link();
    }
}

fn vorbis_decoder(headers: Vec<u8>) -> Option<VorbisDecoder> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_VORBIS).with_extra_data(headers.into());
    VorbisDecoder::try_new(&params, &options()).ok()
}

pub(super) fn opus(clip: &[u8], pieces: &mut Pieces<'_>) -> Option<()> {
    let mut packets = OggPackets::new(clip);
    loop {
        let Some(head) = packets.next() else { return Some(()) };
        let (layout, factor) = (opus::stream_layout(head)?, opus::output_factor(head)?);
        packets.next();
        let mut link = None;
        while let Some(packet) = packets.next() {
            if pieces.is_full() {
                return Some(());
            }
            // To the decoder an empty packet is a lost one, for which it makes up audio.
            let Some(samples) = opus::packet_samples(packet) else { continue };
            pieces.spend(samples.into(), opus::RATE_HZ);
            let link = match &mut link {
                Some(link) => link,
                // A stream without audio is not worth a decoder.
                None => link.insert(OpusLink::new(layout, factor)?),
            };
            link.decode(packet, pieces);
        }
        packets.next_link();
    }
}

/// The decoder of one Opus stream.
struct OpusLink {
    decoder: OpusMSDecoder,
    channels: usize,
    /// What each sample is multiplied by.
    factor: f32,
    pcm: Vec<i16>,
}

impl OpusLink {
    fn new(layout: StreamLayout, factor: f32) -> Option<OpusLink> {
        let StreamLayout { streams, coupled } = layout;
        // Each channel of each stream as it comes: which loudspeaker it is for makes no picture.
        let order: Vec<u8> = (0..streams + coupled).collect();
        let [channels, streams, coupled] = [streams + coupled, streams, coupled].map(i32::from);
        let rate_hz = OPUS_RATE_HZ as i32;
        let decoder = OpusMSDecoder::new(rate_hz, channels, streams, coupled, &order).ok()?;
        let pcm = vec![0; OPUS_PACKET_SAMPLES * order.len()];
        Some(OpusLink { decoder, channels: order.len(), factor, pcm })
    }

    fn decode(&mut self, packet: &[u8], pieces: &mut Pieces<'_>) {
        let (bytes, room) = (packet.len() as i32, OPUS_PACKET_SAMPLES as i32);
        let decoded = self.decoder.decode(Some(packet), bytes, &mut self.pcm, room, false);
        let samples = decoded.ok().and_then(|samples| usize::try_from(samples).ok());
        let pcm = samples.and_then(|samples| self.pcm.get(..samples * self.channels));
        let Some(pcm) = pcm else { return };
        let scale = self.factor / 32_768.0;
        pieces.pcm.clear();
        pieces.pcm.extend(pcm.iter().map(|one| (f32::from(*one) * scale).clamp(-1.0, 1.0)));
        (pieces.take)(&pieces.pcm, self.channels, OPUS_RATE_HZ);
    }
}

pub(super) fn wav(clip: &[u8], pieces: &mut Pieces<'_>) -> Option<()> {
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

#[cfg(test)]
mod tests {
    use super::{BEYOND_US_MAX, Pieces, mp3, opus, vorbis};

    #[test]
    fn no_more_is_decoded_than_a_clip_plays() {
        type Decode = fn(&[u8], &mut Pieces<'_>) -> Option<()>;
        let clips: [(&[u8], Decode); 3] = [
            (include_bytes!("../../tests/fixtures/audio/exactly-60s.mp3"), mp3),
            (include_bytes!("../../tests/fixtures/audio/long-61s.vorbis.ogg"), vorbis),
            (include_bytes!("../../tests/fixtures/audio/long-61s.ogg"), opus),
        ];
        for (clip, decode) in clips {
            let decoded_ms = |duration_ms| {
                let mut ms = 0.0;
                let take = &mut |samples: &[f32], channels: usize, rate_hz: u32| {
                    ms += (samples.len() / channels) as f64 * 1_000.0 / f64::from(rate_hz);
                };
                decode(clip, &mut Pieces::new(duration_ms, take)).unwrap();
                ms as u64
            };
            let wanted_ms = 10_000 + BEYOND_US_MAX / 1_000;
            let ms = decoded_ms(10_000);
            assert!((wanted_ms - 200..wanted_ms + 200).contains(&ms), "{ms}");
            assert!(decoded_ms(60_000) > 59_000);
        }
    }
}
