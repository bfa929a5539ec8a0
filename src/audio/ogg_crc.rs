//! The checksum of Ogg pages (RFC 3533 §6): polynomial 0x04C11DB7, most significant bit first,
//! start value 0, no inversion.
//!
//! One look-up a byte would make the processor wait for each before the next. So sixteen bytes are
//! taken at a time, whose look-ups do not depend on each other, and of long pieces two parts side
//! by side, whose sums are put together afterwards.

/// Bytes taken at a time.
const STRIDE: usize = 16;
/// Parts of a block that are summed side by side, and strides in each.
const LANES: usize = 2;
const LANE_STRIDES: usize = 16;

/// `TABLES[n][b]` is what byte `b` does to the checksum when `n` more bytes follow it.
static TABLES: [[u32; 256]; STRIDE] = tables();

const fn tables() -> [[u32; 256]; STRIDE] {
    let mut tables = [[0u32; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let mut value = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = value << 1 ^ if value >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut distance = 1;
    while distance < STRIDE {
        let mut byte = 0;
        while byte < 256 {
            let nearer = tables[distance - 1][byte];
            tables[distance][byte] = nearer << 8 ^ tables[0][(nearer >> 24) as usize];
            byte += 1;
        }
        distance += 1;
    }
    tables
}

/// `LANE_TABLES[n][b]` is what byte `n` of a checksum, when it is `b`, becomes a lane later.
static LANE_TABLES: [[u32; 256]; 4] = lane_tables();

const fn lane_tables() -> [[u32; 256]; 4] {
    let tables = tables();
    let mut lane_tables = [[0u32; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut byte = 0;
        while byte < 256 {
            let mut crc = (byte as u32) << (24 - 8 * place);
            let mut passed = 0;
            while passed < LANE_STRIDES * STRIDE {
                crc = crc << 8 ^ tables[0][(crc >> 24) as usize];
                passed += 1;
            }
            lane_tables[place][byte] = crc;
            byte += 1;
        }
        place += 1;
    }
    lane_tables
}

/// The checksum after `bytes`, when it was `crc` before them.
pub(super) fn update(mut crc: u32, bytes: &[u8]) -> u32 {
    let (strides, rest) = bytes.as_chunks::<STRIDE>();
    let (lanes, strides) = strides.as_chunks::<LANE_STRIDES>();
    let (blocks, lanes) = lanes.as_chunks::<LANES>();
    for block in blocks {
        let mut sums = [0; LANES];
        sums[0] = crc;
        for at in 0..LANE_STRIDES {
            for (sum, lane) in sums.iter_mut().zip(block) {
                *sum = after_stride(*sum, &lane[at]);
            }
        }
        crc = sums.iter().fold(0, |joined, sum| a_lane_later(joined) ^ sum);
    }
    for stride in lanes.as_flattened().iter().chain(strides) {
        crc = after_stride(crc, stride);
    }
    for byte in rest {
        crc = crc << 8 ^ TABLES[0][usize::from((crc >> 24) as u8 ^ byte)];
    }
    crc
}

#[inline(always)]
fn after_stride(crc: u32, stride: &[u8; STRIDE]) -> u32 {
    let mut block = *stride;
    for (byte, carried) in block.iter_mut().zip(crc.to_be_bytes()) {
        *byte ^= carried;
    }
    let mut sum = 0;
    for (table, byte) in TABLES.iter().rev().zip(block) {
        sum ^= table[usize::from(byte)];
    }
    sum
}

fn a_lane_later(crc: u32) -> u32 {
    let mut sum = 0;
    for (table, byte) in LANE_TABLES.iter().zip(crc.to_be_bytes()) {
        sum ^= table[usize::from(byte)];
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn agrees_with_the_definition_for_any_length_and_split() {
        let bytes: Vec<u8> = (0..2_500u32).map(|n| (n * 151 % 256) as u8).collect();
        for length in (0..bytes.len()).step_by(7) {
            let mut expected = 0u32;
            for byte in &bytes[..length] {
                expected ^= u32::from(*byte) << 24;
                for _ in 0..8 {
                    let carry = expected >> 31 == 1;
                    expected = expected << 1 ^ if carry { 0x04C1_1DB7 } else { 0 };
                }
            }
            let (first, second) = bytes[..length].split_at(length / 3);
            assert_eq!(update(update(0, first), second), expected, "{length} bytes");
        }
    }
}
