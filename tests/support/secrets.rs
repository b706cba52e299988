//! Finding secrets where none may be. Any eight consecutive characters of a secret part are a find.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// So many consecutive characters are a find.
pub const GRAM: usize = 8;

/// The secrets of a test, shared by all who make or look for them.
#[derive(Clone, Default)]
pub struct Canaries {
    grams: Arc<Mutex<HashMap<[u8; GRAM], String>>>,
}

impl Canaries {
    /// Registers the secret part of something: ids and prefixes may be seen.
    pub fn add(&self, name: &str, secret: &str) {
        assert!(secret.len() >= GRAM, "{name} is too short to be told from chance");
        let mut grams = self.grams.lock().unwrap();
        for gram in secret.as_bytes().windows(GRAM) {
            grams.insert(gram.try_into().unwrap(), name.to_owned());
        }
    }

    /// Random text, registered.
    pub fn make(&self, name: &str, length: usize) -> String {
        let text = random_text(length);
        self.add(name, &text);
        text
    }

    /// The name of a secret of which `haystack` holds a part, and where.
    pub fn find(&self, haystack: &[u8]) -> Option<(String, usize)> {
        let grams = self.grams.lock().unwrap();
        let mut windows = haystack.windows(GRAM).enumerate();
        windows.find_map(|(at, gram)| grams.get(gram).map(|name| (name.clone(), at)))
    }

    /// Panics where a part of any secret is found.
    pub fn assert_absent(&self, place: &str, haystack: &[u8]) {
        if let Some((name, at)) = self.find(haystack) {
            let from = at.saturating_sub(100);
            let before = String::from_utf8_lossy(&haystack[from..at]);
            panic!("{place}: a part of {name} at byte {at}, after {before:?}");
        }
    }

    /// Searches every file below `dir`, and returns how many bytes that were.
    pub fn assert_absent_below(&self, dir: &Path) -> usize {
        let mut seen = 0;
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                seen += self.assert_absent_below(&path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                self.assert_absent(&path.display().to_string(), &bytes);
                seen += bytes.len();
            }
        }
        seen
    }
}

/// Panics where `haystack` holds eight consecutive characters of `secret`.
pub fn assert_no_secret(haystack: impl AsRef<[u8]>, secret: &str) {
    let canaries = Canaries::default();
    canaries.add("the secret", secret);
    canaries.assert_absent("the text", haystack.as_ref());
}

/// Base62 text that nothing else contains.
pub fn random_text(length: usize) -> String {
    use latchkey::clock::Entropy as _;
    let mut bytes = vec![0; length];
    latchkey::clock::SystemEntropy.fill(&mut bytes).unwrap();
    bytes.iter().map(|b| char::from(latchkey::domain::ids::BASE62[usize::from(b % 62)])).collect()
}

#[test]
fn eight_characters_are_a_find_and_seven_are_not() {
    let canaries = Canaries::default();
    canaries.add("key", "0123456789abcdef");
    assert_eq!(canaries.find(b"xx 3456789 yy"), None);
    assert_eq!(canaries.find(b"xx 3456789a yy"), Some(("key".to_owned(), 3)));
}
