"""Tokens, good and bent, and what PyJWT says of each: one JSON line a token, for `tests/jwt_differential.rs`.

    python tests/differential/tokens.py COUNT SEED > tokens.jsonl

Only CI and developers run it, with the version of PyJWT that `.ci/run` names."""

import base64
import json
import random
import sys
import time

import jwt
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

COUNT, SEED = int(sys.argv[1]), int(sys.argv[2])
RANDOM = random.Random(SEED)
NOW = int(time.time())
ISS, AUD = "https://id.example", "https://api.example"
ASYMMETRIC = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}

KEYS = {
    "es": ec.generate_private_key(ec.SECP256R1()),
    "es3": ec.generate_private_key(ec.SECP384R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
    "rs": rsa.generate_private_key(65537, 2048),
    "stranger": ec.generate_private_key(ec.SECP256R1()),
}
SECRET = RANDOM.randbytes(64)
PUBLIC = {name: key.public_key() for name, key in KEYS.items() if name != "stranger"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(name):
    public = PUBLIC[name]
    kinds = {"es": jwt.algorithms.ECAlgorithm, "es3": jwt.algorithms.ECAlgorithm, "ed": jwt.algorithms.OKPAlgorithm,
             "rs": jwt.algorithms.RSAAlgorithm}
    made = kinds[name].to_jwk(public, as_dict=True)
    return {k: v for k, v in made.items() if k not in ("key_ops", "alg")} | {"kid": name, "use": "sig"}


def key_name(alg):
    return {"ES256": "es", "ES384": "es3", "EdDSA": "ed"}.get(alg, "rs" if alg[0] in "RP" else "oct")


def sign(alg, message, key=None):
    """Signs without asking whether it makes sense, which no library does."""
    digest = HASHES.get(alg[2:], hashes.SHA256)
    if alg[:2] == "HS":
        mac = hmac.HMAC(key if isinstance(key, bytes) else SECRET, digest())
        mac.update(message)
        return mac.finalize()
    key = key or KEYS[key_name(alg)]
    if alg[:2] == "ES":
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest())))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if alg == "EdDSA":
        return key.sign(message)
    if alg[:2] == "RS":
        return key.sign(message, padding.PKCS1v15(), digest())
    return key.sign(message, padding.PSS(padding.MGF1(digest()), digest.digest_size), digest())


def claims():
    made = {"iss": ISS, "aud": RANDOM.choice([AUD, [AUD], ["x", AUD]]), "exp": NOW + RANDOM.randrange(600, 9000)}
    for name, value in {"sub": "ann", "jti": "t1", "iat": NOW - 100, "nbf": NOW - 100, "scope": "a b",
                        "role": {"a": [1, 2.5, None, "é"]}}.items():
        if RANDOM.random() < 0.5:
            made[name] = value
    return made


ODD = ["", "x", None, True, 7, -1, 0, 1.5, 1e300, [], ["x"], {}, {"a": 1}, str(NOW + 500), NOW + 500.5, NOW - 500, NOW + 500,
       (NOW + 500) * 1000, 2**63, "a\u0000b", "\u00e9\n", ISS + "/", AUD + "/", [AUD, 7], [[AUD]], AUD.upper()]


def bend_header(header):
    what = RANDOM.choice(["alg", "kid", "typ", "crit", "b64", "zip", "cty", "jwk", "jku", "x5c", "drop", "odd", "plain"])
    if what == "alg":
        header["alg"] = RANDOM.choice(ASYMMETRIC + ["none", "None", "HS256", "ES512", "ES256K", "es256", "", None, 5])
    elif what == "kid":
        header["kid"] = RANDOM.choice(["es", "rs", "ed", "ES", "../es", "", None, 7, "x" * 300, "es\u0000"])
    elif what == "typ":
        header["typ"] = RANDOM.choice(["JWT", "at+jwt", "jwt", None, 7, ""])
    elif what == "crit":
        header["crit"] = RANDOM.choice([["exp"], ["b64"], [], "exp", None, ["x"], ["alg"]])
    elif what == "b64":
        header["b64"] = RANDOM.choice([True, False, None])
    elif what == "zip":
        header["zip"] = "DEF"
    elif what == "cty":
        header["cty"] = "JWT"
    elif what == "jwk":
        header["jwk"] = jwk("es")
    elif what == "jku":
        header["jku"] = "http://127.0.0.1:1/"
    elif what == "x5c":
        header["x5c"] = ["MIIB"]
    elif what == "drop":
        header.pop(RANDOM.choice(["alg", "kid", "typ"]), None)
    elif what == "odd":
        header["x-" + RANDOM.choice("abc")] = RANDOM.choice(ODD)


def bend_claims(made):
    for _ in range(RANDOM.randrange(1, 3)):
        name = RANDOM.choice(["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "cnf", "events"])
        if RANDOM.random() < 0.2:
            made.pop(name, None)
        else:
            made[name] = RANDOM.choice(ODD)


def bend_text(text):
    """Changes of the JSON that no encoder makes."""
    what = RANDOM.choice(["twice", "escape", "space", "surrogate", "cut", "tail", "bom", "deep", "latin"])
    if what == "twice":
        return (text[:-1] + "," + RANDOM.choice(['"exp":1', '"alg":"none"', '"sub":"eve"', '"x":1,"x":2']) + "}").encode()
    if what == "escape":
        return text.replace("exp", "\\u0065xp").replace("alg", "\\u0061lg").encode()
    if what == "space":
        return text.replace(",", " ,\r\n\t").encode() + b" "
    if what == "surrogate":
        return text.replace("ann", RANDOM.choice(["\\ud800", "\\ud83d\\ude00"])).encode()
    if what == "cut":
        return text[: RANDOM.randrange(len(text))].encode()
    if what == "tail":
        return text.encode() + RANDOM.choice([b"x", b"{}", b"\0", b","])
    if what == "bom":
        return b"\xef\xbb\xbf" + text.encode()
    if what == "deep":
        depth = RANDOM.choice([5, 20, 2000])
        return (text[:-1] + ',"d":' + "[" * depth + "]" * depth + "}").encode()
    return text.encode().replace(b"ann", b"a\xe9n")


def bend_signature(alg, message):
    what = RANDOM.choice(["stranger", "secret", "zero", "cut", "long", "empty", "other", "flip", "hash"])
    good = sign(alg, message)
    if what == "stranger":
        return sign("ES256", message, KEYS["stranger"])
    if what == "secret":
        pem = PUBLIC["es"].public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return sign("HS256", message, pem)
    if what == "hash":
        return sign(RANDOM.choice(ASYMMETRIC), message)
    return {"zero": bytes(len(good)), "cut": good[:-1], "long": good + b"\0", "empty": b"", "other": sign(alg, b"x" + message),
            "flip": bytes([good[0] ^ 1]) + good[1:]}[what]


def bend_token(token):
    at = RANDOM.randrange(len(token))
    what = RANDOM.choice(["flip", "drop", "insert", "pad", "alphabet", "bits", "space", "dots", "swap", "unicode"])
    if what == "flip":
        return token[:at] + chr(ord(token[at]) ^ (1 << RANDOM.randrange(7))) + token[at + 1:]
    if what == "drop":
        return token[:at] + token[at + 1:]
    if what == "insert":
        return token[:at] + RANDOM.choice("Aa0-_.=+/ \n") + token[at:]
    if what == "pad":
        return RANDOM.choice([token + "=", token + "==", token.replace(".", "=.", 1)])
    if what == "alphabet":
        return token.replace("-", "+").replace("_", "/")
    if what == "bits":
        return token[:-1] + RANDOM.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    if what == "space":
        return RANDOM.choice([" " + token, token + "\n", token + " "])
    if what == "dots":
        return RANDOM.choice([token + ".", "." + token, token + ".AAAA", token.rsplit(".", 1)[0], token.rsplit(".", 1)[0] + "."])
    if what == "swap":
        return ".".join(RANDOM.sample(token.split("."), 3)) if token.count(".") == 2 else token
    return token[:at] + "\u0661" + token[at + 1:]


def make():
    alg = RANDOM.choice(ASYMMETRIC + ["HS256", "HS512"])
    header = {"alg": alg, "typ": RANDOM.choice(["JWT", "at+jwt"]), "kid": key_name(alg)}
    made = claims()
    bends = RANDOM.choice([[], ["header"], ["claims"], ["claims"], ["header text"], ["claims text"], ["signature"], ["token"],
                           ["header", "claims"], ["claims", "token"]])
    if "header" in bends:
        bend_header(header)
    if "claims" in bends:
        bend_claims(made)
    parts = [json.dumps(part, ensure_ascii=RANDOM.random() < 0.5) for part in (header, made)]
    first = bend_text(parts[0]) if "header text" in bends else parts[0].encode()
    second = bend_text(parts[1]) if "claims text" in bends else parts[1].encode()
    message = f"{b64(first)}.{b64(second)}".encode()
    signature = bend_signature(alg, message) if "signature" in bends else sign(alg, message)
    token = f"{message.decode()}.{b64(signature)}"
    return alg, bends, bend_token(token) if "token" in bends else token


def theirs(token, symmetric):
    """PyJWT's verdict, with the key that `kid` names, as its users are told to choose it."""
    try:
        header = jwt.get_unverified_header(token)
        if symmetric:
            key, algorithms = SECRET, ["HS256", "HS512"]
        else:
            algorithms = ASYMMETRIC
            kid = header.get("kid")
            key = PUBLIC[kid if kid is not None else key_name(header["alg"])]
        jwt.decode(token, key, algorithms=algorithms, audience=AUD, issuer=ISS, options={"require": ["exp", "iss", "aud"]})
        return "ok"
    except Exception as error:  # Whatever it raises is a refusal, its own failures too.
        return type(error).__name__


print(json.dumps({"now": NOW, "jwks": json.dumps({"keys": [jwk(name) for name in PUBLIC]}), "secret": SECRET.hex()}))
for _ in range(COUNT):
    alg, bends, token = make()
    symmetric = alg[:2] == "HS"
    print(json.dumps({"token": token, "symmetric": symmetric, "bends": bends, "theirs": theirs(token, symmetric)}))
