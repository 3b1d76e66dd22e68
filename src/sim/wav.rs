//! Small WAV files: PCM, 16 bit, one channel, [`RATE`] samples per second.

/// Samples per second, as on a telephone line.
pub const RATE: u32 = 8_000;
const HEADER_LEN: usize = 44;
const BYTES_PER_SAMPLE: u32 = 2;

/// The file of some samples.
#[must_use]
pub fn write(samples: &[i16]) -> Vec<u8> {
    let size = samples.len() as u32 * BYTES_PER_SAMPLE;
    let mut file = Vec::with_capacity(HEADER_LEN + size as usize);
    file.extend(b"RIFF");
    file.extend((size + HEADER_LEN as u32 - 8).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes()); // PCM
    file.extend(1_u16.to_le_bytes()); // channels
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * BYTES_PER_SAMPLE).to_le_bytes());
    file.extend((BYTES_PER_SAMPLE as u16).to_le_bytes());
    file.extend(16_u16.to_le_bytes()); // bits
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// The samples of a file. Any other bytes are taken as samples too: the simulation asks only that
/// everybody who reads a file reads the same.
#[must_use]
pub fn read(file: &[u8]) -> Vec<i16> {
    let data = if file.starts_with(b"RIFF") { file.get(HEADER_LEN..) } else { Some(file) };
    let (pairs, _) = data.unwrap_or_default().as_chunks::<2>();
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

/// Appends a sine tone of `millis` at `hertz`, at a third of full volume.
pub fn add_tone(samples: &mut Vec<i16>, hertz: f64, millis: u32) {
    let count = RATE * millis / 1_000;
    let step = std::f64::consts::TAU * hertz / f64::from(RATE);
    samples.extend((0..count).map(|n| ((step * f64::from(n)).sin() * 11_000.0) as i16));
}

/// The pitch of a tone in hertz, from how often it crosses zero; 0 for silence.
#[must_use]
pub fn pitch(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let crossings = samples.array_windows().filter(|[one, next]| (*one < 0) != (*next < 0)).count();
    crossings as f64 / 2.0 * f64::from(RATE) / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_the_file() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let file = write(&samples);
        assert_eq!(file.len(), HEADER_LEN + 10);
        assert_eq!(read(&file), samples);
    }

    #[test]
    fn pitch_of_a_tone_is_heard_within_five_hertz() {
        for hertz in [400.0, 1_000.0, 1_975.0] {
            let mut samples = Vec::new();
            add_tone(&mut samples, hertz, 200);
            assert!((pitch(&samples) - hertz).abs() < 5.0, "{hertz}: {}", pitch(&samples));
        }
    }

    #[test]
    fn any_bytes_can_be_read() {
        for bytes in [&b""[..], b"R", b"RIFF", b"not audio"] {
            let _ = pitch(&read(bytes));
        }
    }
}
