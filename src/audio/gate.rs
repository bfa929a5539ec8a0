//! The gate: judges a clip while it arrives, one piece after the other.

use crate::domain::{AudioLimits, ClipRefusal, Container, Media};

use super::flac::FlacWalk;
use super::mp3::Mp3Walk;
use super::mp3_program::LOOK_BYTES_MAX;
use super::mp3_systems::SystemsSearch;
use super::mp3_tags::TAG_BYTES_MAX;
use super::mp4::Mp4Walk;
use super::ogg::OggWalk;
use super::packets::PacketClock;
use super::playtime::{Found, PlaytimeLimit, corrupted, milliseconds, unsupported};
use super::sniff::{self, Sniffed};
use super::wav::WavWalk;
use super::webm::WebmWalk;

/// ID3 tags that may stand in front of an MP3, and their size together.
const TAGS_MAX: u8 = 2;

/// ffmpeg 5.1.9 steps over one tag in front where more than this is left of what it looks at.
const BYTES_BEHIND: u64 = 16;

/// Judges one clip as its bytes arrive.
///
/// A plain value of less than 2 KiB that holds no audio. The only memory it ever takes besides is
/// for what describes audio: the setup header of a Vorbis stream and the tracks of a WebM file, at
/// most 64 KiB; the tables of an MP4 file, at most 512 KiB and four times what the sender sent for
/// them. How the clip is cut into pieces makes no difference to the verdict.
#[derive(Debug)]
pub struct Gate {
    limits: AudioLimits,
    converts: bool,
    playtime: PlaytimeLimit,
    bytes: u64,
    stage: Stage,
}

#[derive(Debug)]
/// One a clip and never moved in bulk, so that no stage is boxed.
enum Stage {
    /// The first bytes, or those behind a tag.
    Head(Head),
    /// Within an ID3 tag.
    Tag {
        bytes_left: u64,
        head: Head,
    },
    Mp3(Mp3Walk),
    Wav(WavWalk),
    Ogg(OggWalk),
    Webm(WebmWalk<PacketClock>),
    Mp4(Mp4Walk<PacketClock>),
    Flac(FlacWalk),
    Refused(ClipRefusal),
}

#[derive(Debug, Default)]
struct Head {
    bytes: [u8; sniff::HEAD_BYTES],
    count: usize,
    tags: u8,
    tag_bytes: u64,
    /// Where players look for another format already.
    systems: Option<Box<SystemsSearch>>,
}

impl Gate {
    /// A gate for one clip, which lets through what can be delivered or converted.
    pub fn new(limits: AudioLimits) -> Gate {
        let playtime = PlaytimeLimit::new(&limits);
        Gate { limits, converts: true, playtime, bytes: 0, stage: Stage::Head(Head::default()) }
    }

    /// The same, which refuses what cannot be delivered as it is, unless `converts`.
    pub fn converting(self, converts: bool) -> Gate {
        Gate { converts, ..self }
    }

    /// What it holds clips to.
    pub fn limits(&self) -> AudioLimits {
        self.limits
    }

    /// Takes the next piece of the clip, of any size.
    ///
    /// Refuses as soon as the bytes so far leave no doubt: a wrong format at its sixteenth byte, a
    /// clip that is too long or too large at the byte that makes it so. A refusal is final: every
    /// later call repeats it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ClipRefusal> {
        let room = self.limits.bytes_max - self.bytes;
        let fitting = usize::try_from(room).map_or(bytes, |room| &bytes[..room.min(bytes.len())]);
        self.bytes += fitting.len() as u64;
        let mut verdict = self.stage.feed(fitting, &self.limits, self.playtime);
        if verdict.is_ok() && !self.converts {
            verdict = self.stage.refuse_convertible();
        }
        if verdict.is_ok() && fitting.len() < bytes.len() {
            verdict = Err(ClipRefusal::TooLarge {
                at_least_bytes: self.limits.bytes_max.saturating_add(1),
                bytes_max: self.limits.bytes_max,
            });
        }
        if let Err(refusal) = &verdict {
            self.stage = Stage::Refused(refusal.clone());
        }
        verdict
    }

    /// The clip is over: what it is, or why it is turned away.
    pub fn finish(mut self) -> Result<Media, ClipRefusal> {
        if self.bytes == 0 && !matches!(self.stage, Stage::Refused(_)) {
            return Err(ClipRefusal::Empty);
        }
        if let Stage::Head(head) = &mut self.stage {
            self.stage = head.decide(&self.limits, self.playtime)?;
            if !self.converts {
                self.stage.refuse_convertible()?;
            }
        }
        let (container, found) = match self.stage {
            Stage::Head(_) | Stage::Tag { .. } => {
                return Err(corrupted("the clip ends within its ID3 tag"));
            }
            Stage::Refused(refusal) => return Err(refusal),
            Stage::Mp3(walk) => (Container::Mp3, walk.finish()?),
            Stage::Wav(walk) => (Container::Wav, walk.finish()?),
            Stage::Ogg(walk) => (Container::Ogg, walk.finish()?),
            Stage::Webm(mut walk) => {
                let notes = walk.finish()?;
                (Container::Webm, walk.sink.finish(notes, true)?)
            }
            Stage::Mp4(walk) => (Container::Mp4, walk.finish_unseen()?),
            Stage::Flac(walk) => (Container::Flac, walk.finish()?),
        };
        let Found { codec, played_us, sample_rate_hz, channels, notes, is_certain } = found;
        if is_certain {
            self.playtime.check_whole(played_us)?;
        }
        Ok(Media {
            container,
            codec,
            duration_ms: milliseconds(played_us),
            sample_rate_hz,
            channels,
            bytes: self.bytes,
            notes,
        })
    }
}

impl Stage {
    fn feed(
        &mut self,
        mut bytes: &[u8],
        limits: &AudioLimits,
        playtime: PlaytimeLimit,
    ) -> Result<(), ClipRefusal> {
        while !bytes.is_empty() {
            match self {
                Stage::Head(head) => {
                    bytes = head.take(bytes);
                    if head.count == sniff::HEAD_BYTES {
                        *self = head.decide(limits, playtime)?;
                    }
                }
                Stage::Tag { bytes_left, head } => {
                    let count = (*bytes_left).min(bytes.len() as u64);
                    *bytes_left -= count;
                    let (tag, rest) = bytes.split_at(count as usize);
                    head.search(tag)?;
                    bytes = rest;
                    if *bytes_left == 0 {
                        *self = Stage::Head(std::mem::take(head));
                    }
                }
                Stage::Mp3(walk) => return walk.feed(bytes),
                Stage::Wav(walk) => return walk.feed(bytes),
                Stage::Ogg(walk) => return walk.feed(bytes),
                Stage::Webm(walk) => return walk.feed(bytes),
                Stage::Mp4(walk) => return walk.feed(bytes),
                Stage::Flac(walk) => return walk.feed(bytes),
                Stage::Refused(refusal) => return Err(refusal.clone()),
            }
        }
        match self {
            Stage::Refused(refusal) => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// Refuses what would have to be converted first.
    fn refuse_convertible(&self) -> Result<(), ClipRefusal> {
        let container = match self {
            Stage::Webm(_) => Container::Webm,
            Stage::Mp4(_) => Container::Mp4,
            Stage::Flac(_) => Container::Flac,
            _ => return Ok(()),
        };
        Err(unsupported(container.media_type()))
    }
}

impl Head {
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = &mut self.bytes[self.count..];
        let (part, rest) = bytes.split_at(bytes.len().min(room.len()));
        room[..part.len()].copy_from_slice(part);
        self.count += part.len();
        rest
    }

    /// The stage that the bytes at hand call for, with those bytes already fed to it.
    fn decide(
        &mut self,
        limits: &AudioLimits,
        playtime: PlaytimeLimit,
    ) -> Result<Stage, ClipRefusal> {
        let head = &self.bytes[..self.count];
        let systems = self.systems.take();
        let begun = || Box::new(SystemsSearch::new(self.tag_bytes));
        let mut stage = match sniff::sniff(head, self.tags > 0)? {
            Sniffed::Mp3 => {
                let headers_to_lock = if self.tags > 0 { 2 } else { 3 };
                let systems = systems.unwrap_or_else(begun);
                Stage::Mp3(Mp3Walk::new(playtime, headers_to_lock, limits.bytes_max, systems))
            }
            Sniffed::Wav => Stage::Wav(WavWalk::new(playtime)),
            Sniffed::Ogg => Stage::Ogg(OggWalk::new(playtime, limits.bytes_max)),
            Sniffed::Webm => Stage::Webm(WebmWalk::new(PacketClock::new(playtime))),
            Sniffed::Mp4 => Stage::Mp4(Mp4Walk::new(PacketClock::new(playtime))),
            Sniffed::Flac => Stage::Flac(FlacWalk::new()),
            Sniffed::Id3 { tag_bytes } => {
                let is_looked_into = self.tags > 0 || tag_bytes + BYTES_BEHIND >= LOOK_BYTES_MAX;
                let head = Head {
                    tags: self.tags + 1,
                    tag_bytes: self.tag_bytes + tag_bytes,
                    systems: systems.or_else(|| is_looked_into.then(begun)),
                    ..Head::default()
                };
                head.check_tags()?;
                Stage::Tag { bytes_left: tag_bytes, head }
            }
        };
        stage.feed(head, limits, playtime)?;
        Ok(stage)
    }

    /// Looks into a tag as far as players do.
    fn search(&mut self, tag: &[u8]) -> Result<(), ClipRefusal> {
        let found = self.systems.as_mut().and_then(|systems| systems.finds(tag));
        found.map_or(Ok(()), |(_, systems)| Err(unsupported(systems.name())))
    }

    fn check_tags(&self) -> Result<(), ClipRefusal> {
        if self.tags > TAGS_MAX {
            return Err(corrupted(format!("more than {TAGS_MAX} ID3 tags")));
        }
        if self.tag_bytes > TAG_BYTES_MAX {
            let bytes = self.tag_bytes;
            return Err(corrupted(format!(
                "the ID3 tags have {bytes} bytes, more than {TAG_BYTES_MAX}"
            )));
        }
        Ok(())
    }
}
