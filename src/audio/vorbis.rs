//! Vorbis in Ogg: the identification header and the length of packets (Vorbis I §4.2.2, §4.3).

use super::vorbis_setup::Modes;

/// Size of the identification header.
pub(super) const IDENTIFICATION_BYTES: usize = 30;

/// The identification header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identification {
    pub(super) channels: u8,
    pub(super) sample_rate_hz: u32,
    /// Samples of a short and of a long block.
    pub(super) block_samples: [u32; 2],
}

/// Reads the packet that begins with 1 and `vorbis`.
pub(super) fn parse_identification(packet: &[u8]) -> Result<Identification, String> {
    let Some(header) = packet.first_chunk::<IDENTIFICATION_BYTES>() else {
        let bytes = packet.len();
        return Err(format!("the Vorbis header has {bytes} bytes, not {IDENTIFICATION_BYTES}"));
    };
    let version = u32::from_le_bytes([header[7], header[8], header[9], header[10]]);
    if version != 0 {
        return Err(format!("Vorbis version {version} is unknown"));
    }
    let channels = header[11];
    if channels == 0 || channels > 8 {
        return Err(format!("the Vorbis header has {channels} channels, not 1 to 8"));
    }
    let sample_rate_hz = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    if !(1_000..=200_000).contains(&sample_rate_hz) {
        return Err(format!("the Vorbis header has a rate of {sample_rate_hz} Hz"));
    }
    let (short, long) = (header[28] & 0xF, header[28] >> 4);
    if !(6..=13).contains(&short) || !(short..=13).contains(&long) {
        return Err(format!(
            "Vorbis block sizes of 2^{short} and 2^{long} samples are not allowed"
        ));
    }
    Ok(Identification { channels, sample_rate_hz, block_samples: [1 << short, 1 << long] })
}

/// Adds up what packets play: each gives a quarter of its own block and a quarter of the one
/// before, so the first gives nothing.
#[derive(Debug)]
pub(super) struct PacketLengths {
    block_samples: [u32; 2],
    modes: Modes,
    previous_block: Option<u32>,
}

impl PacketLengths {
    pub(super) fn new(identification: &Identification, modes: Modes) -> PacketLengths {
        PacketLengths { block_samples: identification.block_samples, modes, previous_block: None }
    }

    /// Samples the next packet adds; `None` if it is no audio packet, which players step over.
    pub(super) fn next(&mut self, first_byte: u8) -> Option<u32> {
        if first_byte & 1 != 0 {
            return None;
        }
        let is_long = self.modes.is_long(u32::from(first_byte >> 1))?;
        let block = self.block_samples[usize::from(is_long)];
        let added = self.previous_block.map_or(0, |previous| (previous + block) / 4);
        self.previous_block = Some(block);
        Some(added)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ogg_packets::OggPackets, vorbis_setup};
    use super::{PacketLengths, parse_identification};

    /// libvorbis writes on each page but the last where its packets end, to the sample.
    #[test]
    fn packet_lengths_add_up_to_the_granules_of_an_honest_clip() {
        let clip = include_bytes!("../../tests/fixtures/audio/hello.vorbis.ogg");
        let mut packets = OggPackets::new(clip);
        let identification = parse_identification(packets.next().unwrap()).unwrap();
        packets.next().unwrap();
        let modes = vorbis_setup::parse(packets.next().unwrap(), identification.channels).unwrap();
        let mut lengths = PacketLengths::new(&identification, modes);
        let (mut sum, mut ends) = (0, Vec::new());
        while let Some(packet) = packets.next() {
            sum += u64::from(lengths.next(packet[0]).unwrap());
            ends.push(sum);
        }
        let granules: Vec<u64> = (0..clip.len() - 14)
            .filter(|at| clip[*at..].starts_with(b"OggS\0"))
            .map(|at| u64::from_le_bytes(clip[at + 6..at + 14].try_into().unwrap()))
            .filter(|granule| *granule > 0)
            .collect();
        let (last, inner) = granules.split_last().unwrap();
        assert!(inner.len() > 3);
        assert!(inner.iter().all(|granule| ends.contains(granule)), "{inner:?} in {ends:?}");
        assert!((*last..*last + 2_048).contains(&sum));
    }
}
