//! Vectors of other implementations: OpenBSD's bcrypt, the Argon2 reference, Python's `hashlib`.

use super::*;

const KNOWN: &[(&str, &str)] = &[
    ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"),
    ("password", "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ"),
    ("password", "$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$BVMRKqdiVYikKAaPR1wucsKUKvw4TuPLkdEYtoSHas4"),
    ("password", "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHRzYWx0c2FsdA$8nX7hwFEzIB8aPajJTYK8weHQc5Ngz0pFVAKvSu4jQA"),
    (
        "password",
        "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHRzYWx0c2FsdA$715rqIr5dXOVPpBhqqsugl037zT5bWJTWYmZtIcK8hBnisKpwfY7kokvwjDrNHqHhF50Pb7MD6HvkJwiDQw4ww",
    ),
];

#[test]
fn r6_each_kind_proves_its_secret_and_no_other() {
    for (secret, phc) in KNOWN {
        check(phc).unwrap_or_else(|error| panic!("{phc}: {error}"));
        assert_eq!(verify(phc, secret.as_bytes()), Ok(true), "{phc}");
        assert_eq!(verify(phc, b"Password"), Ok(false), "{phc}");
        assert_eq!(verify(phc, b""), Ok(false), "{phc}");
    }
}

#[test]
fn a4_what_asks_for_too_much_or_too_little_is_refused_unread() {
    let costly = [
        "$2b$13$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$scrypt$ln=17,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$scrypt$ln=300,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$scrypt$ln=10,r=8,p=3$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$pbkdf2-sha256$i=1200001$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$pbkdf2-sha256$i=999$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    ];
    for phc in costly {
        assert_eq!(check(phc), Err(HashError::Cost), "{phc}");
        assert_eq!(verify(phc, b"x"), Err(HashError::Cost), "{phc}");
    }
    let unknown = [
        "",
        "plain",
        "$1$abc$def",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$short",
        "$2b$xx$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$pbkdf2$i=1000$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$scrypt$ln=10,r=8$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
    ];
    for phc in unknown {
        assert_eq!(check(phc), Err(HashError::Phc), "{phc}");
    }
}

#[test]
fn a_secret_that_bcrypt_would_cut_off_is_refused() {
    let long = [b'a'; 73];
    let phc = bcrypt::hash(&long[..72], 4).unwrap();
    assert_eq!(verify(&phc, &long[..72]), Ok(true));
    assert_eq!(verify(&phc, &long), Ok(false), "the same in its first 72 bytes");
}
