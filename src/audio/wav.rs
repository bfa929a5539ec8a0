//! The walk over a WAVE file, RIFF or RF64: chunk after chunk; the bytes of data chunks are
//! counted, and only the first of them looked at, for what is no PCM.
//!
//! A declared data size is honoured as an upper bound when it can be meant. Live recorders write 0,
//! 0xFFFFFFFF or about 0x7FFFFFFF because they do not know it yet: then the audio goes to the end.

use crate::domain::{ClipRefusal, Codec, Note};

use super::playtime::{Found, PlaytimeLimit, check_junk, corrupted, microseconds, unsupported};
use super::wav_act::ActSearch;
use super::wav_disguise::DisguiseSearch;
use super::wav_format::{self, FORMAT_BYTES, UNKNOWN_SIZE_MIN, WavFormat};
use super::wav_other_way::OtherWay;

const CHUNK_HEADER_BYTES: u64 = 8;

/// The state between two pieces of a WAVE file.
#[derive(Debug)]
pub(super) struct WavWalk {
    limit: PlaytimeLimit,
    at: At,
    head: [u8; FORMAT_BYTES],
    head_bytes: usize,
    /// The size that the `ds64` chunk of an RF64 file gives for its data.
    long_data_bytes: Option<u64>,
    format: Option<WavFormat>,
    is_rf64: bool,
    has_data: bool,
    /// Where players may go on otherwise than this walk.
    other_ways: Vec<OtherWay>,
    /// In data that are said to be PCM.
    disguise: Option<DisguiseSearch>,
    act: ActSearch,
    data_bytes: u64,
    /// Data bytes that make the clip too long.
    data_bytes_refused: u64,
    size_is_unknown: bool,
    /// Where the file ends by its own header; 0 where that does not know.
    riff_end: u64,
    /// Where the chunk under way begins, where it will end, and how many bytes there are so far.
    chunk_at: u64,
    chunk_end: u64,
    bytes: u64,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum At {
    FileHeader,
    ChunkHeader,
    Format { chunk_bytes: u32 },
    LongSizes { chunk_bytes: u32 },
    Data { bytes_left: u64, is_odd: bool },
    DataToEnd,
    Skip { bytes_left: u64 },
    Junk,
}

/// What stands behind the audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    /// A chunk that is not all there.
    Cut,
    /// Bytes that are no chunk.
    Junk {
        bytes: u64,
    },
}

impl WavWalk {
    pub(super) fn new(limit: PlaytimeLimit) -> WavWalk {
        WavWalk {
            limit,
            at: At::FileHeader,
            head: [0; FORMAT_BYTES],
            head_bytes: 0,
            long_data_bytes: None,
            format: None,
            is_rf64: false,
            has_data: false,
            other_ways: Vec::new(),
            disguise: None,
            act: ActSearch::default(),
            data_bytes: 0,
            data_bytes_refused: u64::MAX,
            size_is_unknown: false,
            riff_end: 0,
            chunk_at: 0,
            chunk_end: 0,
            bytes: 0,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ClipRefusal> {
        let Some(count) = self.act.finds(bytes) else { return self.walk(bytes) };
        self.walk(&bytes[..count])?;
        Err(unsupported("a voice recorder's ACT file"))
    }

    fn walk(&mut self, mut bytes: &[u8]) -> Result<(), ClipRefusal> {
        while !bytes.is_empty() {
            let (piece, ways) = (bytes, self.other_ways.len());
            bytes = match self.at {
                At::FileHeader => self.gather(bytes, 12, |walk| {
                    walk.file_begins();
                    Ok(())
                })?,
                At::ChunkHeader => self.gather(bytes, 8, WavWalk::chunk_begins)?,
                At::Format { chunk_bytes } => {
                    let wanted = FORMAT_BYTES.min(chunk_bytes as usize);
                    self.gather(bytes, wanted, |walk| walk.format_ends(chunk_bytes, wanted))?
                }
                At::LongSizes { chunk_bytes } => {
                    self.gather(bytes, 16, |walk| walk.long_sizes_end(chunk_bytes))?
                }
                At::Skip { bytes_left } => self.skip(bytes, bytes_left),
                At::Data { bytes_left, is_odd } => self.data(bytes, bytes_left, is_odd)?,
                At::DataToEnd => {
                    self.add_data(bytes)?;
                    &[]
                }
                At::Junk => &[],
            };
            let taken = &piece[..piece.len() - bytes.len()];
            self.bytes += taken.len() as u64;
            // Those that begin in this piece begin behind it.
            if self.other_ways[..ways].iter_mut().any(|way| way.meets_data(taken)) {
                return Err(second_data());
            }
            if matches!(self.at, At::ChunkHeader) && self.head_bytes == 0 {
                self.chunk_at = self.bytes;
            }
        }
        Ok(())
    }

    /// Collects `wanted` bytes of a header, then goes on with `then`.
    fn gather<'a>(
        &mut self,
        bytes: &'a [u8],
        wanted: usize,
        then: impl FnOnce(&mut WavWalk) -> Result<(), ClipRefusal>,
    ) -> Result<&'a [u8], ClipRefusal> {
        let (part, rest) = bytes.split_at(bytes.len().min(wanted - self.head_bytes));
        self.head[self.head_bytes..][..part.len()].copy_from_slice(part);
        self.head_bytes += part.len();
        if self.head_bytes == wanted {
            self.head_bytes = 0;
            then(self)?;
        }
        Ok(rest)
    }

    fn file_begins(&mut self) {
        self.is_rf64 = self.head.starts_with(b"RF64");
        let riff_bytes = u32::from_le_bytes([4, 5, 6, 7].map(|at| self.head[at]));
        self.riff_end = if riff_bytes < UNKNOWN_SIZE_MIN { 8 + u64::from(riff_bytes) } else { 0 };
        self.at = At::ChunkHeader;
    }

    fn chunk_begins(&mut self) -> Result<(), ClipRefusal> {
        let [a, b, c, d, e, f, g, h, ..] = self.head;
        let id = [a, b, c, d];
        let chunk_bytes = u32::from_le_bytes([e, f, g, h]);
        let padded = u64::from(chunk_bytes) + u64::from(chunk_bytes & 1);
        self.chunk_end = self.chunk_at + CHUNK_HEADER_BYTES + u64::from(chunk_bytes);
        self.at = match &id {
            b"fmt " if self.format.is_some() => {
                return Err(corrupted("the WAV file has a second format chunk"));
            }
            b"fmt " => {
                if chunk_bytes < 16 {
                    return Err(corrupted(format!(
                        "the WAV format chunk has {chunk_bytes} bytes, less than 16"
                    )));
                }
                At::Format { chunk_bytes }
            }
            b"ds64" if self.long_data_bytes.is_some() => {
                return Err(corrupted("the RF64 file has a second ds64 chunk"));
            }
            // Players differ in whether this one is padded, and find other chunks behind it.
            b"ds64" if self.is_rf64 && chunk_bytes % 2 == 1 => {
                return Err(corrupted("the ds64 chunk has an odd size"));
            }
            // In a RIFF file it is a chunk like any other, as players have it.
            b"ds64" if self.is_rf64 && chunk_bytes >= 16 => At::LongSizes { chunk_bytes },
            b"data" => self.data_begins(chunk_bytes)?,
            // Another format in its place, or a list that players end at.
            b"XMA2" => return Err(unsupported("WAV with a format chunk of XMA2")),
            b"LIST" if chunk_bytes < 4 => {
                let detail = format!("a LIST chunk of {chunk_bytes} bytes, less than 4");
                return Err(corrupted(detail));
            }
            _ if !id.iter().all(|byte| (0x20..0x7F).contains(byte)) => {
                // Junk to us; players step over it by its size, and take what comes.
                self.other_ways.push(OtherWay::behind(padded));
                At::Junk
            }
            _ => At::Skip { bytes_left: padded },
        };
        Ok(())
    }

    fn format_ends(&mut self, chunk_bytes: u32, kept: usize) -> Result<(), ClipRefusal> {
        let format = wav_format::parse(&self.head[..kept])?;
        let samples = self.limit.samples_refused(format.sample_rate_hz);
        self.data_bytes_refused = format.bytes_for(samples);
        self.disguise =
            (format.codec == Codec::Pcm).then(|| DisguiseSearch::new(format.is_pcm16()));
        self.format = Some(format);
        let padded = u64::from(chunk_bytes) + u64::from(chunk_bytes & 1);
        self.at = At::Skip { bytes_left: padded - kept as u64 };
        Ok(())
    }

    fn long_sizes_end(&mut self, chunk_bytes: u32) -> Result<(), ClipRefusal> {
        let (_, size) = self.head.split_at(8);
        let size = size.first_chunk::<8>().map_or(0, |size| u64::from_le_bytes(*size));
        self.long_data_bytes = Some(size);
        let padded = u64::from(chunk_bytes) + u64::from(chunk_bytes & 1);
        self.at = At::Skip { bytes_left: padded - 16 };
        Ok(())
    }

    fn data_begins(&mut self, chunk_bytes: u32) -> Result<At, ClipRefusal> {
        if self.format.is_none() {
            return Err(corrupted("the WAV data comes before its format"));
        }
        if self.has_data {
            return Err(second_data());
        }
        self.has_data = true;
        let size = self.data_size(chunk_bytes)?;
        if wav_format::is_unknown_size(size) {
            self.size_is_unknown = true;
            return Ok(At::DataToEnd);
        }
        Ok(At::Data { bytes_left: size, is_odd: size & 1 == 1 })
    }

    /// In RF64 the chunk's own size is there for show: all ones, or the same as in `ds64`.
    fn data_size(&self, chunk_bytes: u32) -> Result<u64, ClipRefusal> {
        let own_bytes = u64::from(chunk_bytes);
        if !self.is_rf64 {
            return Ok(own_bytes);
        }
        let Some(long_bytes) = self.long_data_bytes else {
            return Err(corrupted("the RF64 file has no ds64 chunk before its data"));
        };
        if chunk_bytes != u32::MAX && own_bytes != long_bytes {
            return Err(corrupted(format!(
                "the data of the RF64 file has {own_bytes} bytes by its chunk, {long_bytes} by ds64"
            )));
        }
        Ok(long_bytes)
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], bytes_left: u64) -> &'a [u8] {
        let count = bytes_left.min(bytes.len() as u64);
        let bytes_left = bytes_left - count;
        self.at = if bytes_left > 0 { At::Skip { bytes_left } } else { At::ChunkHeader };
        &bytes[count as usize..]
    }

    fn data<'a>(
        &mut self,
        bytes: &'a [u8],
        bytes_left: u64,
        is_odd: bool,
    ) -> Result<&'a [u8], ClipRefusal> {
        let count = bytes_left.min(bytes.len() as u64);
        self.add_data(&bytes[..count as usize])?;
        let bytes_left = bytes_left - count;
        self.at = match (bytes_left, is_odd) {
            (0, true) => {
                self.other_ways.push(OtherWay::behind(0));
                At::Skip { bytes_left: 1 }
            }
            (0, false) => At::ChunkHeader,
            _ => At::Data { bytes_left, is_odd },
        };
        Ok(&bytes[count as usize..])
    }

    fn add_data(&mut self, bytes: &[u8]) -> Result<(), ClipRefusal> {
        // Whichever comes first, however the clip comes in pieces.
        let left = self.data_bytes_refused.saturating_sub(self.data_bytes);
        let judged =
            &bytes[..usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))];
        if let Some(coding) = self.disguise.as_mut().and_then(|search| search.finds(judged)) {
            return Err(unsupported(format!("WAV with {coding} in the place of samples")));
        }
        self.data_bytes += bytes.len() as u64;
        if self.data_bytes < self.data_bytes_refused {
            return Ok(());
        }
        self.limit.check_long(self.played_us(self.data_bytes_refused))
    }

    fn played_us(&self, data_bytes: u64) -> u64 {
        self.format
            .map_or(0, |format| microseconds(format.samples(data_bytes), format.sample_rate_hz))
    }

    /// How the file ends behind its audio. A last padding byte may be missing.
    fn ending(&self) -> Ending {
        let is_whole = match self.at {
            At::ChunkHeader => self.head_bytes == 0,
            At::Skip { bytes_left } => bytes_left <= 1,
            At::Data { .. } | At::DataToEnd => true,
            At::FileHeader | At::Format { .. } | At::LongSizes { .. } | At::Junk => false,
        };
        // A chunk that the file's own size has room for was there once; another is no chunk.
        let was_whole = match self.at {
            At::ChunkHeader => self.chunk_at + CHUNK_HEADER_BYTES <= self.riff_end,
            At::Skip { .. } | At::Format { .. } | At::LongSizes { .. } => {
                self.chunk_end <= self.riff_end
            }
            _ => false,
        };
        match (is_whole, was_whole) {
            (true, _) => Ending::Whole,
            (false, true) => Ending::Cut,
            (false, false) => Ending::Junk { bytes: self.bytes - self.chunk_at },
        }
    }

    pub(super) fn finish(self) -> Result<Found, ClipRefusal> {
        let Some(format) = self.format.filter(|_| self.has_data) else {
            return Err(corrupted("the WAV file ends before its audio begins"));
        };
        if format.samples(self.data_bytes) == 0 {
            return Err(corrupted("the WAV file has no whole sample"));
        }
        let ending = self.ending();
        let junk_bytes = if let Ending::Junk { bytes } = ending { bytes } else { 0 };
        check_junk(junk_bytes, self.bytes)?;
        let is_cut = matches!(self.at, At::Data { .. }) || format.is_cut(self.data_bytes);
        let mut notes = Vec::new();
        if is_cut || ending == Ending::Cut {
            notes.push(Note::Truncated);
        }
        if junk_bytes > 0 {
            notes.push(Note::JunkBytes);
        }
        if self.size_is_unknown {
            notes.push(Note::UnknownSize);
        }
        Ok(Found {
            codec: format.codec,
            played_us: self.played_us(self.data_bytes),
            sample_rate_hz: format.sample_rate_hz,
            channels: format.channels,
            notes,
            is_certain: true,
        })
    }
}

fn second_data() -> ClipRefusal {
    corrupted("the WAV file has a second data chunk")
}
