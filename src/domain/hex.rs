//! Hexadecimal of what is public: hashes, fingerprints, digests. A pepper's text is made and read where it is wiped.

use std::fmt::Write as _;

/// Lower-case digits.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// From pairs of digits of either case; none if it is not that.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs
        .remainder()
        .is_empty()
        .then(|| pairs.map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Exactly `N` bytes, from pairs of digits of either case; none if it is not that.
pub fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        assert_eq!(decode("0aFF"), Some(vec![10, 255]));
        for wrong in ["0", "0g", "é0", " 00"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        assert_eq!(array("0aff"), Some([10, 255]));
        for wrong in ["0a", "0aff00", "0afg", ""] {
            assert_eq!(array::<2>(wrong), None, "{wrong}");
        }
    }
}
