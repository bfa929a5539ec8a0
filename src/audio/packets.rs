//! What walkers of container formats hand on: the track they found, then packet after packet.
//!
//! One walk serves the gate, which only counts, and conversion, which moves or decodes the packets:
//! they differ in the sink, so that both see the same packets.

use crate::domain::{ClipRefusal, Codec, Note};

use super::aac::AacConfig;
use super::opus;
use super::playtime::{Found, PlaytimeLimit, corrupted, microseconds};

/// How the packets of a track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Opus, with its identification header as Ogg has it (RFC 7845 §5.1).
    Opus { head: Vec<u8> },
    /// AAC-LC, or the low-complexity core of HE-AAC.
    Aac(AacConfig),
}

/// The track that packets belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AudioTrack {
    pub(super) coding: Coding,
    /// Samples dropped at the beginning, beside what the coding itself drops.
    pub(super) start_samples: u64,
    /// Samples played behind those at most, where the container says.
    pub(super) played_samples: Option<u64>,
}

/// Takes the packets of one track.
pub(super) trait PacketSink {
    /// The track that all packets belong to; before any of them, once.
    fn track(&mut self, track: &AudioTrack) -> Result<(), ClipRefusal>;
    /// So many samples are told of, and the packets can not be looked at: refuses what is too long.
    fn check_claimed(&self, _samples: u64) -> Result<(), ClipRefusal> {
        Ok(())
    }
    /// The next bytes of the packet under way.
    fn part(&mut self, bytes: &[u8]);
    /// The packet under way is whole.
    fn end(&mut self) -> Result<(), ClipRefusal>;
    /// So many samples at the end of the last whole packet are not played. Only the word about the
    /// very last packet counts.
    fn trim_last(&mut self, samples: u64);
    /// Forgets a packet whose end never came.
    fn drop_packet(&mut self);
}

/// The gate's sink: how long the packets play.
#[derive(Debug)]
pub(super) struct PacketClock {
    limit: PlaytimeLimit,
    track: Option<Track>,
    head: [u8; 2],
    packet_bytes: usize,
    samples: u64,
    last_samples: u64,
    trimmed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    codec: Codec,
    /// Samples of every packet; `None` where each tells its own length.
    packet_samples: Option<u32>,
    rate_hz: u32,
    channels: u16,
    start_samples: u64,
    played_samples: u64,
}

impl PacketClock {
    pub(super) fn new(limit: PlaytimeLimit) -> PacketClock {
        PacketClock {
            limit,
            track: None,
            head: [0; 2],
            packet_bytes: 0,
            samples: 0,
            last_samples: 0,
            trimmed: 0,
        }
    }

    /// Whether any packet has come whole.
    pub(super) fn has_packets(&self) -> bool {
        self.samples > 0
    }

    /// Counts samples that a table tells of, without having seen them.
    pub(super) fn claim(&mut self, samples: u64) {
        self.samples = self.samples.saturating_add(samples);
    }

    /// Samples of every packet, where all have the same.
    pub(super) fn packet_samples(&self) -> Option<u32> {
        self.track.and_then(|track| track.packet_samples)
    }

    pub(super) fn finish(&self, notes: Vec<Note>, is_certain: bool) -> Result<Found, ClipRefusal> {
        let Some(track) = self.track else {
            return Err(corrupted("the clip ends before its audio track is described"));
        };
        if !self.has_packets() {
            return Err(corrupted("the clip has no whole packet of audio"));
        }
        let played = self.samples - self.trimmed.min(self.last_samples);
        Ok(Found {
            codec: track.codec,
            played_us: track.played_us(played),
            sample_rate_hz: track.rate_hz,
            channels: track.channels,
            notes,
            is_certain,
        })
    }
}

impl Track {
    fn of(track: &AudioTrack) -> Result<Track, ClipRefusal> {
        let played_samples = track.played_samples.unwrap_or(u64::MAX);
        Ok(match &track.coding {
            Coding::Opus { head } => {
                let parsed = opus::parse_head(head).map_err(corrupted)?;
                Track {
                    codec: Codec::Opus,
                    packet_samples: None,
                    rate_hz: opus::RATE_HZ,
                    channels: parsed.channels,
                    start_samples: u64::from(parsed.pre_skip),
                    played_samples,
                }
            }
            Coding::Aac(config) => Track {
                codec: Codec::Aac,
                packet_samples: Some(config.frame_samples),
                rate_hz: config.sample_rate_hz,
                channels: config.channels,
                start_samples: track.start_samples,
                played_samples,
            },
        })
    }

    fn played_us(&self, samples: u64) -> u64 {
        let played = samples.saturating_sub(self.start_samples).min(self.played_samples);
        microseconds(played, self.rate_hz)
    }
}

impl PacketSink for PacketClock {
    fn track(&mut self, track: &AudioTrack) -> Result<(), ClipRefusal> {
        self.track = Some(Track::of(track)?);
        Ok(())
    }

    fn check_claimed(&self, samples: u64) -> Result<(), ClipRefusal> {
        self.track.map_or(Ok(()), |track| self.limit.check_long(track.played_us(samples)))
    }

    fn part(&mut self, bytes: &[u8]) {
        let room = self.head.iter_mut().skip(self.packet_bytes);
        room.zip(bytes).for_each(|(kept, byte)| *kept = *byte);
        self.packet_bytes += bytes.len();
    }

    fn end(&mut self) -> Result<(), ClipRefusal> {
        let bytes = std::mem::take(&mut self.packet_bytes);
        let Some(track) = self.track.filter(|_| bytes > 0) else { return Ok(()) };
        let samples = match track.packet_samples {
            Some(samples) => samples,
            None => opus::packet_samples(&self.head[..bytes.min(2)]).ok_or_else(invalid_packet)?,
        };
        // What is before this packet is played for certain; of its own end some may be dropped.
        self.limit.check_long(track.played_us(self.samples))?;
        self.last_samples = u64::from(samples);
        self.samples = self.samples.saturating_add(self.last_samples);
        self.trimmed = 0;
        Ok(())
    }

    fn trim_last(&mut self, samples: u64) {
        self.trimmed = samples;
    }

    fn drop_packet(&mut self) {
        self.packet_bytes = 0;
    }
}

/// The refusal of a packet that breaks the rules of RFC 6716.
pub(super) fn invalid_packet() -> ClipRefusal {
    corrupted("an Opus packet with no frames, or with more than 120 ms")
}
