//! Reads a PNG row by row, so that a large picture can be scaled down while it is decoded.
//!
//! Rows come as the file has them, unfiltered: Pillow unpacks them into pixels, as it does those that it reads itself.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Cursor;
use std::panic::{catch_unwind, AssertUnwindSafe};

use png::{DecodeOptions, Decoder, Limits, Reader};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// The first picture of a PNG, from top to bottom.
#[pyclass(module = "s3img_native")]
struct PngRows {
    reader: Reader<Cursor<PyBackedBytes>>,
    /// All rows of an interlaced picture, once one was asked for.
    whole: Vec<u8>,
    next: usize,
    /// Width and height in px.
    #[pyo3(get)]
    size: (u32, u32),
    /// Bytes of a row.
    #[pyo3(get)]
    stride: usize,
}

#[pymethods]
impl PngRows {
    /// Read the header.
    ///
    /// Raise ValueError for what is no PNG, and where a row or a chunk takes more than `memory` bytes, or all rows of
    /// an interlaced picture.
    #[new]
    fn new(data: PyBackedBytes, memory: usize) -> PyResult<Self> {
        guarded(|| {
            let mut options = DecodeOptions::default();
            options.set_ignore_adler32(false);
            options.set_ignore_text_chunk(true);
            options.set_ignore_iccp_chunk(true);
            let mut decoder = Decoder::new_with_options(Cursor::new(data), options);
            decoder.set_limits(Limits { bytes: memory });
            let reader = decoder.read_info()?;
            let info = reader.info();
            let size = info.size();
            if let Some(frame) = info.frame_control() {
                if (frame.x_offset, frame.y_offset, frame.width, frame.height)
                    != (0, 0, size.0, size.1)
                {
                    return Err("The first frame is not as large as the picture.".into());
                }
            }
            let stride = reader
                .output_line_size(size.0)
                .ok_or("A row is too long.")?;
            let rows = if info.interlaced { size.1 as usize } else { 1 };
            if stride.checked_mul(rows).is_none_or(|bytes| bytes > memory) {
                return Err("The picture needs more memory than it may take.".into());
            }
            Ok(Self {
                reader,
                whole: Vec::new(),
                next: 0,
                size,
                stride,
            })
        })
    }

    /// Return the next `count` rows, fewer at the end; raise ValueError for damaged data.
    ///
    /// The last ones come when the rest of the file has been checked, too.
    fn read<'py>(&mut self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyBytes>> {
        let left = self.size.1 as usize - self.next;
        let count = count.min(left);
        PyBytes::new_with(py, count * self.stride, |buffer| {
            py.detach(|| guarded(|| self.fill(buffer, count == left)))
        })
    }
}

impl PngRows {
    /// Fill a buffer with rows; `last` ends the picture.
    fn fill(&mut self, buffer: &mut [u8], last: bool) -> Result<(), Box<dyn Error>> {
        if buffer.is_empty() {
            return Ok(());
        }
        let is_interlaced = self.reader.info().interlaced;
        if is_interlaced {
            if self.whole.is_empty() {
                self.whole = vec![0; self.stride * self.size.1 as usize];
                self.reader.next_frame(&mut self.whole)?;
            }
            let start = self.next * self.stride;
            buffer.copy_from_slice(&self.whole[start..start + buffer.len()]);
        } else {
            for row in buffer.chunks_exact_mut(self.stride) {
                if self.reader.read_row(row)?.is_none() {
                    return Err("Rows are missing.".into());
                }
            }
        }
        self.next += buffer.len() / self.stride;
        if last && self.reader.info().is_animated() {
            if !is_interlaced {
                self.reader.read_row(&mut vec![0; self.stride])?; // there is none: this ends the frame
            }
        } else if last {
            self.reader.finish()?;
        }
        Ok(())
    }
}

/// Run the decoder; its errors, and a panic, are a ValueError.
fn guarded<T>(work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| PyValueError::new_err(error.to_string())),
        Err(_) => Err(PyValueError::new_err("The decoder failed.")),
    }
}

/// Rows of PNG for s3img.
#[pymodule]
mod s3img_native {
    #[pymodule_export]
    use super::PngRows;
}
