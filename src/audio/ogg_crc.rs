//! The checksum of Ogg pages (RFC 3533 §6): polynomial 0x04C11DB7, most significant bit first,
//! start value 0, no inversion.

/// Bytes taken at a time. Sixteen table look-ups that do not depend on each other keep the
/// processor busy where one look-up a byte would make it wait.
const STRIDE: usize = 16;

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

/// The checksum after `bytes`, when it was `crc` before them.
pub(super) fn update(mut crc: u32, bytes: &[u8]) -> u32 {
    let (strides, rest) = bytes.as_chunks::<STRIDE>();
    for stride in strides {
        let mut block = *stride;
        for (byte, carried) in block.iter_mut().zip(crc.to_be_bytes()) {
            *byte ^= carried;
        }
        crc = 0;
        for (at, byte) in block.iter().enumerate() {
            crc ^= TABLES[STRIDE - 1 - at][usize::from(*byte)];
        }
    }
    for byte in rest {
        crc = crc << 8 ^ TABLES[0][usize::from((crc >> 24) as u8 ^ byte)];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn agrees_with_the_definition_for_any_length_and_split() {
        let bytes: Vec<u8> = (0..100u32).map(|n| (n * 151 % 256) as u8).collect();
        for length in 0..bytes.len() {
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
