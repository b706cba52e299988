//! From what another system knew of a key to how it is found and proven here (rule R6).

use zeroize::Zeroizing;

use crate::admin::formats::Secret;
use crate::admin::import::Entropy;
use crate::admin::{AdminError, AdminResult, limits};
use crate::domain::imported::{Algorithm, LENGTHS, Method, Proof};
use crate::verify::keyring::Ring;
use crate::verify::{imported, slow};

/// How a key of another system will be found, and proven.
pub(super) struct Foreign {
    pub(super) found_by: Method,
    pub(super) value: Zeroizing<Vec<u8>>,
    pub(super) proof: Proof,
}

/// What the stored side of a line's key will be, under the other system's constant key where it needs one.
pub(super) fn foreign_of(secret: &Secret, entropy: Entropy, ring: &Ring) -> AdminResult<Foreign> {
    let prefix = |prefix: &[u8]| {
        let length = u8::try_from(prefix.len()).map_err(|_| limits::invalid("prefix", "too long"))?;
        Ok::<_, AdminError>((Method::Prefix(length), Zeroizing::new(prefix.to_vec())))
    };
    let (found_by, value, proof) = match secret {
        Secret::Native { .. } => return Err(limits::invalid("line", "a key of ours is found by its id")),
        Secret::Key(key) if !LENGTHS.contains(&key.len()) => {
            let problem = format!("a key of {} to {} characters", LENGTHS.start(), LENGTHS.end());
            return Err(limits::invalid("key", problem));
        }
        Secret::Key(key) if key.contains(&b'.') => {
            return Err(limits::invalid("key", "has a dot, and would be taken for a JWT"));
        }
        Secret::Key(key) => {
            (Method::Digest(Algorithm::Sha256), imported::digest(Algorithm::Sha256, &[key]), Proof::Found)
        }
        Secret::Digest(algorithm, digest) => (Method::Digest(*algorithm), digest.clone(), Proof::Found),
        Secret::Hmac(algorithm, digest) => {
            let [constant] = ring.hmac_keys() else {
                let problem = "needs its constant key: one hmac: line in the source of peppers (OPERATIONS.md)";
                return Err(limits::invalid("hmac", problem));
            };
            (Method::Hmac(*algorithm, constant.id()), digest.clone(), Proof::Found)
        }
        Secret::Salted { prefix: beginning, algorithm, salt, first, .. } => {
            let (found_by, value) = prefix(beginning)?;
            let proof = Proof::Salted { algorithm: *algorithm, salt: salt.clone().into(), first: *first };
            (found_by, value, proof)
        }
        Secret::Slow { prefix: beginning, phc } => {
            slow::check(phc)?;
            let (found_by, value) = prefix(beginning)?;
            (found_by, value, Proof::Key { high: entropy == Entropy::High })
        }
    };
    Ok(Foreign { found_by, value, proof })
}
