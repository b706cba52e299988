//! What an attacker does to a signed token.

use crate::jwt::{add, b64};

/// The orders of the groups: P-256 (FIPS 186-5), Ed25519 (RFC 8032 section 5.1).
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const ED25519_ORDER: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";

/// A token made from a message and its signature by the named change.
pub fn edited(how: &str, message: &str, sign: &dyn Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let signature = sign(message);
    if let Some(changed) = signed(how, &signature) {
        return format!("{message}.{}", b64(changed)).into_bytes();
    }
    let token = format!("{message}.{}", b64(&signature));
    let (header, payload) = message.split_once('.').unwrap();
    let text = match how {
        "strip_signature" => format!("{message}."),
        "empty" => String::new(),
        "only_dots" => "..".to_owned(),
        "parts:1" => header.to_owned(),
        "parts:2" => message.to_owned(),
        "extra_part" => format!("{token}.AAAA"),
        "extra_dot" => format!("{token}."),
        "leading_dot" => format!(".{token}"),
        "five_parts" => format!("{token}.AAAA.AAAA"),
        "six_parts" => format!("{token}.AAAA.AAAA.AAAA"),
        "json" => format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{}"}}]}}"#,
            b64(&signature)
        ),
        "json_flat" => format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{}"}}"#, b64(&signature)),
        "json_mixed" => format!(r#"{{"{token}":1,"protected":"{header}","payload":"{payload}","signature":"AAAA"}}"#),
        "other_payload" => {
            let other = b64(crate::jwt::claims().to_string().replace("ann", "eve"));
            format!("{header}.{other}.{}", b64(&signature))
        }
        "pad_header" => format!("{header}=.{payload}.{}", b64(&signature)),
        "pad_payload" => format!("{header}.{payload}=.{}", b64(&signature)),
        "pad_signature" => format!("{token}="),
        "pad_signature_twice" => format!("{token}=="),
        "space_end" => format!("{token} "),
        "space_inside" => format!("{header}.{} {}", &payload[..4], &token[header.len() + 5..]),
        "newline_inside" => format!("{header}\n.{payload}.{}", b64(&signature)),
        "crlf_inside" => format!("{header}.{payload}\r\n.{}", b64(&signature)),
        "tab_start" => format!("\t{token}"),
        "nul_end" => format!("{token}\0"),
        "form_feed" => format!("{token}\u{c}"),
        "percent" => format!("{}%2e{payload}.{}.", header, b64(&signature)).trim_end_matches('.').to_owned() + ".AAAA",
        "unicode_digit" => format!("{}\u{661}", &token[..token.len() - 1]),
        "std_alphabet" => {
            // Signed anew until the other alphabet differs.
            let other = (0..1000).map(|_| b64(sign(message))).find(|text| text.contains(['-', '_'])).unwrap();
            format!("{message}.{}", other.replace('-', "+").replace('_', "/"))
        }
        // 64 bytes leave four bits in the last of 86 characters.
        "trailing_bits" => {
            let last = token.chars().last().unwrap();
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let at = alphabet.find(last).unwrap();
            format!("{}{}", &token[..token.len() - 1], &alphabet[at + 1..at + 2])
        }
        other => match other.split_once(':') {
            Some(("dots", count)) => ".".repeat(count.parse().unwrap()),
            Some(("length", count)) => {
                let count: usize = count.parse().unwrap();
                format!("{message}.{}", "A".repeat(count - message.len() - 1))
            }
            _ => panic!("no edit {other}"),
        },
    };
    text.into_bytes()
}

/// Changes of the signature's bytes.
fn signed(how: &str, good: &[u8]) -> Option<Vec<u8>> {
    let len = good.len();
    let (r, s) = good.split_at(len / 2);
    let number = |hex: &str| latchkey::domain::hex::decode(hex).unwrap();
    let order = number(P256_ORDER);
    let mut one = vec![0; len / 2];
    *one.last_mut().unwrap() = 1;
    let zero = vec![0; len / 2];
    Some(match how {
        "sig_zero" => vec![0; len],
        "sig_one" => [&vec![0; len - 1][..], &[1]].concat(),
        "sig_max" => vec![0xff; len],
        "sig_half" => r.to_vec(),
        "sig_short" => good[..len - 1].to_vec(),
        "sig_long" => [good, &[0]].concat(),
        "sig_leading_zero" => [&[0], good].concat(),
        "sig_leading_zeros" => [&[0], r, &[0], s].concat(),
        "r_zero" => [&zero, s].concat(),
        "s_zero" => [r, &zero].concat(),
        "r_one_s_one" => [&one[..], &one].concat(),
        "r_n" => [&order, s].concat(),
        "s_n" => [r, &order].concat(),
        "rs_n" => [&order[..], &order].concat(),
        "r_n_minus_1" => [&add(&order, &one, true), s].concat(),
        "s_n_minus_1" => [r, &add(&order, &one, true)].concat(),
        "r_plus_n" => [&add(r, &order, false), s].concat(),
        "high_s" => [r, &add(&order, s, true)].concat(),
        "ed_s_plus_l" => {
            let reversed: Vec<u8> = s.iter().rev().copied().collect();
            let more = add(&reversed, &number(ED25519_ORDER), false);
            [r, &more.into_iter().rev().collect::<Vec<_>>()].concat()
        }
        // R is the neutral point and S is nothing: under a key of order one it holds for every message.
        "ed_forged" => [&[1], &[0; 63][..]].concat(),
        _ => return None,
    })
}
