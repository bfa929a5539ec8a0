//! From bytes to a verdict: what a clip is, how long it plays, and why it is turned away.
//!
//! - `gate` judges the bytes as they arrive, in memory that does not grow with the clip
//! - `sniff` names a format from its first bytes; `mp3`, `wav`, `ogg` walk one format each
//! - `webm`, `mp4`, `flac` walk what has to be converted; `packets` is what they hand on
//! - `types` says to recorders what passes
//! - `inspect` takes a bounded second look at a finished clip
//! - `convert` makes of it what can be delivered; `waveform` draws that, with `decoders`
//!
//! Duration is always what a player would play, found by counting frames and samples; what a
//! header claims is only compared with it. Pure CPU work: nothing here waits, and nothing here
//! knows HTTP, actors or files.
//!
//! # What is odd about a clip
//!
//! is judged by one policy in every format; `tests/fixtures/audio` holds it to clips.
//!
//! - **In front**: the magic stands at the first byte. Only MP3 may have ID3v2 tags there, two at
//!   most and 1 MiB together. Else `unsupported-audio-format`, named after what stands there.
//! - **Between and behind**: bytes that belong to no frame, chunk or page are stepped over as
//!   players do. Up to 2 % of the clip is noted `junk-bytes`, more is `audio-corrupted`. Tags that
//!   players know (ID3, APE and Lyrics3 in MP3, ID3v1 behind FLAC, whole chunks in WAV) are no
//!   junk. Behind junk the next frame, page or cluster counts again, what is left of a cluster does
//!   not; in MP4 all the rest is junk. Two headers of MPEG layer I or II that follow each other
//!   between or behind MP3 frames are a stream that players play: `unsupported-audio-format`, in a
//!   tag too. An MP3 frame without a neighbour tells nothing of the length, but as players play it,
//!   it must not make the clip too long.
//! - **Beside the audio**: tags, comments and whole RIFF chunks of any name and content are neither
//!   read nor held against the clip. A clip that is delivered as it is keeps them, byte for byte,
//!   so that its SHA-256 stays the sender's. They decide nothing: media type and name are ours, and
//!   what we host is served with `nosniff`, so a page in a chunk is shown to nobody as a page. What
//!   is converted carries nothing of them along.
//! - **One behind the other**: streams or files of one kind are added up, as players play them on,
//!   noted `chained`. In FLAC and WebM they have to be of the same rate and channels, in Ogg of the
//!   same codec, else `unsupported-audio-format`. In MP3 a second file begins like any frame and is
//!   not noted; an MP4 whose packets are all told of in front plays no second one.
//! - **Cut off**: what is whole is played, noted `truncated`; so is a clip of which only the end
//!   behind the audio is missing, in WAV a chunk that the size of the file has room for. Without
//!   one whole frame, sample or packet of audio it is `audio-corrupted`; without a byte
//!   `audio-empty`.
//! - **What encoders add** at both ends is not played where the clip says how much it is: pre-skip
//!   and the last granule of Opus, the header of an MP3, the edit list of an MP4. ffmpeg plays the
//!   last AAC packet to its end, and in fragments the first one too: it is up to a packet longer at
//!   each, 128 ms at 8 kHz. What was recorded is what the edit list says, to the sample. A list of
//!   more parts than one is `unsupported-audio-format`: between them lies what the speaker cut out.
//! - **Headers that lie**: what is there counts, noted `header-duration-wrong` from a second on.
//!   Sizes that live encoders leave open (0, all ones, about 2^31) reach to the end, noted
//!   `unknown-size`.
//! - **Granules that lie**: the longer of their span and the packets counts. Only the last one may
//!   cut off, at most a second and at most its own page, of Vorbis at most the last packet. What
//!   the streams of a chain behind the first leave out, pre-skip and end, is counted where it is
//!   more than a second in all.
//! - **Two readings** that players do not share (a second format or data chunk in a WAV, one that
//!   is found behind data of an odd size without its padding byte, two sizes in an RF64, valid bits
//!   that take fewer bytes than there are, coded audio in the place of samples, a voice recorder's
//!   mark, an MPEG transport or program stream, a QuickTime box or a tracker's module in an MP3,
//!   Ogg streams side by side, an Ogg page or FLAC frame with a wrong checksum): refused.
//! - **Limits**: `audio-too-short`, and `audio-too-long` at the byte that makes it certain.
//! - **Nothing to hear**: well-formed packets that do not decode are `audio-undecodable`; ADPCM
//!   whose blocks begin as no decoder takes them, too.

mod aac;
mod bits;
mod convert;
mod decoders;
mod ebml;
mod flac;
mod flac_crc;
mod flac_frame;
mod gate;
mod heads;
mod inspect;
mod mp3;
mod mp3_front;
mod mp3_other_layer;
mod mp3_program;
mod mp3_systems;
mod mp3_tags;
mod mp4;
mod mp4_boxes;
mod mp4_edit;
mod mp4_fragment;
mod mp4_table;
mod mp4_track;
mod mp4_whole;
mod mpeg;
mod ogg;
mod ogg_crc;
mod ogg_link;
mod ogg_packets;
mod opus;
mod packets;
mod playtime;
mod sniff;
mod types;
mod vorbis;
mod vorbis_setup;
mod wav;
mod wav_act;
mod wav_disguise;
mod wav_format;
mod wav_other_way;
mod waveform;
mod webm;
mod webm_element;
mod webm_track;
mod xing;

use std::io::{self, Read};

pub use convert::{Converted, convert, prove};
pub use gate::Gate;
pub use inspect::inspect;
pub use types::recorder_types;
pub use waveform::waveform;

use crate::domain::{AudioLimits, ClipRefusal, Media};

/// The whole verdict on a finished clip: the gate, then the second look. What has to be converted
/// is decoded to the end, so that the verdict is that on its conversion too.
pub fn judge(clip: &[u8], limits: &AudioLimits) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(*limits);
    gate.feed(clip)?;
    look_inside(clip, gate.finish()?, limits)
}

/// [`judge`] for a clip that is read from somewhere. Stops reading at the refusal, so at most
/// `limits.bytes_max` plus one read buffer is ever taken.
///
/// The outer error is that of the reader.
pub fn judge_reader(
    clip: &mut impl Read,
    limits: &AudioLimits,
) -> io::Result<Result<Media, ClipRefusal>> {
    judge_through(Gate::new(*limits), clip)
}

/// [`judge_reader`] with a gate that has its own mind about conversion.
pub fn judge_through(
    mut gate: Gate,
    clip: &mut impl Read,
) -> io::Result<Result<Media, ClipRefusal>> {
    let limits = gate.limits();
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match clip.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(refusal) = gate.feed(&buffer[..count]) {
            return Ok(Err(refusal));
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    Ok(gate.finish().and_then(|media| look_inside(&bytes, media, &limits)))
}

fn look_inside(clip: &[u8], media: Media, limits: &AudioLimits) -> Result<Media, ClipRefusal> {
    if media.container.deliverable().is_none() {
        return prove(clip, &media, limits);
    }
    inspect(clip, &media).map(|()| media)
}
