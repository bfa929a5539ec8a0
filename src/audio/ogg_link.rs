//! One logical Ogg stream: its header packets, and how long its audio packets play.
//!
//! Two clocks are kept: the packets themselves, which every decoder plays, and the granule
//! positions on the pages, which may tell of gaps, of a recording that begins late, and of a few
//! samples to drop at the end. A granule can not make packets disappear; what streams of a chain
//! leave out one by one is held against the whole of it, by `ogg`.

use crate::domain::{ClipRefusal, Codec};

use super::opus;
use super::playtime::{corrupted, microseconds, unsupported};
use super::vorbis::{self, Identification, PacketLengths};
use super::vorbis_setup;

/// How much of each packet is kept to read it.
const HEAD_BYTES: usize = 32;

/// The state of one stream between two pieces of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) serial: u32,
    packets: Packets,
    head: [u8; HEAD_BYTES],
    packet_bytes: usize,
    /// The Vorbis setup header as it comes in; let go as soon as it is read.
    setup: Vec<u8>,
    clock: Clock,
}

/// What the next packet is to be.
#[derive(Debug)]
enum Packets {
    Identification,
    OpusTags { channels: u16 },
    Opus { channels: u16 },
    VorbisComment(Identification),
    VorbisSetup(Identification),
    Vorbis(Identification, PacketLengths),
}

impl Link {
    pub(super) fn new(serial: u32) -> Link {
        Link {
            serial,
            packets: Packets::Identification,
            head: [0; HEAD_BYTES],
            packet_bytes: 0,
            setup: Vec::new(),
            clock: Clock::default(),
        }
    }

    /// Takes the next bytes of the packet under way.
    pub(super) fn packet_part(&mut self, part: &[u8]) -> Result<(), ClipRefusal> {
        let wanted = self.head_bytes_max();
        let room = self.head[..wanted].iter_mut().skip(self.packet_bytes);
        room.zip(part).for_each(|(kept, byte)| *kept = *byte);
        self.packet_bytes += part.len();
        if let Packets::VorbisSetup(_) = self.packets {
            if self.packet_bytes > vorbis_setup::SETUP_BYTES_MAX {
                let bytes_max = vorbis_setup::SETUP_BYTES_MAX;
                return Err(corrupted(format!("a Vorbis setup header above {bytes_max} bytes")));
            }
            self.setup.extend_from_slice(part);
        }
        Ok(())
    }

    fn head_bytes_max(&self) -> usize {
        // The length of an audio packet is told by its first two bytes.
        if self.is_audio() { 2 } else { HEAD_BYTES }
    }

    fn is_audio(&self) -> bool {
        matches!(self.packets, Packets::Opus { .. } | Packets::Vorbis(..))
    }

    /// Whether bytes of an unfinished packet are held.
    pub(super) fn is_in_packet(&self) -> bool {
        self.packet_bytes > 0
    }

    /// Forgets a packet whose end never came.
    pub(super) fn drop_packet(&mut self) {
        self.packet_bytes = 0;
        self.setup.clear();
    }

    /// Whether audio packets come here, and none is under way.
    pub(super) fn is_between_audio_packets(&self) -> bool {
        self.packet_bytes == 0 && self.is_audio()
    }

    /// Takes a whole audio packet, or the first two bytes of one, which tell its length.
    #[inline]
    pub(super) fn audio_packet(&mut self, packet: &[u8]) -> Result<(), ClipRefusal> {
        if let Packets::Vorbis(_, lengths) = &mut self.packets {
            // Audio begins with an even byte (Vorbis I §4.3.1). Some players begin anew at these.
            if matches!(packet.first(), Some(1 | 5)) {
                return Err(corrupted("a Vorbis header stands in the middle of the audio"));
            }
            if let Some(samples) = packet.first().and_then(|byte| lengths.next(*byte)) {
                self.clock.packet(samples);
            }
            return Ok(());
        }
        self.clock.opus_packet(packet)
    }

    /// The packet under way is whole.
    pub(super) fn packet_ends(&mut self) -> Result<(), ClipRefusal> {
        let bytes = std::mem::take(&mut self.packet_bytes);
        let kept = self.head;
        let head = &kept[..bytes.min(self.head_bytes_max())];
        let next = match &mut self.packets {
            Packets::Opus { .. } | Packets::Vorbis(..) => return self.audio_packet(head),
            Packets::Identification => identify(head, bytes, &mut self.clock)?,
            Packets::OpusTags { channels } => {
                if !head.starts_with(b"OpusTags") {
                    return Err(corrupted("the second Opus packet is not a comment header"));
                }
                Packets::Opus { channels: *channels }
            }
            Packets::VorbisComment(identification) => {
                if !head.starts_with(b"\x03vorbis") {
                    return Err(corrupted("the second Vorbis packet is not a comment header"));
                }
                Packets::VorbisSetup(*identification)
            }
            Packets::VorbisSetup(identification) => {
                let setup = std::mem::take(&mut self.setup);
                let modes =
                    vorbis_setup::parse(&setup, identification.channels).map_err(corrupted)?;
                Packets::Vorbis(*identification, PacketLengths::new(identification, modes))
            }
        };
        self.packets = next;
        Ok(())
    }

    /// The page is whole and its checksum right: what it brought counts.
    pub(super) fn page_ends(&mut self, granule: i64, is_last: bool) {
        if self.is_audio() {
            self.clock.page_ends(granule, is_last);
        }
    }

    pub(super) fn played_us(&self) -> u64 {
        microseconds(self.clock.played_samples(), self.clock.rate_hz)
    }

    /// What is there and not played, by the pre-skip and the last granule.
    pub(super) fn left_out_us(&self) -> u64 {
        let there = self.clock.samples.max(self.clock.granule_span().unwrap_or(0));
        let left_out = there.saturating_sub(self.clock.played_samples());
        microseconds(left_out, self.clock.rate_hz)
    }

    /// What the granules leave out and is played all the same.
    pub(super) fn hidden_us(&self) -> u64 {
        let played = self.clock.played_samples();
        let told = self.clock.granule_span().map(|span| span.saturating_sub(self.clock.pre_skip));
        microseconds(played.saturating_sub(told.unwrap_or(played)), self.clock.rate_hz)
    }

    /// Whether the granules tell of more than a second more or less than the packets play.
    pub(super) fn granules_are_wrong(&self) -> bool {
        let span = self.clock.granule_span();
        span.is_some_and(|span| span.abs_diff(self.clock.samples) > u64::from(self.clock.rate_hz))
    }

    /// Whether any audio packet came on a whole page.
    pub(super) fn has_audio(&self) -> bool {
        self.clock.pages_with_audio
    }

    /// Codec, rate and channels, once the identification header is read.
    pub(super) fn format(&self) -> Option<(Codec, u32, u16)> {
        match &self.packets {
            Packets::Identification => None,
            Packets::OpusTags { channels } | Packets::Opus { channels } => {
                Some((Codec::Opus, opus::RATE_HZ, *channels))
            }
            Packets::VorbisComment(id) | Packets::VorbisSetup(id) | Packets::Vorbis(id, _) => {
                Some((Codec::Vorbis, id.sample_rate_hz, u16::from(id.channels)))
            }
        }
    }
}

fn identify(head: &[u8], bytes: usize, clock: &mut Clock) -> Result<Packets, ClipRefusal> {
    if head.starts_with(b"OpusHead") {
        let parsed = opus::parse_head(head).map_err(corrupted)?;
        clock.rate_hz = opus::RATE_HZ;
        clock.pre_skip = u64::from(parsed.pre_skip);
        return Ok(Packets::OpusTags { channels: parsed.channels });
    }
    if head.starts_with(b"\x01vorbis") {
        let parsed = vorbis::parse_identification(head).map_err(corrupted)?;
        clock.rate_hz = parsed.sample_rate_hz;
        clock.cuts_one_packet = true;
        return Ok(Packets::VorbisComment(parsed));
    }
    let known: [(&[u8], &str); 9] = [
        (b"\x7fFLAC", "FLAC in Ogg"),
        (b"Speex   ", "Speex in Ogg"),
        (b"\x80theora", "video/ogg (Theora)"),
        (b"fishead\0", "Ogg with a Skeleton stream"),
        (b"OVP80", "video/ogg (VP8)"),
        (b"BBCD\0", "video/ogg (Dirac)"),
        (b"\x80kate\0\0\0", "Ogg with a Kate text stream"),
        (b"CELT    ", "CELT in Ogg"),
        (b"\x01video\0\0\0", "video/ogg"),
    ];
    let found = known.iter().find(|(magic, _)| head.starts_with(magic));
    Err(match found {
        Some((_, name)) => unsupported(*name),
        None => unsupported(format!("Ogg with an unknown codec (first packet of {bytes} bytes)")),
    })
}

/// How long the packets of one stream play.
#[derive(Debug, Default)]
struct Clock {
    rate_hz: u32,
    /// Samples a player drops at the start.
    pre_skip: u64,
    /// Samples in the packets of whole pages, and in those of the page under way.
    samples: u64,
    page_samples: u64,
    page_packets: u32,
    /// The last granule cuts the last packet only, not all of its page.
    cuts_one_packet: bool,
    packet_samples: u64,
    pages_with_audio: bool,
    /// The granule position at which the audio begins; below zero where a stream was cut out of a
    /// longer one.
    start: Option<i64>,
    last_granule: i64,
    /// The last page says that it is the last; so many samples of it may be cut off.
    end_samples: Option<u64>,
}

impl Clock {
    fn opus_packet(&mut self, head: &[u8]) -> Result<(), ClipRefusal> {
        if head.is_empty() {
            return Ok(());
        }
        let Some(samples) = opus::packet_samples(head) else {
            return Err(corrupted("an Opus packet with no frames, or with more than 120 ms"));
        };
        self.packet(samples);
        Ok(())
    }

    fn packet(&mut self, samples: u32) {
        self.packet_samples = u64::from(samples);
        self.page_samples += u64::from(samples);
        self.page_packets += 1;
    }

    fn page_ends(&mut self, granule: i64, is_last: bool) {
        let page_samples = std::mem::take(&mut self.page_samples);
        self.samples += page_samples;
        self.pages_with_audio |= std::mem::take(&mut self.page_packets) > 0;
        let end_samples = if self.cuts_one_packet { self.packet_samples } else { page_samples };
        self.end_samples = is_last.then_some(end_samples.min(page_samples));
        // A page on which no packet ends has the granule -1; others below 0 tell nothing either.
        if granule >= 0 && self.pages_with_audio {
            let begins = granule.saturating_sub_unsigned(self.samples);
            // On a page that is first and last, a granule that is too small cuts off the end.
            self.start.get_or_insert(if is_last { begins.max(0) } else { begins });
            self.last_granule = granule;
        }
    }

    fn granule_span(&self) -> Option<u64> {
        let span = self.last_granule.saturating_sub(self.start?);
        Some(u64::try_from(span).unwrap_or(0))
    }

    /// The longer of both clocks, less the pre-skip. The granule of the last page may cut the end
    /// off (RFC 7845 §4.4), but only samples of that page, and not more than a second; with Vorbis
    /// players cut the last packet only.
    fn played_samples(&self) -> u64 {
        let span = self.granule_span().unwrap_or(self.samples);
        let cut = self.samples.saturating_sub(span);
        let cut_max = self.end_samples.unwrap_or(0).min(u64::from(self.rate_hz));
        let end = if cut <= cut_max { span } else { span.max(self.samples) };
        end.saturating_sub(self.pre_skip)
    }
}
