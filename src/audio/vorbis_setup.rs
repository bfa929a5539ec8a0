//! The Vorbis setup header (Vorbis I §4.2.4), read for two things: which modes use long blocks,
//! and how much memory a decoder would need for the codebooks.
//!
//! The modes stand at the very end, behind everything else, so everything else is stepped over.

use super::bits::BitReader;

/// The largest setup header that is read. Encoders write 3 to 9 kB.
pub(super) const SETUP_BYTES_MAX: usize = 64 * 1024;
/// Entries times dimensions over all codebooks; libvorbis stays far below. A few bytes can declare
/// books of gigabytes.
const CODEBOOK_VALUES_MAX: u64 = 1 << 20;

/// Which of the modes (1 to 64) use long blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes {
    long: u64,
    count: u32,
    /// As many bits as name a mode.
    mask: u32,
}

impl Modes {
    /// Whether the mode named by the bits behind the packet type uses long blocks; `None` for a
    /// mode that is not there.
    pub(super) fn is_long(&self, bits: u32) -> Option<bool> {
        let number = bits & self.mask;
        (number < self.count).then(|| self.long >> number & 1 == 1)
    }
}

/// Reads the packet that begins with 5 and `vorbis`.
pub(super) fn parse(packet: &[u8], channels: u8) -> Result<Modes, String> {
    let Some(body) = packet.strip_prefix(b"\x05vorbis") else {
        return Err("the third Vorbis packet is not a setup header".into());
    };
    let mut bits = BitReader::new(body);
    let mut values = 0;
    let books = bits.read(8).map_or(0, |count| count + 1);
    for _ in 0..books {
        skip_codebook(&mut bits, &mut values).ok_or("a Vorbis codebook makes no sense")?;
        if values > CODEBOOK_VALUES_MAX {
            return Err(format!(
                "the Vorbis codebooks have more than {CODEBOOK_VALUES_MAX} values"
            ));
        }
    }
    skip_time_domain(&mut bits).ok_or("the Vorbis time domain transforms make no sense")?;
    skip_floors(&mut bits).ok_or("a Vorbis floor makes no sense")?;
    skip_residues(&mut bits).ok_or("a Vorbis residue makes no sense")?;
    skip_mappings(&mut bits, channels).ok_or("a Vorbis mapping makes no sense")?;
    read_modes(&mut bits).ok_or_else(|| "the Vorbis modes make no sense".into())
}

/// Position of the highest set bit, counted from 1; 0 for 0 (`ilog` in Vorbis I §9.2.1).
fn bit_length(value: u32) -> u32 {
    u32::BITS - value.leading_zeros()
}

fn skip_codebook(bits: &mut BitReader<'_>, values: &mut u64) -> Option<()> {
    if bits.read(24)? != 0x56_4342 {
        return None;
    }
    let (dimensions, entries) = (bits.read(16)?, bits.read(24)?);
    *values += u64::from(dimensions.max(1)) * u64::from(entries);
    if *values > CODEBOOK_VALUES_MAX {
        return Some(());
    }
    if bits.flag()? {
        bits.read(5)?;
        let mut entry = 0;
        while entry < entries {
            entry += bits.read(bit_length(entries - entry))?;
        }
        if entry > entries {
            return None;
        }
    } else if bits.flag()? {
        for _ in 0..entries {
            if bits.flag()? {
                bits.skip(5)?;
            }
        }
    } else {
        bits.skip(5 * u64::from(entries))?;
    }
    let lookup_type = bits.read(4)?;
    if lookup_type == 0 {
        return Some(());
    }
    bits.skip(64)?;
    let value_bits = bits.read(4)? + 1;
    bits.skip(1)?;
    let count = match lookup_type {
        1 => u64::from(root(entries, dimensions)?),
        2 => u64::from(entries) * u64::from(dimensions),
        _ => return None,
    };
    bits.skip(count * u64::from(value_bits))
}

/// The greatest number whose power `dimensions` is not above `entries` (Vorbis I §9.2.3).
fn root(entries: u32, dimensions: u32) -> Option<u32> {
    if dimensions == 0 {
        return None;
    }
    let fits = |number: u32| {
        u64::from(number).checked_pow(dimensions).is_some_and(|power| power <= u64::from(entries))
    };
    let (mut low, mut high) = (0, entries);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

fn skip_time_domain(bits: &mut BitReader<'_>) -> Option<()> {
    for _ in 0..=bits.read(6)? {
        if bits.read(16)? != 0 {
            return None;
        }
    }
    Some(())
}

fn skip_floors(bits: &mut BitReader<'_>) -> Option<()> {
    for _ in 0..=bits.read(6)? {
        match bits.read(16)? {
            0 => {
                bits.skip(8 + 16 + 16 + 6 + 8)?;
                let books = bits.read(4)? + 1;
                bits.skip(8 * u64::from(books))?;
            }
            1 => skip_floor_1(bits)?,
            _ => return None,
        }
    }
    Some(())
}

fn skip_floor_1(bits: &mut BitReader<'_>) -> Option<()> {
    let partitions = bits.read(5)? as usize;
    let mut partition_classes = [0usize; 31];
    let mut classes = 0;
    for class in partition_classes.iter_mut().take(partitions) {
        *class = bits.read(4)? as usize;
        classes = classes.max(*class + 1);
    }
    let mut class_dimensions = [0u32; 16];
    for dimensions in class_dimensions.iter_mut().take(classes) {
        *dimensions = bits.read(3)? + 1;
        let subclasses = bits.read(2)?;
        if subclasses > 0 {
            bits.skip(8)?;
        }
        bits.skip(8 << subclasses)?;
    }
    bits.skip(2)?;
    let range_bits = bits.read(4)?;
    for class in &partition_classes[..partitions] {
        bits.skip(u64::from(class_dimensions[*class] * range_bits))?;
    }
    Some(())
}

fn skip_residues(bits: &mut BitReader<'_>) -> Option<()> {
    for _ in 0..=bits.read(6)? {
        if bits.read(16)? > 2 {
            return None;
        }
        bits.skip(24 + 24 + 24)?;
        let classifications = bits.read(6)? + 1;
        bits.skip(8)?;
        let mut books = 0;
        for _ in 0..classifications {
            let low = bits.read(3)?;
            let high = if bits.flag()? { bits.read(5)? } else { 0 };
            books += u64::from((high << 3 | low).count_ones());
        }
        bits.skip(8 * books)?;
    }
    Some(())
}

fn skip_mappings(bits: &mut BitReader<'_>, channels: u8) -> Option<()> {
    let channel_bits = u64::from(bit_length(u32::from(channels.saturating_sub(1))));
    for _ in 0..=bits.read(6)? {
        if bits.read(16)? != 0 {
            return None;
        }
        let submaps = if bits.flag()? { bits.read(4)? + 1 } else { 1 };
        if bits.flag()? {
            let steps = bits.read(8)? + 1;
            bits.skip(u64::from(steps) * 2 * channel_bits)?;
        }
        if bits.read(2)? != 0 {
            return None;
        }
        if submaps > 1 {
            bits.skip(4 * u64::from(channels))?;
        }
        bits.skip(24 * u64::from(submaps))?;
    }
    Some(())
}

fn read_modes(bits: &mut BitReader<'_>) -> Option<Modes> {
    let count = bits.read(6)? + 1;
    let mut long = 0;
    for number in 0..count {
        long |= u64::from(bits.read(1)?) << number;
        let (window_type, transform_type) = (bits.read(16)?, bits.read(16)?);
        if window_type != 0 || transform_type != 0 {
            return None;
        }
        bits.skip(8)?;
    }
    let mask = (1 << bit_length(count - 1)) - 1;
    bits.flag()?.then_some(Modes { long, count, mask })
}
