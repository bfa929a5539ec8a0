//! What a clip is, as found in its bytes, and the limits it is held to.

use serde::{Deserialize, Serialize};

/// The file format around the audio, as found in a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// A bare MPEG audio stream, layer III, with or without ID3 tags.
    Mp3,
    /// RIFF/WAVE, RF64 included.
    Wav,
    /// Ogg pages.
    Ogg,
    /// WebM, or Matroska with nothing but audio in it.
    Webm,
    /// ISO base media: MP4, M4A, fragmented or not.
    Mp4,
    /// A native FLAC stream.
    Flac,
}

impl Container {
    /// The registered media type, as receipts and `inspect` say it.
    pub fn media_type(self) -> &'static str {
        match self {
            Container::Mp3 => "audio/mpeg",
            Container::Wav => "audio/wav",
            Container::Ogg => "audio/ogg",
            Container::Webm => "audio/webm",
            Container::Mp4 => "audio/mp4",
            Container::Flac => "audio/flac",
        }
    }

    /// The media type with its codec, as recorders write it: `audio/webm;codecs=opus`.
    pub fn type_with(self, codec: Option<Codec>) -> String {
        let media_type = self.media_type();
        match codec.and_then(Codec::parameter) {
            Some(codec) => format!("{media_type};codecs={codec}"),
            None => media_type.to_owned(),
        }
    }

    /// The same as a format that may be delivered; `None` for what has to be converted first.
    pub fn deliverable(self) -> Option<Deliverable> {
        match self {
            Container::Mp3 => Some(Deliverable::Mp3),
            Container::Wav => Some(Deliverable::Wav),
            Container::Ogg => Some(Deliverable::Ogg),
            Container::Webm | Container::Mp4 | Container::Flac => None,
        }
    }
}

/// The file formats that may leave the gateway. A record holds one of these, so nothing else can
/// be put on the wire (invariant 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deliverable {
    /// See [`Container::Mp3`].
    Mp3,
    /// See [`Container::Wav`].
    Wav,
    /// See [`Container::Ogg`].
    Ogg,
}

impl Deliverable {
    /// The same among all formats.
    pub fn container(self) -> Container {
        match self {
            Deliverable::Mp3 => Container::Mp3,
            Deliverable::Wav => Container::Wav,
            Deliverable::Ogg => Container::Ogg,
        }
    }

    /// The file name extension of the real bytes (invariant 10: name, type and bytes agree).
    pub fn extension(self) -> &'static str {
        match self {
            Deliverable::Mp3 => "mp3",
            Deliverable::Wav => "wav",
            Deliverable::Ogg => "ogg",
        }
    }
}

/// What becomes of a clip that Genesys would not take as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Opus is moved into Ogg unchanged; anything else is coded anew as Opus speech.
    OggOpus {
        /// Bit rate of what is coded anew.
        bits_per_second: u32,
    },
    /// Opus is moved into Ogg unchanged; anything else becomes 16-bit WAV of 16 kHz, mono.
    Wav,
    /// It is refused.
    Off,
}

/// How the samples are coded inside the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// MPEG-1, 2 or 2.5 layer III.
    Mp3,
    /// Integer PCM.
    Pcm,
    /// Floating-point PCM.
    PcmFloat,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Mulaw,
    /// Microsoft or IMA ADPCM.
    Adpcm,
    /// Vorbis.
    Vorbis,
    /// Opus.
    Opus,
    /// Advanced Audio Coding, low complexity.
    Aac,
    /// Free Lossless Audio Codec.
    Flac,
}

impl Codec {
    /// What stands behind `codecs=` in a media type (RFC 6381), where the codec needs naming.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Codec::Opus => Some("opus"),
            Codec::Vorbis => Some("vorbis"),
            Codec::Aac => Some("mp4a.40.2"),
            _ => None,
        }
    }
}

/// Something worth telling about an accepted clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// The last frame, packet or page is cut off; what is whole is played.
    Truncated,
    /// A header states a duration more than a second away from what the frames hold.
    HeaderDurationWrong,
    /// Several Ogg streams one after the other; their lengths are added.
    Chained,
    /// A few bytes between frames belong to no frame.
    JunkBytes,
    /// The container carries no size, as live recorders write it; the audio goes to the end.
    UnknownSize,
}

/// What the bytes of one finished clip are. Made by `audio/` alone (invariant 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media<C = Container> {
    /// The file format: any, or one that may be delivered.
    pub container: C,
    /// The coding inside it.
    pub codec: Codec,
    /// What a player would play, in milliseconds, rounded to the nearest.
    pub duration_ms: u32,
    /// Samples a second of one channel.
    pub sample_rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Size of the whole clip.
    pub bytes: u64,
    /// Oddities that do not stop the clip.
    pub notes: Vec<Note>,
}

impl Media {
    /// The same as a clip that may be delivered; `None` when it has to be converted first.
    pub fn deliverable(self) -> Option<Media<Deliverable>> {
        let container = self.container.deliverable()?;
        let Media { codec, duration_ms, sample_rate_hz, channels, bytes, notes, .. } = self;
        Some(Media { container, codec, duration_ms, sample_rate_hz, channels, bytes, notes })
    }

    /// The media type with its codec, as recorders write it: `audio/webm;codecs=opus`.
    pub fn full_type(&self) -> String {
        self.container.type_with(Some(self.codec))
    }
}

/// What a clip may be at most and must be at least. Served at `/v1/limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLimits {
    /// Longest clip promised to pass.
    pub duration_ms_max: u32,
    /// What a recorder's timer may overshoot by; a clip is refused above `max + grace`.
    pub duration_ms_grace: u32,
    /// Shortest clip that passes.
    pub duration_ms_min: u32,
    /// Largest clip that passes, in bytes.
    pub bytes_max: u64,
}

impl AudioLimits {
    /// The duration above which a clip is refused.
    pub fn duration_ms_refused_above(&self) -> u32 {
        self.duration_ms_max.saturating_add(self.duration_ms_grace)
    }
}

/// Why a clip is turned away. Nothing of it is kept.
///
/// The texts of `Display` are the details a caller reads; three of them are given word for word by
/// the first contract (`media-api`, "words of the source").
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipRefusal {
    /// No bytes at all.
    #[error("the file part is empty: 0 bytes, where a clip has at least one audio frame")]
    Empty,
    /// Not one of the accepted formats; `detected` says what the bytes look like.
    /// The second sentence is ours: what is converted passes too.
    #[error(
        "Unsupported audio format: {detected}. Allowed: audio/mp3, audio/ogg, audio/wav. \
         Converted, unless that is off: Opus in WebM or MP4, AAC-LC in MP4, FLAC"
    )]
    UnsupportedFormat {
        /// A media type or a few plain words, never bytes of the clip.
        detected: String,
    },
    /// Longer than the limit and its grace. Raised at the byte that makes it certain.
    #[error(
        "Audio duration {:.2}s exceeds maximum of {}s",
        f64::from(*at_least_ms) / 1000.0,
        f64::from(*duration_ms_max) / 1000.0
    )]
    TooLong {
        /// Duration found so far; the clip may be longer.
        at_least_ms: u32,
        /// The limit without its grace.
        duration_ms_max: u32,
    },
    /// Shorter than the limit.
    #[error("audio duration {duration_ms} ms is below the minimum of {duration_ms_min} ms")]
    TooShort {
        /// Duration found.
        duration_ms: u32,
        /// The limit.
        duration_ms_min: u32,
    },
    /// Larger than the limit. Raised at the byte that crosses it.
    #[error("the clip has at least {at_least_bytes} bytes, more than the maximum of {bytes_max}")]
    TooLarge {
        /// Bytes seen so far.
        at_least_bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The right magic, but a structure that makes no sense, or no whole frame.
    #[error("Failed to parse audio metadata. File may be corrupted. ({reason})")]
    Corrupted {
        /// What exactly is wrong, in plain words with the values.
        reason: String,
    },
    /// A well-formed container whose audio does not decode.
    #[error("the audio does not decode: {reason}")]
    Undecodable {
        /// What the decoder said, or that it ran out of its bounds.
        reason: String,
    },
}

impl ClipRefusal {
    /// The code under which callers know this refusal.
    pub fn code(&self) -> super::Code {
        use super::Code;
        match self {
            ClipRefusal::Empty => Code::AudioEmpty,
            ClipRefusal::UnsupportedFormat { .. } => Code::UnsupportedAudioFormat,
            ClipRefusal::TooLong { .. } => Code::AudioTooLong,
            ClipRefusal::TooShort { .. } => Code::AudioTooShort,
            ClipRefusal::TooLarge { .. } => Code::TooLarge,
            ClipRefusal::Corrupted { .. } => Code::AudioCorrupted,
            ClipRefusal::Undecodable { .. } => Code::AudioUndecodable,
        }
    }
}
