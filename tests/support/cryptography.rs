//! Every use of cryptography, and how each would be replaced (control F4). `docs/CRYPTOGRAPHY.md` is made from this table;
//! numbers come from the code's own constants, and `tests/generated.rs` compares both with the sources.

use latchkey::domain::algorithm::Algorithm;
use latchkey::domain::imported::HmacKeyId;
use latchkey::domain::key_format::{CHECK_LEN, SECRET_LEN};
use latchkey::jwt::jwk::MIN_SECRET_BITS;
use latchkey::jwt::rsa::{MAX_BITS, MIN_BITS};
use latchkey::verify::argon::{Cost, DEFAULT_COST, MAX_COST};
use latchkey::verify::imported::HmacKey;
use latchkey::verify::subject::KEY_LEN;
use latchkey::verify::tag::PEPPER_LEN;

/// What a large quantum computer would do to a use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quantum {
    /// Symmetric or a hash, of a size that Grover's search does not bring down.
    Holds,
    /// Falls to Shor's algorithm, and what was recorded before is lost with it.
    Falls,
    /// Falls, but only while it is in use: what was proven or decided before stays so.
    FallsLater,
    /// Nothing rests on it.
    None,
}

impl Quantum {
    pub fn says(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Falls => "falls, and recordings with it",
            Self::FallsLater => "falls, from that day on",
            Self::None => "nothing rests on it",
        }
    }
}

/// One use.
pub struct Use {
    pub purpose: &'static str,
    pub algorithm: String,
    /// The key: how long, and where it is.
    pub key: String,
    /// What inputs are told apart by; each carries its version.
    pub domains: &'static [&'static str],
    pub crates: &'static [&'static str],
    pub files: &'static [&'static str],
    pub quantum: Quantum,
    pub migration: &'static str,
}

/// Crates whose every use must be in the table. `rustls`'s own `aws_lc_rs` module counts as that crate.
pub const CRATES: &[&str] = &[
    "argon2",
    "aws_lc_rs",
    "bcrypt",
    "crc32fast",
    "getrandom",
    "hmac",
    "jsonwebtoken",
    "pbkdf2",
    "rcgen",
    "region",
    "rustls",
    "rustls_pki_types",
    "scrypt",
    "secrecy",
    "sha2",
    "subtle",
    "tokio_rustls",
    "webpki",
    "webpki_roots",
    "zeroize",
];

/// Programs that do cryptography for us, outside of `src`.
pub const PROGRAMS: &[&str] = &["openssl", "sha256sum"];

/// Most that another system's hash may ask for; `verify::slow` is asked whether that is so.
pub const BCRYPT_COST: u32 = 12;
pub const SCRYPT_LN: u8 = 16;
pub const PBKDF2_ROUNDS: u32 = 1_200_000;
/// Bytes of the salt and the output of our own Argon2id hashes; one is made and measured.
pub const ARGON2_SALT: usize = 16;
pub const ARGON2_OUTPUT: usize = 32;

const PEPPER_ROTATION: &str = "A row names the pepper that it is under by a fingerprint. A successor is another domain version with another fingerprint, \
     and comes in as a rotation does (`latchkey pepper rotate`): both are held, credentials move at their next use, `pepper \
     status` counts what has not, `pepper retire` ends it.";

fn cost(cost: Cost) -> String {
    format!("m={} KiB, t={}, p={}", cost.memory_kib, cost.passes, cost.lanes)
}

fn pepper() -> String {
    format!("pepper, {PEPPER_LEN} bytes; in the pepper's source (a file, a variable, a command), never in the database")
}

fn subject_key() -> String {
    format!(
        "key of subject hashes, {KEY_LEN} bytes; in `subject.key`, mode 0600, beside the database or where `links.key_file` \
         says, never in the database. Read when it is used, then dropped"
    )
}

const SUBJECT_REPLACEMENT: &str = "A subject is kept nowhere, so that no row can be moved by itself: a successor is another domain version under another key, \
     beside this one; links move as their subjects are seen again, or are added anew from where they came from.";

const ISSUER_REPLACEMENT: &str = "All that is sealed is in the row: a successor is another domain version, by which each row is sealed anew from what it \
     says, while the old one is still believed.";

const TOKEN_REPLACEMENT: &str = "Tokens live for minutes: a successor is another domain version, by which keys' rows are sealed anew and tokens from \
     their next issue on, while the old one is still believed for a day.";

/// The suites and groups of the one TLS provider, in its order.
fn tls() -> String {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let names = |names: Vec<String>| names.join(", ");
    let suites = names(provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect());
    let groups = names(provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect());
    format!("TLS 1.3 and 1.2. Suites: {suites}. Key exchange: {groups}")
}

/// The whole inventory.
pub fn inventory() -> Vec<Use> {
    [kept(), linked(), signed(), imported(), tokens(), cached(), recorded(), carried(), released(), held()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is stored of a secret.
fn kept() -> Vec<Use> {
    vec![
        Use {
            purpose: "Randomness: secrets, salts, peppers, ids, the cache's key",
            algorithm: format!(
                "the kernel's generator (getrandom). A secret is {SECRET_LEN} characters of 62, uniformly: {:.2} bits",
                f64::from(u32::try_from(SECRET_LEN).unwrap()) * 62_f64.log2()
            ),
            key: "none of ours".to_owned(),
            domains: &[],
            crates: &["getrandom"],
            files: &["src/clock.rs"],
            quantum: Quantum::Holds,
            migration: "One implementation of `clock::Entropy`; lint and test keep every other use out. Keys of TLS and of the \
                        trail's signer are made by aws-lc's own generator, which the library replaces.",
        },
        Use {
            purpose: "The durable record of a secret",
            algorithm: format!(
                "Argon2id v19 (RFC 9106), {}; at most {}; salt {ARGON2_SALT} bytes, output {ARGON2_OUTPUT} bytes",
                cost(DEFAULT_COST),
                cost(MAX_COST)
            ),
            key: "none".to_owned(),
            domains: &[],
            crates: &["argon2"],
            files: &["src/verify/argon.rs"],
            quantum: Quantum::Holds,
            migration: "The PHC string names algorithm, version and cost, so that old and new hashes stand side by side. A higher \
                        cost holds for new keys at once; a proven key can be hashed anew at its next use, as imported ones are.",
        },
        Use {
            purpose: "The tag by which a presented key or operator token is decided",
            algorithm: "HMAC-SHA-256 (RFC 2104, FIPS 198-1) over kind, tenant, id and the text".to_owned(),
            key: pepper(),
            domains: &["latchkey tag v1"],
            crates: &["hmac", "sha2"],
            files: &["src/verify/tag.rs"],
            quantum: Quantum::Holds,
            migration: PEPPER_ROTATION,
        },
        Use {
            purpose: "MACs over the rows of credentials and operators, and over the declaration that a pepper is lost",
            algorithm: "HMAC-SHA-256 over every asserted field".to_owned(),
            key: pepper(),
            domains: &[
                "latchkey row v1",
                "latchkey credential row v1",
                "latchkey operator row v1",
                "latchkey pepper loss v1",
            ],
            crates: &["hmac", "sha2"],
            files: &["src/verify/tag.rs"],
            quantum: Quantum::Holds,
            migration: PEPPER_ROTATION,
        },
        Use {
            purpose: "The public name of a pepper",
            algorithm: "HMAC-SHA-256 over nothing, its first 16 bytes".to_owned(),
            key: pepper(),
            domains: &["latchkey pepper fingerprint v1"],
            crates: &["hmac", "sha2"],
            files: &["src/verify/tag.rs"],
            quantum: Quantum::Holds,
            migration: PEPPER_ROTATION,
        },
    ]
}

/// Identities of other systems.
fn linked() -> Vec<Use> {
    let use_of = |purpose, algorithm: &str, domains, migration| Use {
        purpose,
        algorithm: algorithm.to_owned(),
        key: subject_key(),
        domains,
        crates: &["hmac", "sha2"],
        files: &["src/verify/subject.rs"],
        quantum: Quantum::Holds,
        migration,
    };
    vec![
        use_of(
            "Links: what the subject of an outside identity is found by",
            "HMAC-SHA-256 over tenant, issuer and subject",
            &["latchkey subject v1"],
            SUBJECT_REPLACEMENT,
        ),
        use_of(
            "MACs over the rows of links",
            "HMAC-SHA-256 over every asserted field",
            &["latchkey link v1", "latchkey link row v1"],
            SUBJECT_REPLACEMENT,
        ),
        use_of(
            "MACs over the rows of trusted issuers and over the keys that are kept of them",
            "HMAC-SHA-256 over every asserted field",
            &["latchkey issuer v1", "latchkey issuer row v1", "latchkey issuer keys v1"],
            ISSUER_REPLACEMENT,
        ),
        use_of(
            "The public name of a secret that an issuer signs with",
            "HMAC-SHA-256 over the issuer's id and the secret",
            &["latchkey issuer secret v1"],
            ISSUER_REPLACEMENT,
        ),
        use_of(
            "MACs over the rows of our own tokens, and of the public halves of the keys that sign them",
            "HMAC-SHA-256 over every asserted field",
            &["latchkey token v1", "latchkey token row v1", "latchkey signing key v1", "latchkey signing key row v1"],
            TOKEN_REPLACEMENT,
        ),
        use_of(
            "The public name of the key of subject hashes",
            "HMAC-SHA-256 over nothing, its first 16 bytes",
            &["latchkey subject key fingerprint v1"],
            SUBJECT_REPLACEMENT,
        ),
        use_of(
            "Admin RPC: whether a repeated request id means the same link",
            "HMAC-SHA-256 over the request's SHA-256, so that nobody tries subjects against what is kept of it",
            &["latchkey link request v1"],
            "Kept for a week: after a change, a repeated request is refused as another one.",
        ),
    ]
}

/// Our own tokens.
fn signed() -> Vec<Use> {
    let signer = Use {
        purpose: "Our own tokens: their signature",
        algorithm: "Ed25519 (RFC 8032, RFC 8037), or ECDSA on P-256 with SHA-256 (FIPS 186-5)".to_owned(),
        key: "a private key of its own, made by the library, PKCS#8 in `token-KID.key`, mode 0600, beside the database or where \
              `tokens.key_dir` says, never in the database; KID is the SHA-256 thumbprint of its public half (RFC 7638). Read \
              when something is signed, then dropped"
            .to_owned(),
        domains: &[],
        crates: &["aws_lc_rs", "sha2"],
        files: &["src/issue/keys.rs"],
        quantum: Quantum::FallsLater,
        migration: "`latchkey token rotate-key --alg …` makes a key of another algorithm; the old one is believed until its last \
                    tokens have ended, a day at most.",
    };
    let row = Use {
        purpose: "Our own tokens: what the row of one is found by, and what is kept of all that it says",
        algorithm: "SHA-256 over the issuer and the `jti`, 128 random bits; over the payload".to_owned(),
        key: "none".to_owned(),
        domains: &["latchkey token id v1"],
        crates: &["sha2"],
        files: &["src/domain/token.rs"],
        quantum: Quantum::Holds,
        migration: TOKEN_REPLACEMENT,
    };
    vec![signer, row]
}

/// Keys that other systems made.
fn imported() -> Vec<Use> {
    vec![
        Use {
            purpose: "Imported keys: what one is found by, and its tag",
            algorithm: "HMAC-SHA-256 over the method or the digest's kind, and the digest".to_owned(),
            key: pepper(),
            domains: &["latchkey handle v1", "latchkey imported tag v1"],
            crates: &["hmac", "sha2"],
            files: &["src/verify/tag.rs"],
            quantum: Quantum::Holds,
            migration: PEPPER_ROTATION,
        },
        Use {
            purpose: "Imported keys: the other system's digest, computed from what is presented",
            algorithm: format!(
                "SHA-256, SHA-512 (FIPS 180-4), salted or not, and HMAC with either; the constant key's name is the first \
                 {} bytes of an HMAC-SHA-256",
                size_of::<HmacKeyId>()
            ),
            key: format!(
                "the other system's constant key, {} to {} bytes, in the pepper's source; none for digests",
                HmacKey::LENGTHS.start(),
                HmacKey::LENGTHS.end()
            ),
            domains: &["latchkey import hmac key v1"],
            crates: &["hmac", "sha2"],
            files: &["src/verify/imported.rs"],
            quantum: Quantum::Holds,
            migration: "The row's text names the method (`sha256`, `hmac-sha512:…`), under the row's MAC. Salted and slow ones are \
                        kept our way after their first use; `latchkey key list --weak` says which are not yet. Rotating a key ends \
                        it for good.",
        },
        Use {
            purpose: "Imported keys: the other system's slow hash, until the first use",
            algorithm: format!(
                "Argon2i, Argon2d, Argon2id up to {}; bcrypt up to cost {BCRYPT_COST}; scrypt up to ln={SCRYPT_LN}, r=8, p=2; \
                 PBKDF2 with HMAC-SHA-256 or -512 up to {PBKDF2_ROUNDS} rounds. Only verified, never made",
                cost(MAX_COST)
            ),
            key: "none".to_owned(),
            domains: &[],
            crates: &["argon2", "bcrypt", "pbkdf2", "scrypt", "sha2"],
            files: &["src/verify/slow.rs"],
            quantum: Quantum::Holds,
            migration: "Goes away by itself: after its first use a key is kept by its own digest. A kind is dropped by refusing it at \
                        import, once `latchkey key list --weak` lists none of it.",
        },
    ]
}

/// What is in memory alone, and what only tells things apart.
fn cached() -> Vec<Use> {
    vec![
        Use {
            purpose: "What a cached decision is found by",
            algorithm: "HMAC-SHA-256 over the whole credential".to_owned(),
            key: "64 random bytes, made at the start of a process, in memory alone".to_owned(),
            domains: &[],
            crates: &["hmac", "sha2"],
            files: &["src/authenticate/cache.rs"],
            quantum: Quantum::Holds,
            migration: "Nothing is stored: another algorithm holds from the next start.",
        },
        Use {
            purpose: "Against which stored hash a secret was proven, in memory",
            algorithm: "SHA-256 of the PHC string".to_owned(),
            key: "none".to_owned(),
            domains: &[],
            crates: &["sha2"],
            files: &["src/verify/api_key.rs"],
            quantum: Quantum::Holds,
            migration: "Nothing is stored: another algorithm holds from the next start.",
        },
        Use {
            purpose: "Admin RPC: whether a repeated request id means the same request; of which listing a page token is",
            algorithm: "SHA-256 of the request; of the listing, its first 8 bytes, which grant nothing".to_owned(),
            key: "none".to_owned(),
            domains: &[],
            crates: &["sha2"],
            files: &["src/transport/admin/mod.rs", "src/transport/admin/page.rs"],
            quantum: Quantum::Holds,
            migration: "Request ids are remembered for a week and page tokens live as long as a walk: after a change, a repeated \
                        request is refused as another one, and a walk begins anew.",
        },
        Use {
            purpose: "Studio page: what an operator's session is found by",
            algorithm: "SHA-256 of the session's handle, 128 random bits".to_owned(),
            key: "none; handles and their hashes are in memory alone, for five minutes".to_owned(),
            domains: &[],
            crates: &["sha2"],
            files: &["src/transport/admin/pages/session.rs"],
            quantum: Quantum::Holds,
            migration: "Nothing is stored: another algorithm holds from the next start.",
        },
        Use {
            purpose: "The checksum of a key: no cryptography, it only tells mistyped and made-up keys",
            algorithm: format!("CRC-32 in {CHECK_LEN} characters"),
            key: "none".to_owned(),
            domains: &[],
            crates: &["crc32fast"],
            files: &["src/domain/key_format.rs"],
            quantum: Quantum::None,
            migration: "Part of the keys' form: another checksum is another form, told by its length or prefix.",
        },
    ]
}

/// Tokens that others sign.
fn tokens() -> Vec<Use> {
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ");
    vec![
        Use {
            purpose: "JWTs of trusted issuers: whether a key of the issuer signed it",
            algorithm: format!("{names} (RFC 7518, RFC 8037), of them those that the issuer's record allows"),
            key: format!(
                "the issuer's: RSA of {MIN_BITS} to {MAX_BITS} bits, P-256, P-384, Ed25519, or a secret of {MIN_SECRET_BITS} bits and \
                 as long as the hash. Public keys from its JWK set, a secret from a file of its own, never in the database"
            ),
            domains: &[],
            crates: &["aws_lc_rs", "jsonwebtoken"],
            files: &["src/jwt/jwk.rs", "src/jwt/keys.rs", "src/jwt/signature.rs"],
            quantum: Quantum::FallsLater,
            migration: "A token lives for minutes. As soon as providers sign with ML-DSA (FIPS 204) and the library verifies it, it is one more algorithm that a record may allow.",
        },
        Use {
            purpose: "By what an issuer's key is told from others (RFC 7638)",
            algorithm: "SHA-256".to_owned(),
            key: "none".to_owned(),
            domains: &[],
            crates: &["sha2"],
            files: &["src/jwt/keys.rs"],
            quantum: Quantum::Holds,
            migration: "Nothing is stored: another algorithm holds from the next start.",
        },
    ]
}

/// Logs that show what was done to them.
fn recorded() -> Vec<Use> {
    vec![
        Use {
            purpose: "The chain of the audit trail",
            algorithm: "SHA-256 over the hash before and the event".to_owned(),
            key: "none".to_owned(),
            domains: &["latchkey audit chain v1", "latchkey audit event v1"],
            crates: &["sha2"],
            files: &["src/audit/chain.rs"],
            quantum: Quantum::Holds,
            migration: "Events carry the version of their encoding in the hash. A successor starts with an event of its own, signed at the \
                        last one of the old chain; a verifier knows both.",
        },
        Use {
            purpose: "Signed checkpoints of the audit trail",
            algorithm: "Ed25519 (RFC 8032); the key is made by the library's own generator".to_owned(),
            key: "32 bytes private, PKCS#8; in `audit.key`, mode 0600, beside the database or where `audit.key_file` says. Read to sign, then \
                  dropped"
                .to_owned(),
            domains: &["latchkey audit checkpoint v1"],
            crates: &["aws_lc_rs"],
            files: &["src/audit/checkpoint.rs", "src/audit/key.rs"],
            quantum: Quantum::FallsLater,
            migration: "The line of a checkpoint has its version. The next would carry ML-DSA (FIPS 204) beside Ed25519, and a change of key is \
                        signed by both keys (`latchkey audit rotate-key`). An anchor that was written elsewhere in time stays proof: to \
                        forge it is to change that place, whatever can be signed.",
        },
        Use {
            purpose: "Signed reports of the checklist",
            algorithm: "Ed25519 (RFC 8032) over the report as it stands in its file".to_owned(),
            key: "as of the checkpoints".to_owned(),
            domains: &["latchkey checklist v1"],
            crates: &["aws_lc_rs"],
            files: &["src/audit/report.rs", "src/audit/key.rs"],
            quantum: Quantum::FallsLater,
            migration: "A report has its version and names its algorithm. The next would carry ML-DSA (FIPS 204) beside Ed25519. What an old one \
                        said stands in the trail as well (`checklist.run`), under anchors that were kept elsewhere.",
        },
        Use {
            purpose: "The chain of the decision log",
            algorithm: "SHA-256 over the hash before and the row".to_owned(),
            key: "none".to_owned(),
            domains: &["latchkey decision v1", "latchkey decision v2"],
            crates: &["sha2"],
            files: &["src/store/sqlite/decisions/row.rs"],
            quantum: Quantum::Holds,
            migration: "A row has the form of its hash; form 2 came in that way, and rows of form 1 are still verified.",
        },
    ]
}

/// What goes over a wire.
fn carried() -> Vec<Use> {
    let ours = rcgen::KeyPair::generate().unwrap();
    vec![
        Use {
            purpose: "AutoMTLS with a host that starts us: both certificates pinned",
            algorithm: format!("{}. Our certificate: {:?}", tls(), ours.algorithm()),
            key: "made at the start of a process, in memory alone".to_owned(),
            domains: &[],
            crates: &["aws_lc_rs", "rcgen", "rustls", "tokio_rustls"],
            files: &[
                "src/transport/go_plugin/broker.rs",
                "src/transport/go_plugin/conn.rs",
                "src/transport/go_plugin/listener.rs",
                "src/transport/go_plugin/tls.rs",
            ],
            quantum: Quantum::Falls,
            migration: "Between two processes of one machine, where nobody records. X25519MLKEM768 is offered, after the classic groups: \
                        rustls's feature `prefer-post-quantum` puts it first. Signatures follow when rustls and Go have ML-DSA in \
                        certificates; the key lives as long as the process, so that nothing is to be replaced.",
        },
        Use {
            purpose: "The host's half of it, for the demo and tests",
            algorithm: "as above; its certificate is PKCS_ECDSA_P521_SHA512, as Go hosts make theirs".to_owned(),
            key: "made for each start, in memory alone".to_owned(),
            domains: &[],
            crates: &["aws_lc_rs", "rcgen", "rustls", "tokio_rustls"],
            files: &["src/plugin_client/identity.rs", "src/plugin_client/launch.rs", "src/plugin_client/wire.rs"],
            quantum: Quantum::Falls,
            migration: "Follows what Go hosts do.",
        },
        Use {
            purpose: "TLS of `latchkey serve`, with client certificates for operators",
            algorithm: "as above; certificates and keys are the operator's, of any kind that rustls verifies. An operator's row names the \
                        SHA-256 of a certificate's public key"
                .to_owned(),
            key: "the operator's; in the files that the configuration names, read at the start and when they change".to_owned(),
            domains: &[],
            crates: &["rustls", "rustls_pki_types", "sha2", "tokio_rustls", "webpki"],
            files: &["src/transport/http/mod.rs", "src/transport/tls_files.rs"],
            quantum: Quantum::Falls,
            migration: "Key exchange as above: the library's, and the first to go, since this wire may be recorded. Certificates are replaced by \
                        the operator; an operator's new key is one change of its row.",
        },
        Use {
            purpose: "The command line as a client of the admin RPC, and the certificates that it reads for operators",
            algorithm: "as above".to_owned(),
            key: "the operator's client key, in the file that is named; authorities from a file or the system".to_owned(),
            domains: &[],
            crates: &["rustls", "tokio_rustls"],
            files: &["src/cli/operators.rs", "src/cli/remote.rs"],
            quantum: Quantum::Falls,
            migration: "Key exchange as above.",
        },
        Use {
            purpose: "Fetching the public keys of outside issuers",
            algorithm: "as above; certificates of any kind that rustls verifies, for the host's name".to_owned(),
            key: "none of ours; authorities are Mozilla's list, compiled in, and those of `jwks.ca_file`".to_owned(),
            domains: &[],
            crates: &["rustls", "tokio_rustls", "webpki_roots"],
            files: &["src/jwks/fault.rs", "src/jwks/outbound.rs", "src/jwks/tls.rs"],
            quantum: Quantum::FallsLater,
            migration: "What is fetched is public: a recording is worth nothing, a forged certificate is. Authorities follow with the \
                        library's list at each release, signatures when rustls verifies ML-DSA in certificates.",
        },
    ]
}

/// What a release is known by.
fn released() -> Vec<Use> {
    vec![Use {
        purpose: "Releases: sums of what is in one, and the signature over them",
        algorithm: "SHA-256, and Ed25519 over `SHA256SUMS`".to_owned(),
        key: "the releaser's, outside of the repository; given to `.ci/release --sign`".to_owned(),
        domains: &[],
        crates: PROGRAMS,
        files: &[".ci/release"],
        quantum: Quantum::FallsLater,
        migration: "A second signature beside the first (ML-DSA or SLH-DSA, FIPS 204 and 205) as soon as the signing program has it. A build \
                    can be repeated byte for byte, which no forged signature changes.",
    }]
}

/// How secrets are held in memory.
fn held() -> Vec<Use> {
    vec![
        Use {
            purpose: "Comparing tags, MACs and hashes",
            algorithm: "in time that depends on lengths alone (`secret::equal_in_constant_time`)".to_owned(),
            key: "none".to_owned(),
            domains: &[],
            crates: &["subtle"],
            files: &["src/secret.rs"],
            quantum: Quantum::None,
            migration: "One function.",
        },
        Use {
            purpose: "Keeping the MAC states of the pepper and of the key of subject hashes out of swap",
            algorithm: "mlock, where the system lets us".to_owned(),
            key: format!("{}; {}", pepper(), subject_key()),
            domains: &[],
            crates: &["region"],
            files: &["src/verify/subject.rs", "src/verify/tag.rs"],
            quantum: Quantum::None,
            migration: "One call.",
        },
        Use {
            purpose: "Wiping our own copies of secrets",
            algorithm: "overwritten on drop".to_owned(),
            key: "none".to_owned(),
            domains: &[],
            crates: &["secrecy", "zeroize"],
            files: &[
                "src/admin/foreign.rs",
                "src/admin/formats.rs",
                "src/admin/import.rs",
                "src/cli/authenticate.rs",
                "src/cli/demo/stage.rs",
                "src/cli/demo/story.rs",
                "src/cli/init.rs",
                "src/cli/issuers/args.rs",
                "src/cli/keys.rs",
                "src/cli/lifecycle.rs",
                "src/cli/operators.rs",
                "src/cli/remote.rs",
                "src/cli/tokens.rs",
                "src/config/env.rs",
                "src/domain/key_format.rs",
                "src/issue/keys.rs",
                "src/issue/token.rs",
                "src/jwt/keys.rs",
                "src/secret.rs",
                "src/transport/admin/pages/mod.rs",
                "src/transport/admin/pages/output.rs",
                "src/transport/admin/pages/payload.rs",
                "src/transport/admin/pages/session.rs",
                "src/transport/admin/pages/table.rs",
                "src/transport/http/oauth.rs",
                "src/transport/oauth/answer.rs",
                "src/transport/oauth/client.rs",
                "src/transport/oauth/form.rs",
                "src/transport/oauth/mod.rs",
                "src/transport/plugin/call.rs",
                "src/transport/plugin/endpoints.rs",
                "src/transport/plugin/pre_auth.rs",
                "src/verify/argon.rs",
                "src/verify/imported.rs",
                "src/verify/issuer_secret.rs",
                "src/verify/pepper.rs",
                "src/verify/pool.rs",
                "src/verify/pool/job.rs",
                "src/verify/slow.rs",
            ],
            quantum: Quantum::None,
            migration: "`Secret` hides which crate does it.",
        },
    ]
}

/// Whether a source uses a crate.
pub fn uses(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let after = &text[at + name.len()..];
        let is_whole = !before.is_ascii_alphanumeric() && before != '_' && before != ':';
        is_whole && ["::", ";", " as "].iter().any(|follows| after.starts_with(follows))
    })
}

/// The domains that a source tells its inputs apart by.
pub fn domains(text: &str) -> Vec<String> {
    text.match_indices("b\"latchkey ").map(|(at, _)| text[at + 2..].split('"').next().unwrap().to_owned()).collect()
}

/// The page.
pub fn page() -> String {
    let mut page = String::from(
        "# Cryptography\n\nMade from `tests/support/cryptography.rs`; `tests/generated.rs` compares it with this page and with the sources: \
         no file may use\na cryptographic crate that its entry here does not name. What a large quantum computer would do to each use, and how \
         it would be\nreplaced, stands beside it.\n\n| use | a quantum computer |\n| --- | --- |\n",
    );
    let all = inventory();
    for one in &all {
        page += &format!("| {} | {} |\n", one.purpose, one.quantum.says());
    }
    for one in &all {
        let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        page += &format!("\n## {}\n\n- **Algorithm**: {}.\n- **Key**: {}.\n", one.purpose, one.algorithm, one.key);
        if !one.domains.is_empty() {
            page += &format!("- **Domains**: {}.\n", quoted(one.domains));
        }
        page += &format!("- **Where**: {}, with {}.\n", quoted(one.files), quoted(one.crates));
        page += &format!("- **Replacement**: {}\n", one.migration);
    }
    page
}
