//! Opus packets out of WebM or MP4 into Ogg, as they are: what a player hears is the same to the
//! last sample.

use crate::domain::ClipRefusal;

use super::super::opus;
use super::super::packets::{AudioTrack, Coding, PacketSink, invalid_packet};
use super::super::playtime::{PlaytimeLimit, corrupted, microseconds};
use super::ogg_writer::OggWriter;

/// The longest packet: 48 frames of 1,275 bytes (RFC 6716 §3.4).
const PACKET_BYTES_MAX: usize = 48 * 1_275;

/// Takes packets and writes them into an Ogg stream.
#[derive(Debug)]
pub(super) struct Remux {
    limit: PlaytimeLimit,
    bytes_expected: usize,
    writer: Option<OggWriter>,
    packet: Vec<u8>,
    last_samples: u64,
    trimmed: u64,
    samples: u64,
    pre_skip: u64,
}

impl Remux {
    pub(super) fn new(limit: PlaytimeLimit, bytes_expected: usize) -> Remux {
        Remux {
            limit,
            bytes_expected,
            writer: None,
            packet: Vec::new(),
            last_samples: 0,
            trimmed: 0,
            samples: 0,
            pre_skip: 0,
        }
    }

    /// The whole Ogg clip.
    pub(super) fn finish(self) -> Result<Vec<u8>, ClipRefusal> {
        match self.writer {
            Some(writer) if self.samples > 0 => {
                Ok(writer.finish(self.trimmed.min(self.last_samples)))
            }
            _ => Err(corrupted("the clip has no whole packet of audio")),
        }
    }
}

impl PacketSink for Remux {
    fn track(&mut self, track: &AudioTrack) -> Result<(), ClipRefusal> {
        let Coding::Opus { head } = &track.coding else {
            return Err(corrupted("the clip is not what it was found to be"));
        };
        self.pre_skip = u64::from(opus::parse_head(head).map_err(corrupted)?.pre_skip);
        self.writer = Some(OggWriter::new(head, self.bytes_expected));
        Ok(())
    }

    fn part(&mut self, bytes: &[u8]) {
        let room = PACKET_BYTES_MAX + 1 - self.packet.len();
        self.packet.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self) -> Result<(), ClipRefusal> {
        let Some(writer) = self.writer.as_mut().filter(|_| !self.packet.is_empty()) else {
            return Ok(());
        };
        if self.packet.len() > PACKET_BYTES_MAX {
            return Err(corrupted(format!("an Opus packet above {PACKET_BYTES_MAX} bytes")));
        }
        let samples = u64::from(opus::packet_samples(&self.packet).ok_or_else(invalid_packet)?);
        writer.packet(&self.packet, samples);
        self.packet.clear();
        // As the gate does it: what is before this packet is played for certain.
        let played = self.samples.saturating_sub(self.pre_skip);
        self.limit.check_long(microseconds(played, opus::RATE_HZ))?;
        self.samples += samples;
        (self.last_samples, self.trimmed) = (samples, 0);
        Ok(())
    }

    fn trim_last(&mut self, samples: u64) {
        self.trimmed = samples;
    }

    fn drop_packet(&mut self) {
        self.packet.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ogg_packets::OggPackets;
    use super::super::super::packets::{AudioTrack, Coding, PacketSink};
    use super::super::super::playtime::PlaytimeLimit;
    use super::Remux;
    use crate::domain::AudioLimits;

    /// A decoder that is handed an empty one takes it for lost, and makes up audio.
    #[test]
    fn empty_packets_are_left_behind() {
        let limit = PlaytimeLimit::new(&AudioLimits {
            duration_ms_max: 60_000,
            duration_ms_grace: 0,
            duration_ms_min: 0,
            bytes_max: 1_000,
        });
        let head = b"OpusHead\x01\x01\0\0\x80\xBB\0\0\0\0\0".to_vec();
        let coding = Coding::Opus { head };
        let mut remux = Remux::new(limit, 100);
        remux.track(&AudioTrack { coding, start_samples: 0, played_samples: None }).unwrap();
        for part in [&b""[..], b"\xF8\x01", b"", b"", b"\xF8\x02", b""] {
            remux.part(part);
            remux.end().unwrap();
        }
        let clip = remux.finish().unwrap();
        let mut packets = OggPackets::new(&clip);
        let mut bytes = Vec::new();
        while let Some(packet) = packets.next() {
            bytes.push(packet.len());
        }
        assert_eq!(bytes[2..], [2, 2]);
    }
}
