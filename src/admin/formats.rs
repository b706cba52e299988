//! What the lines of an import are: our own JSON Lines, and what other systems export.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::admin::import::Entropy;
use crate::domain::hex;
use crate::domain::imported::{Algorithm, PREFIX_LENGTHS};
use crate::domain::{CredentialId, Environment};

/// The longest salt, in bytes.
const MAX_SALT: usize = 64;

/// Where lines come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `latchkey key export`, and what people write by hand.
    Latchkey,
    /// Kong's key-auth credentials: keys as they are, that somebody may have chosen.
    Kong,
    /// Tyk's keys, hashed with SHA-256.
    Tyk,
    /// Unkey's keys: SHA-256, base64.
    Unkey,
    /// `LiteLLM`'s virtual keys: SHA-256, hexadecimal.
    LiteLlm,
    /// AI Studio's own credentials: secrets as they are.
    AiStudio,
}

/// How the secret of a line is known.
pub enum Secret {
    /// By its digest.
    Digest(Algorithm, Zeroizing<Vec<u8>>),
    /// By its HMAC under the other system's constant key.
    Hmac(Algorithm, Zeroizing<Vec<u8>>),
    /// By its digest with a salt; found by its public beginning.
    Salted {
        /// The beginning.
        prefix: Vec<u8>,
        /// Of which kind.
        algorithm: Algorithm,
        /// The digest.
        digest: Zeroizing<Vec<u8>>,
        /// The salt.
        salt: Vec<u8>,
        /// Whether the salt stands before the key.
        first: bool,
    },
    /// By another system's slow hash; found by its public beginning.
    Slow {
        /// The beginning.
        prefix: Vec<u8>,
        /// The hash, as a PHC string or bcrypt's own.
        phc: String,
    },
    /// As it is.
    Key(Zeroizing<Vec<u8>>),
    /// One of our own keys, by its stored hash.
    Native {
        /// Its id.
        id: CredentialId,
        /// Its Argon2id hash.
        phc: String,
    },
}

/// A line, understood.
pub struct Line {
    /// How its secret is known.
    pub secret: Secret,
    /// How much chance is in it, where the line or the format says.
    pub entropy: Option<Entropy>,
    /// The host's id of its App.
    pub app: Option<u32>,
    /// The host's id of its User.
    pub user: Option<u32>,
    /// A name for people.
    pub label: String,
    /// Live or test.
    pub environment: Option<Environment>,
    /// What the gateway is told it may do.
    pub scopes: Vec<String>,
    /// The ranges it may be used from.
    pub cidrs: Vec<String>,
    /// First valid moment, milliseconds since the epoch.
    pub not_before_ms: Option<i64>,
    /// First invalid moment, milliseconds since the epoch.
    pub expires_at_ms: Option<i64>,
    /// Whether it is in force where it comes from.
    pub active: bool,
}

/// Understands a line. What is wrong is said without a word of what it holds.
///
/// # Errors
/// What is missing or malformed.
pub fn parse(format: Format, text: &[u8]) -> Result<Line, String> {
    let value: Value = serde_json::from_slice(text).map_err(|_| "not a JSON object".to_owned())?;
    let fields = Fields(value.as_object().ok_or("not a JSON object")?);
    let (secret, entropy) = match format {
        Format::Latchkey => native(&fields)?,
        Format::Kong => (Secret::Key(fields.secret("key")?), Some(Entropy::Low)),
        Format::Tyk => (digest(Algorithm::Sha256, fields.any(&["key_hash", "key"])?)?, Some(Entropy::High)),
        Format::Unkey => (digest(Algorithm::Sha256, fields.required("hash")?)?, Some(Entropy::High)),
        Format::LiteLlm => (digest(Algorithm::Sha256, fields.any(&["token", "hashed_token"])?)?, Some(Entropy::High)),
        Format::AiStudio => (Secret::Key(fields.secret("secret")?), Some(Entropy::High)),
    };
    let label = match format {
        Format::Kong => fields.text("consumer_username").or_else(|| fields.inside("consumer", "username")),
        Format::LiteLlm => fields.text("key_alias"),
        Format::Unkey => fields.text("name"),
        Format::Tyk => fields.text("alias"),
        Format::AiStudio => fields.text("name").or_else(|| fields.text("key_id")),
        Format::Latchkey => fields.text("label"),
    };
    let blocked = fields.flag("blocked").unwrap_or(false) || fields.flag("is_inactive").unwrap_or(false);
    let active = fields.flag("active").or_else(|| fields.flag("enabled")).unwrap_or(true);
    let environment = match fields.text("environment") {
        Some(text) => Some(Environment::parse(&text).ok_or("environment: live or test")?),
        None => None,
    };
    Ok(Line {
        secret,
        entropy,
        app: fields.number("app").or_else(|| fields.number("app_id")),
        user: fields.number("user").or_else(|| fields.number("user_id").filter(|_| format == Format::Latchkey)),
        label: label.unwrap_or_default(),
        environment,
        scopes: fields.texts("scopes")?,
        cidrs: fields.texts("cidrs")?,
        not_before_ms: fields.moment("not_before")?,
        expires_at_ms: fields.moment(match format {
            Format::Latchkey | Format::AiStudio => "expires_at",
            Format::Kong | Format::Tyk | Format::Unkey | Format::LiteLlm => "expires",
        })?,
        active: active && !blocked,
    })
}

fn native(fields: &Fields<'_>) -> Result<(Secret, Option<Entropy>), String> {
    let entropy = match fields.text("entropy").as_deref() {
        None => None,
        Some("high") => Some(Entropy::High),
        Some("low") => Some(Entropy::Low),
        Some(_) => return Err("entropy: high or low".to_owned()),
    };
    if let Some(phc) = fields.text("phc") {
        if fields.has("prefix") {
            return Ok((Secret::Slow { prefix: fields.prefix()?, phc }, entropy));
        }
        if !fields.has("credential_id") {
            return Err(format!("phc: a slow hash {NOT_FOUND}"));
        }
        let id = fields.required("credential_id")?.parse().map_err(|_| "credential_id: not an id of ours")?;
        return Ok((Secret::Native { id, phc }, entropy));
    }
    if fields.has("key") {
        return Ok((Secret::Key(fields.secret("key")?), entropy));
    }
    for &algorithm in Algorithm::ALL {
        let name = algorithm.as_str();
        if let Some(text) = fields.text(&format!("hmac_{name}")) {
            return Ok((Secret::Hmac(algorithm, digest_bytes(algorithm, text)?), entropy));
        }
        let Some(text) = fields.text(name) else { continue };
        let Some((salt, first)) = fields.salt()? else { return Ok((digest(algorithm, text)?, entropy)) };
        if !fields.has("prefix") {
            return Err(format!("{name}: a salted digest {NOT_FOUND}"));
        }
        let (prefix, digest) = (fields.prefix()?, digest_bytes(algorithm, text)?);
        return Ok((Secret::Salted { prefix, algorithm, digest, salt, first }, entropy));
    }
    Err("none of key, sha256, sha512, hmac_sha256, hmac_sha512, phc".to_owned())
}

const NOT_FOUND: &str = "cannot be found by what is presented: name the key's public beginning as prefix, or rotate the key, \
     or import it as it is";

/// Hexadecimal or base64, whichever has the right length.
fn digest_bytes(algorithm: Algorithm, text: String) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = Zeroizing::new(text);
    let length = algorithm.length();
    let of_length = |bytes: &Vec<u8>| bytes.len() == length;
    let base64 = || {
        let decoded = [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(&*text).ok());
        decoded.filter(of_length)
    };
    let bytes = hex::decode(&text)
        .filter(of_length)
        .or_else(base64)
        .ok_or_else(|| format!("not a {} digest in hexadecimal or base64", algorithm.as_str()))?;
    Ok(Zeroizing::new(bytes))
}

fn digest(algorithm: Algorithm, text: String) -> Result<Secret, String> {
    digest_bytes(algorithm, text).map(|digest| Secret::Digest(algorithm, digest))
}

struct Fields<'a>(&'a serde_json::Map<String, Value>);

impl Fields<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What everybody may see of a key.
    fn prefix(&self) -> Result<Vec<u8>, String> {
        let prefix = self.required("prefix")?.into_bytes();
        let fits = PREFIX_LENGTHS.contains(&prefix.len());
        if !fits || !prefix.iter().all(|c| c.is_ascii_graphic() && *c != b'.') {
            let (least, most) = (PREFIX_LENGTHS.start(), PREFIX_LENGTHS.end());
            return Err(format!("prefix: {least} to {most} printable characters without a dot"));
        }
        Ok(prefix)
    }

    /// A salt as text, hexadecimal or base64, and whether it stands before the key.
    fn salt(&self) -> Result<Option<(Vec<u8>, bool)>, String> {
        let salt = if let Some(text) = self.text("salt") {
            text.into_bytes()
        } else if let Some(text) = self.text("salt_hex") {
            hex::decode(&text).ok_or("salt_hex: hexadecimal digits")?
        } else if let Some(text) = self.text("salt_base64") {
            let decoded =
                [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(&text).ok());
            decoded.ok_or("salt_base64: base64")?
        } else if self.has("salt") {
            return Err("salt: text of at least one character".to_owned());
        } else {
            return Ok(None);
        };
        if salt.len() > MAX_SALT {
            return Err(format!("salt: at most {MAX_SALT} bytes"));
        }
        match self.text("salt_place").as_deref() {
            None | Some("before") => Ok(Some((salt, true))),
            Some("after") => Ok(Some((salt, false))),
            Some(_) => Err("salt_place: before or after".to_owned()),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn inside(&self, outer: &str, name: &str) -> Option<String> {
        self.0.get(outer).and_then(|value| value.get(name)).and_then(Value::as_str).map(str::to_owned)
    }

    fn required(&self, name: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| format!("no {name}"))
    }

    fn any(&self, names: &[&str]) -> Result<String, String> {
        names.iter().find_map(|name| self.text(name)).ok_or_else(|| format!("none of {}", names.join(", ")))
    }

    fn secret(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        self.required(name).map(|text| Zeroizing::new(text.into_bytes()))
    }

    fn number(&self, name: &str) -> Option<u32> {
        let value = self.0.get(name)?;
        value.as_u64().and_then(|n| u32::try_from(n).ok()).or_else(|| value.as_str()?.parse().ok())
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                texts.ok_or_else(|| format!("{name}: a list of texts"))
            }
            Some(_) => Err(format!("{name}: a list of texts")),
        }
    }

    /// RFC 3339, or seconds or milliseconds since the epoch; 0 and less mean never, as with Tyk.
    fn moment(&self, name: &str) -> Result<Option<i64>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                let number = number.as_i64().ok_or_else(|| format!("{name}: a whole number"))?;
                // Seconds go to the year 5138, where milliseconds begin in 1973.
                let ms = if number < 100_000_000_000 { number.saturating_mul(1000) } else { number };
                Ok(Some(ms).filter(|ms| *ms > 0))
            }
            Some(Value::String(text)) => {
                let moment: jiff::Timestamp = text.parse().map_err(|_| format!("{name}: a moment as in RFC 3339"))?;
                Ok(Some(moment.as_millisecond()))
            }
            Some(_) => Err(format!("{name}: a moment as in RFC 3339")),
        }
    }
}
