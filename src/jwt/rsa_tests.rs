//! Tests of which RSA keys are none.
use super::*;
use crate::domain::hex;

/// Of an ordinary key of 2048 bits, whose private half is nowhere.
const ORDINARY: &str = "90461e11b7e0e4daedefe3af5a731830ef88cd680e7f9e5a1b1e07dd348d8439da534228f9ebfb2299f1e966d37759c3d6580d6b6e00974c\
     5137e765fb39ccf3436b7779b11674bbe7a12a0e2e11db3c26fe4c9951c344eda3f348bb16cdfd5ff6ddf0709e8c4ec9239d02b47ba5ab4b\
     e3ca2df2030e9f65261b54c0be25541649f4d50a3ed2d811feb82f68d05b75afcfe0ea53863f4a02e872336154e7b32a57491d5d6ec1b150\
     36e7cb4473d5d1fc9108ad5e482b805591f72bcdd3193369935f782b026ff21f4c65a5d83789476fd3ca1a1f23bccacf74e2e462ffe6c695\
     0ee056d9a5c627df24545ded96e61514ba316239dbfdfcd9f8b166f0281c7d45";
/// Made as the generator of CVE-2017-15361 makes them.
const MARKED: &str = "bdb157bf71f2c541c3153894f83b09322a6170bd0926d523c5b083c99031ee98dba5c2cb2f33f7f74c36eb3ade228872794650cdc6c29067\
     d0c4247c0effbc27d632389413b4641354b1ff6b478988341cbf82e9ddffdb3e1c0be11ac035a6b0d44fc07668037151fdefe2b4990dafe1\
     ac2bf02b477ec5b83d1861ff90612a44d5e119793efa6ef353584b550b9ee0722e820a23b1dc2247210216ca35494c72e0bf1eff7ac998b8\
     95747cbf6414fd8654fbfac5d2c0766434423a967c7cd3c0b749a4cbc2ca9f67a6a031c676af757c0c6bf4a758dae33d3b609dca6a5c648a\
     68045ae1703cee2f40be75e1e9cd7d8d7a2de0224895d72e66cc32d66395415d";

fn of(modulus: &[u8], exponent: u64) -> Result<u32, Fault> {
    let bytes = exponent.to_be_bytes();
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    check(modulus, &bytes[start..])
}

#[test]
fn an_ordinary_key_is_one() {
    let modulus = hex::decode(ORDINARY).unwrap();
    assert_eq!(of(&modulus, 65_537), Ok(2048));
    assert_eq!(of(&modulus, (1 << 33) - 1), Ok(2048));
}

#[test]
fn exponents_that_forgeries_need_are_refused() {
    let modulus = hex::decode(ORDINARY).unwrap();
    for exponent in [1, 2, 3, 17, 65_535, 65_536, 65_538, (1 << 33) + 1, u64::MAX] {
        assert_eq!(of(&modulus, exponent), Err(Fault::RsaExponent), "{exponent}");
    }
    assert_eq!(check(&modulus, &[1; 9]), Err(Fault::RsaExponent));
    assert_eq!(check(&modulus, &[]), Err(Fault::JwkMember));
    assert_eq!(check(&modulus, &[0, 1, 0, 1]), Err(Fault::JwkMember));
}

#[test]
fn sizes_are_bounded_and_counted_in_bits() {
    let modulus = hex::decode(ORDINARY).unwrap();
    let mut short = modulus.clone();
    short[0] = 0x7f;
    assert_eq!(of(&short, 65_537), Err(Fault::RsaSize), "2047 bits");
    assert_eq!(of(&modulus[..128], 65_537), Err(Fault::RsaSize));
    assert_eq!(of(&[&[0], &modulus[..]].concat(), 65_537), Err(Fault::JwkMember));
    assert_eq!(of(&[&[1], &vec![0xff; 1024][..]].concat(), 65_537), Err(Fault::RsaSize), "8193 bits");
    assert_eq!(of(&[], 65_537), Err(Fault::JwkMember));
}

#[test]
fn a_modulus_that_can_be_factored_is_refused() {
    let mut even = hex::decode(ORDINARY).unwrap();
    *even.last_mut().unwrap() &= 0xfe;
    assert_eq!(of(&even, 65_537), Err(Fault::RsaModulus));
    assert_eq!(of(&hex::decode(MARKED).unwrap(), 65_537), Err(Fault::RsaModulus));
    assert_eq!(of(&vec![0xff; 256], 65_537), Err(Fault::RsaModulus), "divisible by 3");
}
