//! The `fmt ` chunk of a WAVE file: which coding, and how bytes become samples
//! (Microsoft, "Multiple channel audio data and WAVE files"; RFC 2361 for the tags).

use crate::domain::{ClipRefusal, Codec};

use super::playtime::{corrupted, unsupported};

/// As much of the chunk as is read: up to the end of `WAVEFORMATEXTENSIBLE`.
pub(super) const FORMAT_BYTES: usize = 40;
/// What `WAVEFORMATEXTENSIBLE` has behind its own size.
const EXTENSION_BYTES: u16 = 22;

/// The tag of `WAVEFORMATEXTENSIBLE`, which has the real one further on.
const EXTENSIBLE: u16 = 0xFFFE;

/// What follows the format tag in the subformat GUID of every tag that has been registered.
const GUID_TAIL: [u8; 14] =
    [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71];

/// Sizes from here on are placeholders.
pub(super) const UNKNOWN_SIZE_MIN: u32 = 0x7FFF_0000;

/// How the bytes of the data chunk become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WavFormat {
    pub(super) codec: Codec,
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u16,
    block_bytes: u32,
    block_samples: u32,
    /// ADPCM: bytes at the head of a block, which hold this many samples of each channel.
    block_header_bytes: u32,
    block_header_samples: u32,
}

impl WavFormat {
    /// Samples of one channel in so many bytes; a last block that is cut off counts as far as it
    /// goes.
    pub(super) fn samples(&self, bytes: u64) -> u64 {
        let block_bytes = u64::from(self.block_bytes);
        let blocks = bytes / block_bytes;
        blocks * u64::from(self.block_samples) + self.part_samples(bytes % block_bytes)
    }

    /// The fewest bytes that hold so many samples.
    pub(super) fn bytes_for(&self, samples: u64) -> u64 {
        let block_samples = u64::from(self.block_samples);
        let (blocks, rest) = (samples / block_samples, samples % block_samples);
        let mut bytes = blocks * u64::from(self.block_bytes);
        if rest > 0 {
            let coded = rest.saturating_sub(u64::from(self.block_header_samples));
            let coded_bytes = (coded * u64::from(self.channels)).div_ceil(2);
            bytes += u64::from(self.block_header_bytes) + coded_bytes;
        }
        bytes
    }

    /// Bytes that go together: a sample of each channel, or a block of ADPCM.
    pub(super) fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// Samples of one channel in those.
    pub(super) fn block_samples(&self) -> u32 {
        self.block_samples
    }

    /// Whether it is PCM of 16 bits.
    pub(super) fn is_pcm16(&self) -> bool {
        self.codec == Codec::Pcm && self.block_bytes == 2 * u32::from(self.channels)
    }

    /// Of the two codings of ADPCM: Microsoft's, whose blocks begin with two samples.
    pub(super) fn is_microsoft(&self) -> bool {
        self.block_header_samples == 2
    }

    /// Whether a block of ADPCM begins as decoders want it: with a step index up to 88 for each
    /// channel, or with one of Microsoft's seven predictors.
    pub(super) fn has_valid_head(&self, block: &[u8]) -> bool {
        let channels = usize::from(self.channels);
        let Some(head) = block.get(..self.block_header_bytes as usize) else { return false };
        if self.is_microsoft() {
            return head[..channels].iter().all(|predictor| *predictor < 7);
        }
        head.as_chunks::<4>().0.iter().all(|[_, _, step_index, _]| *step_index <= 88)
    }

    /// Whether so many bytes end within a block.
    pub(super) fn is_cut(&self, bytes: u64) -> bool {
        !bytes.is_multiple_of(u64::from(self.block_bytes))
    }

    fn part_samples(&self, bytes: u64) -> u64 {
        let header = u64::from(self.block_header_bytes);
        if header == 0 || bytes < header {
            return 0;
        }
        u64::from(self.block_header_samples) + (bytes - header) * 2 / u64::from(self.channels)
    }
}

/// Reads the chunk; `declared_bytes` is its size, of which `chunk` has at most `FORMAT_BYTES`.
pub(super) fn parse(chunk: &[u8]) -> Result<WavFormat, ClipRefusal> {
    let Some(base) = chunk.first_chunk::<16>() else {
        let bytes = chunk.len();
        return Err(corrupted(format!("the WAV format chunk has {bytes} bytes, less than 16")));
    };
    let short = |at: usize| u16::from_le_bytes([base[at], base[at + 1]]);
    let mut tag = short(0);
    let (channels, block_bytes, bits) = (short(2), short(12), short(14));
    let sample_rate_hz = u32::from_le_bytes([base[4], base[5], base[6], base[7]]);
    if tag == EXTENSIBLE {
        let Some(guid) = chunk.get(24..40).filter(|guid| guid[2..] == GUID_TAIL) else {
            return Err(unsupported("WAV with an unknown extensible coding"));
        };
        tag = u16::from_le_bytes([guid[0], guid[1]]);
    }
    let codec = codec_of(tag)?;
    if !(1..=8).contains(&channels) {
        return Err(corrupted(format!("the WAV header has {channels} channels, not 1 to 8")));
    }
    if !(4_000..=192_000).contains(&sample_rate_hz) {
        return Err(corrupted(format!(
            "the WAV header has a rate of {sample_rate_hz} Hz, not 4,000 to 192,000"
        )));
    }
    let lengths = block_lengths(tag, channels, block_bytes, bits)
        .ok_or_else(|| refuse_block(tag, channels, block_bytes, bits))?;
    if short(0) == EXTENSIBLE {
        check_extension(&chunk[16..20], bits)?;
    }
    let (block_samples, block_header_bytes, block_header_samples) = lengths;
    Ok(WavFormat {
        codec,
        sample_rate_hz,
        channels,
        block_bytes: u32::from(block_bytes),
        block_samples,
        block_header_bytes,
        block_header_samples,
    })
}

/// Where an extensible header holds more than one reading: players go by the valid bits, and only
/// where the extension says that it is there.
fn check_extension(extension: &[u8], bits: u16) -> Result<(), ClipRefusal> {
    let extension_bytes = u16::from_le_bytes([extension[0], extension[1]]);
    let valid_bits = u16::from_le_bytes([extension[2], extension[3]]);
    if extension_bytes < EXTENSION_BYTES {
        return Err(corrupted(format!(
            "the extension of the WAV header has {extension_bytes} bytes, less than \
             {EXTENSION_BYTES}"
        )));
    }
    if valid_bits != 0 && valid_bits.div_ceil(8) != bits.div_ceil(8) {
        return Err(unsupported(format!("WAV with {valid_bits} valid bits in {bits}")));
    }
    Ok(())
}

/// Samples of an odd width, or in more bytes than theirs, are well-formed. Where 8 bits are said to
/// take more than one, it is the header that is wrong.
fn refuse_block(tag: u16, channels: u16, block_bytes: u16, bits: u16) -> ClipRefusal {
    let sample_bytes = block_bytes / channels;
    let is_whole = block_bytes.is_multiple_of(channels) && sample_bytes <= 8;
    let fits = bits > 8 && bits.div_ceil(8) <= sample_bytes;
    if matches!(tag, 0x0001 | 0x0003) && is_whole && fits {
        return unsupported(format!("WAV with samples of {bits} bits in {sample_bytes} bytes"));
    }
    corrupted(format!(
        "the WAV header has blocks of {block_bytes} bytes for {channels} channels of {bits} \
         bits with format tag {tag:#06x}"
    ))
}

/// Whether the data go to the end of the file, because this size of theirs cannot be meant.
pub(super) fn is_unknown_size(data_bytes: u64) -> bool {
    data_bytes == 0 || (UNKNOWN_SIZE_MIN.into()..=u32::MAX.into()).contains(&data_bytes)
}

/// Format and audio of a whole WAV clip that has passed the gate, however its sizes are written:
/// the very bytes that the gate has counted.
pub(super) fn locate(clip: &[u8]) -> Option<(WavFormat, &[u8])> {
    let is_rf64 = clip.starts_with(b"RF64");
    let mut rest = clip.get(12..)?;
    let (mut format, mut long_data_bytes) = (None, None);
    loop {
        let (head, body) = rest.split_first_chunk::<8>()?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        match &head[..4] {
            b"fmt " => format = parse(body.get(..FORMAT_BYTES.min(size as usize))?).ok(),
            b"ds64" if is_rf64 => {
                let long = body.get(8..)?.first_chunk::<8>()?;
                long_data_bytes = Some(u64::from_le_bytes(*long));
            }
            b"data" => {
                let data_bytes = long_data_bytes.unwrap_or(size.into());
                let known = usize::try_from(data_bytes).ok();
                let known = known.filter(|_| !is_unknown_size(data_bytes));
                // More than there is: to the end, too.
                return Some((format?, known.and_then(|known| body.get(..known)).unwrap_or(body)));
            }
            _ => {}
        }
        let padded = u64::from(size) + u64::from(size & 1);
        rest = body.get(usize::try_from(padded).ok()?..)?;
    }
}

fn codec_of(tag: u16) -> Result<Codec, ClipRefusal> {
    match tag {
        0x0001 => Ok(Codec::Pcm),
        0x0002 | 0x0011 => Ok(Codec::Adpcm),
        0x0003 => Ok(Codec::PcmFloat),
        0x0006 => Ok(Codec::Alaw),
        0x0007 => Ok(Codec::Mulaw),
        0x0031 => Err(unsupported("WAV with GSM 6.10 audio")),
        0x0050 | 0x0055 => Err(unsupported("WAV with MPEG audio inside")),
        _ => Err(unsupported(format!("WAV with format tag {tag:#06x}"))),
    }
}

/// Samples of a block, bytes of its header, and samples of that header; `None` when block size,
/// channels and bits do not fit each other.
fn block_lengths(tag: u16, channels: u16, block_bytes: u16, bits: u16) -> Option<(u32, u32, u32)> {
    let (channels, block_bytes) = (u32::from(channels), u32::from(block_bytes));
    let sample_bytes = match (tag, bits) {
        (0x0001, 8 | 16 | 24 | 32) | (0x0003, 32 | 64) => u32::from(bits / 8),
        (0x0006 | 0x0007, 8) => 1,
        (0x0002, 4) => return adpcm_lengths(channels, block_bytes, 7 * channels, 2),
        // Words of four bytes, the channels in turn.
        (0x0011, 4) if block_bytes.is_multiple_of(4 * channels) => {
            return adpcm_lengths(channels, block_bytes, 4 * channels, 1);
        }
        _ => return None,
    };
    (block_bytes == channels * sample_bytes).then_some((1, 0, 0))
}

fn adpcm_lengths(channels: u32, block: u32, header: u32, first: u32) -> Option<(u32, u32, u32)> {
    let coded = block.checked_sub(header)?;
    Some((first + coded * 2 / channels, header, first))
}
