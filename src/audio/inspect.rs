//! The second look at a finished clip: do a few packets from its beginning and its middle decode?
//!
//! Decoders get packets that were cut out here, never a file: their own demultiplexers search for
//! magics far into the clip and believe headers, and what they find has no bound.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP3, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::{MpaDecoder, VorbisDecoder};

use crate::domain::{ClipRefusal, Codec, Media, Note};

use super::mpeg::{FrameHeader, HeaderBytes};
use super::ogg_packets::OggPackets;
use super::opus;
use super::sniff::{self, Sniffed};
use super::wav_format;

/// Packets tried at the beginning and again in the middle.
const PACKETS_DECODED: usize = 8;
/// Opus packets are only measured, which costs next to nothing.
const PACKETS_MEASURED: usize = 64;
/// Bytes looked through for a frame in the middle of an MP3.
const SEARCH_BYTES: usize = 8 * 1024;
/// Bytes that a file type can be told from.
const TYPE_BYTES: usize = 4 * 1024;

/// Takes a bounded second look at a clip that has passed the gate as `media`.
///
/// Refuses what is positively another kind of file, and what does not decode. MP3 and Vorbis are
/// decoded, a few packets of them; of Opus only the structure of packets is checked (RFC 6716
/// §3.4), of ADPCM the heads of blocks; PCM and G.711 have nothing that could fail.
///
/// CPU-bound, well under a millisecond. A crash inside a decoder is caught and refuses the clip.
pub fn inspect(clip: &[u8], media: &Media) -> Result<(), ClipRefusal> {
    refuse_other_kinds(clip)?;
    let tally = catch_unwind(AssertUnwindSafe(|| match media.codec {
        Codec::Mp3 => try_mp3(clip),
        Codec::Vorbis => try_vorbis(clip, media),
        Codec::Opus => try_opus(clip),
        // Those are decoded to the end where they are converted.
        Codec::Aac | Codec::Flac => Tally { good: 1, bad: 0 },
        Codec::Pcm | Codec::PcmFloat | Codec::Alaw | Codec::Mulaw => Tally { good: 1, bad: 0 },
        Codec::Adpcm => try_adpcm(clip),
    }));
    match tally {
        Ok(Tally { good, bad }) if good > 0 && good >= bad => Ok(()),
        Ok(Tally { good: 0, bad: 0 }) => {
            Err(ClipRefusal::Undecodable { reason: "no packet could be cut out of it".into() })
        }
        Ok(Tally { good, bad }) => Err(ClipRefusal::Undecodable {
            reason: format!("{bad} of the {} packets that were tried are not valid", good + bad),
        }),
        Err(_) => Err(ClipRefusal::Undecodable { reason: "the decoder crashed on it".into() }),
    }
}

/// How many packets were as they should be.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    good: usize,
    bad: usize,
}

impl Tally {
    fn count(&mut self, is_good: bool) {
        if is_good { self.good += 1 } else { self.bad += 1 }
    }
}

/// The gate has seen the magic at its place, so this can only strike where two formats share it.
fn refuse_other_kinds(clip: &[u8]) -> Result<(), ClipRefusal> {
    let Some(kind) = infer::get(&clip[..clip.len().min(TYPE_BYTES)]) else { return Ok(()) };
    if matches!(kind.matcher_type(), infer::MatcherType::Audio) || kind.mime_type() == "video/ogg" {
        return Ok(());
    }
    Err(ClipRefusal::UnsupportedFormat { detected: kind.mime_type().into() })
}

pub(super) fn options() -> AudioDecoderOptions {
    // Trimming would follow headers that lie.
    AudioDecoderOptions::default().gapless(false)
}

fn decodes(decoder: &mut dyn AudioDecoder, packet: &[u8]) -> bool {
    let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, packet);
    decoder.decode_ref(&packet).is_ok()
}

fn try_mp3(clip: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_MP3);
    let Ok(mut decoder) = MpaDecoder::try_new(&params, &options()) else { return tally };
    let audio = behind_tags(clip);
    for frame in frames(audio).take(PACKETS_DECODED) {
        tally.count(decodes(&mut decoder, frame));
    }
    let middle = audio.get(audio.len() / 2..).unwrap_or_default();
    let searched = 0..middle.len().min(SEARCH_BYTES);
    let Some(at) = searched.into_iter().find(|at| begins_a_run(&middle[*at..])) else {
        return tally;
    };
    decoder.reset();
    for (number, frame) in frames(&middle[at..]).take(2 + PACKETS_DECODED).enumerate() {
        let is_good = decodes(&mut decoder, frame);
        // The first frames may lean on data of frames before them.
        if number >= 2 {
            tally.count(is_good);
        }
    }
    tally
}

pub(super) fn behind_tags(mut clip: &[u8]) -> &[u8] {
    loop {
        let head = &clip[..clip.len().min(sniff::HEAD_BYTES)];
        let Ok(Sniffed::Id3 { tag_bytes }) = sniff::sniff(head, true) else { return clip };
        clip = usize::try_from(tag_bytes).ok().and_then(|n| clip.get(n..)).unwrap_or_default();
    }
}

pub(super) fn frame_at(bytes: &[u8]) -> Option<FrameHeader> {
    match HeaderBytes::parse(*bytes.first_chunk()?) {
        HeaderBytes::Layer3(header) => Some(header),
        _ => None,
    }
}

/// The whole frames that follow each other from the first byte on.
pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (frame, rest) = bytes.split_at_checked(frame_at(bytes)?.frame_bytes as usize)?;
        bytes = rest;
        Some(frame)
    })
}

fn begins_a_run(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0xFF) && frames(bytes).take(3).count() == 3
}

fn try_vorbis(clip: &[u8], media: &Media) -> Tally {
    let mut tally = Tally::default();
    let mut packets = OggPackets::new(clip);
    let mut headers = Vec::new();
    for number in 0..3 {
        let Some(packet) = packets.next() else { return tally };
        if number != 1 {
            headers.extend_from_slice(packet);
        }
    }
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_VORBIS).with_extra_data(headers.into());
    let Ok(mut decoder) = VorbisDecoder::try_new(&params, &options()) else { return tally };
    decode_vorbis(&mut packets, &mut decoder, &mut tally);
    // What follows in a chain has headers of its own.
    if !media.notes.contains(&Note::Chained) {
        decoder.reset();
        packets.jump(clip, clip.len() / 2);
        decode_vorbis(&mut packets, &mut decoder, &mut tally);
    }
    tally
}

fn decode_vorbis(packets: &mut OggPackets<'_>, decoder: &mut VorbisDecoder, tally: &mut Tally) {
    for _ in 0..PACKETS_DECODED {
        let Some(packet) = packets.next() else { return };
        tally.count(decodes(decoder, packet));
    }
}

fn try_adpcm(clip: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let Some((format, audio)) = wav_format::locate(clip) else { return tally };
    let block_bytes = format.block_bytes() as usize;
    let middle = audio.len() / block_bytes / 2 * block_bytes;
    for part in [audio, &audio[middle..]] {
        // A last block that is cut off has its head all the same, or plays nothing.
        let blocks =
            part.chunks(block_bytes).filter(|block| format.samples(block.len() as u64) > 0);
        for block in blocks.take(PACKETS_DECODED) {
            tally.count(format.has_valid_head(block));
        }
    }
    tally
}

fn try_opus(clip: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut packets = OggPackets::new(clip);
    let Some(head) = packets.next() else { return tally };
    let streams = opus::streams(head);
    packets.next();
    measure_opus(&mut packets, streams, &mut tally);
    packets.jump(clip, clip.len() / 2);
    measure_opus(&mut packets, streams, &mut tally);
    tally
}

fn measure_opus(packets: &mut OggPackets<'_>, streams: u8, tally: &mut Tally) {
    for _ in 0..PACKETS_MEASURED {
        let Some(packet) = packets.next() else { return };
        if packet.starts_with(b"OpusHead") || packet.starts_with(b"OpusTags") {
            continue;
        }
        tally.count(opus::is_well_formed(packet, streams));
    }
}
