use super::*;
use crate::clock::SystemEntropy;
use crate::domain::{LostPepper, PepperVersion};
use crate::verify::pepper;

fn version(fingerprint: PepperFingerprint, added_at_ms: i64) -> PepperVersion {
    PepperVersion { fingerprint, added_at_ms, retired_at_ms: None, lost: None }
}

fn fingerprint(pepper: &crate::secret::Secret<crate::secret::Pepper>) -> PepperFingerprint {
    Tagger::new(pepper).unwrap().fingerprint()
}

#[test]
fn r5_a_source_holds_the_current_pepper_or_nothing_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pepper");
    let first = fingerprint(&pepper::create(&path, &SystemEntropy).unwrap());
    let source = Source::File(path.clone());
    let mut state = Peppers { current: first, versions: vec![version(first, 1)] };
    let keyring = Keyring::load(source.clone(), &state).unwrap();
    let second = fingerprint(&pepper::append(&path, &SystemEntropy).unwrap());
    assert!(keyring.ring().of(second).is_none(), "not read yet");
    keyring.reload(&state).unwrap();
    assert_eq!(keyring.ring().fingerprints(), [first, second]);
    (state.current, state.versions) = (second, vec![version(first, 1), version(second, 2)]);
    keyring.reload(&state).unwrap();
    assert_eq!(keyring.ring().fingerprints(), [second, first]);
    state.versions[0].retired_at_ms = Some(3);
    keyring.reload(&state).unwrap();
    assert_eq!(keyring.ring().fingerprints(), [second], "a retired one is let go");
    state.current = PepperFingerprint([9; 16]);
    let wrong = keyring.reload(&state).unwrap_err().to_string();
    assert!(wrong.contains(&second.to_string()) && wrong.contains("0909"), "{wrong}");
    assert_eq!(keyring.ring().fingerprints(), [second], "what was held stays");
    std::fs::remove_file(&path).unwrap();
    assert!(keyring.reload(&state).is_err() && Keyring::load(source, &state).is_err());
}

#[test]
fn r4_nobody_without_the_pepper_starts_a_recovery_and_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pepper");
    let pepper = pepper::create(&path, &SystemEntropy).unwrap();
    let tagger = Tagger::new(&pepper).unwrap();
    let (current, lost) = (tagger.fingerprint(), PepperFingerprint([7; 16]));
    let declared = |mac| {
        let mut gone = version(lost, 1);
        gone.lost = Some(LostPepper { until_ms: 100, mac });
        let state = Peppers { current, versions: vec![gone, version(current, 2)] };
        Keyring::load(Source::File(path.clone()), &state).unwrap()
    };
    let genuine = declared(tagger.loss_mac(lost, 100));
    assert!(genuine.ring().is_recovering(lost, 99) && !genuine.ring().is_recovering(lost, 100));
    assert!(genuine.ring().is_lost(lost), "for taking back, however late");
    for forged in [[0; 32], tagger.loss_mac(lost, 101), tagger.loss_mac(PepperFingerprint([8; 16]), 100)] {
        assert!(!declared(forged).ring().is_recovering(lost, 1));
    }
}

#[test]
fn a_pepper_comes_from_a_variable_or_a_command_as_well() {
    let (pepper, line) = pepper::generate(&SystemEntropy).unwrap();
    let expected = fingerprint(&pepper);
    let (other, second) = pepper::generate(&SystemEntropy).unwrap();
    let text = [line.as_slice(), b" ", second.as_slice()].concat();
    let variable = Source::Environment(Some(Arc::new(crate::secret::Secret::new(text))));
    let read: Vec<_> = variable.read().unwrap().iter().map(fingerprint).collect();
    assert_eq!(read, [expected, fingerprint(&other)]);
    assert!(Source::Environment(None).read().is_err());
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("print");
    let run = |body: &str| {
        std::fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        Source::Command(vec![script.to_str().unwrap().to_owned(), "argument".to_owned()]).read()
    };
    let printed = String::from_utf8(line.to_vec()).unwrap();
    let read = run(&format!("test \"$1\" = argument && test -z \"$HOME\" && echo {printed}")).unwrap();
    assert_eq!(read.iter().map(fingerprint).collect::<Vec<_>>(), [expected]);
    assert!(run("exit 3").is_err());
    assert!(run(&format!("echo {printed}; exit 3")).is_err(), "a command that fails is not believed");
    assert!(run("echo nonsense").is_err());
    assert!(Source::Command(vec!["/does/not/exist".to_owned()]).read().is_err());
    assert!(Source::Command(Vec::new()).read().is_err());
}
