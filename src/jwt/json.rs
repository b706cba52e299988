//! JSON as a token may have it: one object, each name once, within limits. Lax parsers take the last of two members, or half
//! a surrogate, and two that differ are an attack (RFC 8725 section 2.4 and 3.7).

use crate::jwt::{Fault, MAX_DEPTH, MAX_ELEMENTS, MAX_MEMBERS, MAX_NUMBER_LEN};

/// A value of JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that is written as an integer and is one of 64 bits.
    Integer(i64),
    /// Any other number, as it was written.
    Number(String),
    /// A text, unescaped.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a text or of a list of nothing but texts.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::List(list) => list.iter().map(Self::as_text).collect(),
            _ => None,
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => out.push_str(&value.to_string()),
            Self::Number(written) => out.push_str(written),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::List(list) => {
                out.push('[');
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out),
        }
    }
}

/// A text in its quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An object: names and values in their order, each name once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// The member of that exact name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// That no member has one of these names but for the case of its letters.
    pub(super) fn no_variants(&self, names: &[&str]) -> Result<(), Fault> {
        let is_variant = |name: &String| names.iter().any(|known| name != known && name.eq_ignore_ascii_case(known));
        if self.0.iter().any(|(name, _)| is_variant(name)) { Err(Fault::NameVariant) } else { Ok(()) }
    }

    /// Whether there is a member of that exact name, whatever its value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The members in their order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(&quoted(name));
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}

/// Reads one object and nothing after it.
///
/// # Errors
/// What is wrong with it, or which limit it is over. Memory and time are in proportion to its length.
pub fn object(bytes: &[u8]) -> Result<Object, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::JsonEncoding)?;
    if text.starts_with('\u{feff}') {
        return Err(Fault::JsonEncoding);
    }
    let mut reader = Reader { text, at: 0 };
    reader.space();
    if reader.peek() != Some(b'{') {
        // Whatever else it may be: if it is JSON at all, it is not what belongs here.
        reader.value(0)?;
        return Err(Fault::JsonNotObject);
    }
    let object = reader.object(1)?;
    reader.space();
    if reader.at == text.len() { Ok(object) } else { Err(Fault::JsonSyntax) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Fault> {
        let byte = self.peek().ok_or(Fault::JsonSyntax)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(Fault::JsonSyntax) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        if !self.rest().starts_with(word) {
            return Err(Fault::JsonSyntax);
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        match self.peek().ok_or(Fault::JsonSyntax)? {
            b'{' => self.object(depth + 1).map(Value::Object),
            b'[' => self.list(depth + 1).map(Value::List),
            b'"' => self.string().map(Value::Text),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::JsonLimits);
        }
        self.expect(b'{')?;
        let mut members: Vec<(String, Value)> = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(Fault::JsonDuplicate);
            }
            if members.len() == MAX_MEMBERS {
                return Err(Fault::JsonLimits);
            }
            self.space();
            self.expect(b':')?;
            self.space();
            let value = self.value(depth)?;
            members.push((name, value));
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(Object(members)),
                _ => return Err(Fault::JsonSyntax),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::JsonLimits);
        }
        self.expect(b'[')?;
        let mut list = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(list);
        }
        loop {
            if list.len() == MAX_ELEMENTS {
                return Err(Fault::JsonLimits);
            }
            self.space();
            list.push(self.value(depth)?);
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Ok(list),
                _ => return Err(Fault::JsonSyntax),
            }
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.bytes().position(|c| c < 0x20 || c == b'"' || c == b'\\').ok_or(Fault::JsonSyntax)?;
            // The position is that of an ASCII byte, and so between two characters.
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.next()? {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(Fault::JsonSyntax),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                if !(0xd800..0xe000).contains(&first) {
                    return char::from_u32(first).ok_or(Fault::JsonSurrogate);
                }
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(Fault::JsonSurrogate);
                }
                let second = self.hex()?;
                if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
                    return Err(Fault::JsonSurrogate);
                }
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Fault::JsonSurrogate)?
            }
            _ => return Err(Fault::JsonSyntax),
        })
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let mut value = 0;
        for _ in 0..4 {
            value = value << 4 | char::from(self.next()?).to_digit(16).ok_or(Fault::JsonSyntax)?;
        }
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        let negative = self.take(b'-');
        let zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (zero && digits > 1) {
            return Err(Fault::JsonSyntax);
        }
        let mut integer = !(negative && zero);
        if self.take(b'.') {
            integer = false;
            if self.digits() == 0 {
                return Err(Fault::JsonSyntax);
            }
        }
        if self.take(b'e') || self.take(b'E') {
            integer = false;
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(Fault::JsonSyntax);
            }
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        if let Some(whole) = integer.then(|| written.parse().ok()).flatten() {
            return Ok(Value::Integer(whole));
        }
        // What is beyond a double is infinite to one parser and an error to another (RFC 8259 section 6).
        if written.len() > MAX_NUMBER_LEN || !written.parse().is_ok_and(f64::is_finite) {
            return Err(Fault::JsonLimits);
        }
        Ok(Value::Number(written.to_owned()))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
