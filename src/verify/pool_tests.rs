use super::*;
use crate::clock::SystemEntropy;
use crate::verify::argon::{Cost, MAX_COST, hash};

const SLOW: Cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
const SALT: [u8; SALT_LEN] = [7; SALT_LEN];

fn ask<'a>(tenant: u8, credential: u8, secret: &'a [u8], phc: &'a str) -> Ask<'a> {
    use sha2::Digest as _;
    Ask {
        tenant: TenantId::from_bytes([tenant; 16]),
        credential: CredentialId::from_bytes([credential; 16]),
        digest: sha2::Sha256::digest(secret).into(),
        phc,
        secret,
        suspect: false,
    }
}

fn phc(secret: &[u8]) -> String {
    hash(SLOW, secret, &SystemEntropy).unwrap()
}

#[tokio::test]
async fn b6_too_many_are_refused_at_once() {
    let pool = ArgonPool::start(1, 1).unwrap();
    let phc = phc(b"s");
    let calls = (0..8u8).map(|credential| pool.verify(ask(1, credential, b"s", &phc)));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.contains(&Ok(true)), "some are served");
    assert!(answers.contains(&Err(Unproven::Full)), "some are refused");
    assert_eq!(pool.waiting(), 0);
}

#[tokio::test]
async fn one_secret_is_hashed_once_for_all_who_present_it_and_nobody_fails_with_one_who_goes() {
    let pool = ArgonPool::start(2, 64).unwrap();
    let phc = phc(b"s");
    {
        // The first to ask goes away before it is answered.
        let first = pool.verify(ask(1, 1, b"s", &phc));
        let mut first = std::pin::pin!(first);
        assert!(futures::poll!(first.as_mut()).is_pending());
    }
    let calls = (0..50).map(|_| pool.verify(ask(1, 1, b"s", &phc)));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == Ok(true)));
    assert!(pool.taken() <= 2, "{} hashes for one secret", pool.taken());
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_computed() {
    let pool = ArgonPool::start(1, 64).unwrap();
    let phc = phc(b"s");
    for credential in 2..40 {
        let call = pool.verify(ask(1, credential, b"x", &phc));
        let mut call = std::pin::pin!(call);
        let _ = futures::poll!(call.as_mut());
    }
    // Behind all of them: another tenant would have its turn before most.
    assert_eq!(pool.verify(ask(1, 1, b"s", &phc)).await, Ok(true));
    assert!(pool.taken() <= 3, "{}", pool.taken());
}

#[tokio::test]
async fn r12_a_tenant_that_floods_holds_up_itself() {
    let pool = ArgonPool::start(2, 64).unwrap();
    let phc = phc(b"s");
    let secrets: Vec<Vec<u8>> = (0..500u32).map(|n| n.to_le_bytes().to_vec()).collect();
    let flood =
        secrets.iter().enumerate().map(|(n, secret)| pool.verify(ask(1, u8::try_from(n % 50).unwrap(), secret, &phc)));
    let flood = futures::future::join_all(flood);
    let mut flood = std::pin::pin!(flood);
    assert!(futures::poll!(flood.as_mut()).is_pending());
    assert_eq!(pool.verify(ask(2, 200, b"s", &phc)).await, Ok(true), "served, not refused");
    assert!(pool.waiting() <= 64);
}

#[tokio::test]
async fn b6_a_flood_of_wrong_secrets_for_a_credential_does_not_lock_its_owner_out() {
    let pool = ArgonPool::start(2, 64).unwrap();
    let phc = phc(b"right");
    let secrets: Vec<Vec<u8>> = (0..400u32).map(|n| n.to_le_bytes().to_vec()).collect();
    let mut served = false;
    for round in secrets.chunks(20) {
        let wrong = round.iter().map(|secret| pool.verify(ask(1, 1, secret, &phc)));
        let wrong = futures::future::join_all(wrong);
        let (answer, _) = tokio::join!(pool.verify(ask(1, 1, b"right", &phc)), wrong);
        served |= answer == Ok(true);
    }
    assert!(served, "twenty tries against twenty wrong ones each");
}

#[tokio::test]
async fn suspects_come_last() {
    let pool = ArgonPool::start(1, 64).unwrap();
    let phc = phc(b"s");
    let suspects = (10..30).map(|credential| pool.verify(Ask { suspect: true, ..ask(1, credential, b"x", &phc) }));
    let suspects = futures::future::join_all(suspects);
    let mut suspects = std::pin::pin!(suspects);
    assert!(futures::poll!(suspects.as_mut()).is_pending());
    assert_eq!(pool.verify(ask(1, 1, b"s", &phc)).await, Ok(true));
    assert!(suspects.await.iter().all(|answer| *answer == Ok(false)), "and are answered all the same");
}

#[test]
fn one_job_of_a_credential_and_half_the_threads_of_a_tenant_run_at_most() {
    let mut queue = Queue::default();
    let job = |n: u8, callers: &mut Vec<_>| {
        let (caller, answered) = oneshot::channel();
        callers.push(answered);
        proof(n, false, caller)
    };
    let id = |n: u8| CredentialId::from_bytes([n; 16]);
    let (one, other) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    let mut callers = Vec::new();
    for n in 0..3 {
        queue.add(one, id(1), job(n, &mut callers));
    }
    queue.add(one, id(2), job(9, &mut callers));
    queue.add(one, id(3), job(9, &mut callers));
    queue.add(other, id(4), job(9, &mut callers));
    let chance = |_: usize| 0;
    let taken: Vec<_> = std::iter::from_fn(|| queue.next(2, &chance)).map(|(tenant, id, _)| (tenant, id)).collect();
    assert_eq!(taken, [(one, id(1)), (other, id(4)), (one, id(2))], "in turns, two of the first tenant at most");
    queue.done(one, id(1));
    assert_eq!(queue.next(2, &chance).map(|(_, id, _)| id), Some(id(3)), "the next credential's turn");
    queue.done(one, id(2));
    assert_eq!(queue.next(2, &chance).map(|(_, id, _)| id), Some(id(1)));
    assert!(queue.next(2, &chance).is_none(), "another job of a credential that has one running waits");
}

/// A job with a caller that waits, of a queue that no thread works on: so that turns are seen and not timed.
fn waiting(n: u8, suspect: bool, callers: &mut Vec<oneshot::Receiver<Answer>>) -> Job {
    let (caller, answered) = oneshot::channel();
    callers.push(answered);
    proof(n, suspect, caller)
}

fn proof(n: u8, suspect: bool, caller: oneshot::Sender<Answer>) -> Job {
    let work = Work::Prove { digest: [n; 32], phc: String::new(), callers: vec![caller] };
    Job { work, secret: Zeroizing::new(vec![n]), suspect }
}

/// A hash to be made for somebody who waits.
fn making(n: u8) -> (Job, oneshot::Receiver<Made>) {
    let (caller, made) = oneshot::channel();
    let work = Work::Make { cost: CHEAP, salt: [n; SALT_LEN], caller };
    (Job { work, secret: Zeroizing::new(vec![n]), suspect: false }, made)
}

#[test]
fn r12_a_newcomer_waits_for_one_job_of_a_flood_at_most() {
    let (mut queue, mut callers) = (Queue::default(), Vec::new());
    let (flood, newcomer) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    for n in 0..60 {
        queue.add(flood, CredentialId::from_bytes([n; 16]), waiting(n, false, &mut callers));
    }
    assert_eq!(queue.next(1, &|_| 0).map(|(tenant, ..)| tenant), Some(flood));
    queue.add(newcomer, CredentialId::from_bytes([200; 16]), waiting(200, false, &mut callers));
    assert_eq!(queue.next(1, &|_| 0).map(|(tenant, ..)| tenant), Some(newcomer));
}

#[test]
fn b6_a_suspect_is_taken_only_when_nobody_else_waits() {
    let (mut queue, mut callers) = (Queue::default(), Vec::new());
    let tenant = TenantId::from_bytes([1; 16]);
    for n in 0..20 {
        queue.add(tenant, CredentialId::from_bytes([n; 16]), waiting(n, true, &mut callers));
    }
    let good = CredentialId::from_bytes([99; 16]);
    queue.add(tenant, good, waiting(99, false, &mut callers));
    assert_eq!(queue.next(8, &|_| 0).map(|(_, id, _)| id), Some(good), "whoever came first");
    assert!(queue.next(8, &|_| 0).is_some_and(|(_, _, job)| job.suspect));
}

fn ids(tenant: u8, credential: u8) -> (TenantId, CredentialId) {
    (TenantId::from_bytes([tenant; 16]), CredentialId::from_bytes([credential; 16]))
}

#[tokio::test]
async fn a_hash_that_a_pool_made_is_the_one_that_is_made_elsewhere_and_is_counted() {
    let pool = Arc::new(ArgonPool::start(1, 8).unwrap());
    let (tenant, credential) = ids(1, 1);
    let made = pool.hash(tenant, credential, CHEAP, b"s", SALT).await.unwrap();
    assert_eq!(made, argon::make(&mut Buffer::default(), CHEAP, b"s", &SALT).unwrap());
    assert_eq!(pool.taken(), 1);
    assert_eq!(pool.verify(ask(1, 1, b"s", &made)).await, Ok(true));
    assert_eq!(pool.verify(ask(1, 1, b"t", &made)).await, Ok(false));
    assert_eq!(pool.taken(), 3);
    let blocking = {
        let pool = Arc::clone(&pool);
        move || pool.hash_blocking(tenant, credential, CHEAP, b"s", SALT)
    };
    assert_eq!(tokio::task::spawn_blocking(blocking.clone()).await.unwrap(), Ok(made.clone()));
    assert_eq!(std::thread::spawn(blocking.clone()).join().unwrap(), Ok(made.clone()));
    assert_eq!(blocking(), Ok(made), "in the wrong place it holds others up, and neither panics nor hangs");
}

#[tokio::test]
async fn r12_a_cost_out_of_bounds_is_refused_before_anybody_makes_way() {
    let pool = ArgonPool::start(1, 8).unwrap();
    let (tenant, credential) = ids(1, 1);
    let phc = phc(b"s");
    let waits = (1..12).map(|credential| pool.verify(ask(1, credential, b"s", &phc)));
    let waits = futures::future::join_all(waits);
    let mut waits = std::pin::pin!(waits);
    assert!(futures::poll!(waits.as_mut()).is_pending());
    let before = pool.waiting();
    for cost in [
        Cost { memory_kib: MAX_COST.memory_kib + 1, ..CHEAP },
        Cost { passes: MAX_COST.passes + 1, ..CHEAP },
        Cost { lanes: MAX_COST.lanes + 1, ..CHEAP },
        Cost { passes: 0, ..CHEAP },
    ] {
        let refused = Err(Unproven::Hash(HashError::Cost));
        assert_eq!(
            futures::poll!(std::pin::pin!(pool.hash(tenant, credential, cost, b"s", SALT))),
            refused.clone().into()
        );
        assert_eq!(pool.hash_blocking(tenant, credential, cost, b"s", SALT), refused);
    }
    assert!(before - pool.waiting() <= 1, "nobody made way");
}

#[tokio::test]
async fn b6_of_too_many_hashes_to_be_made_some_are_refused_at_once() {
    let pool = Arc::new(ArgonPool::start(1, 1).unwrap());
    let calls = (0..8u8).map(|n| {
        let (tenant, credential) = ids(1, n);
        pool.hash(tenant, credential, SLOW, b"s", SALT)
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().any(Result::is_ok), "some are served");
    assert!(answers.contains(&Err(Unproven::Full)), "some are refused");
    let threads: Vec<_> = (0..8u8)
        .map(|n| {
            let (pool, (tenant, credential)) = (Arc::clone(&pool), ids(1, n));
            std::thread::spawn(move || pool.hash_blocking(tenant, credential, SLOW, b"s", SALT))
        })
        .collect();
    let answers: Vec<Made> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(answers.iter().any(Result::is_ok), "threads too");
    assert!(answers.contains(&Err(Unproven::Full)), "none of them waits for ever");
    assert_eq!(pool.waiting(), 0);
}

#[tokio::test]
async fn a_hash_that_nobody_waits_for_is_not_made() {
    let pool = ArgonPool::start(1, 64).unwrap();
    for n in 2..40 {
        let (tenant, credential) = ids(1, n);
        let call = pool.hash(tenant, credential, SLOW, b"s", SALT);
        let mut call = std::pin::pin!(call);
        let _ = futures::poll!(call.as_mut());
    }
    let (tenant, credential) = ids(1, 1);
    assert!(pool.hash(tenant, credential, SLOW, b"s", SALT).await.is_ok());
    assert!(pool.taken() <= 3, "{}", pool.taken());
}

#[test]
fn r12_hashes_that_are_made_take_turns_with_those_that_are_proven() {
    let (mut queue, mut callers) = (Queue::default(), Vec::new());
    let (flood, issuer) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    for n in 0..60 {
        queue.add(flood, CredentialId::from_bytes([n; 16]), waiting(n, false, &mut callers));
    }
    assert_eq!(queue.next(2, &|_| 0).map(|(tenant, ..)| tenant), Some(flood));
    let mut made = Vec::new();
    for n in 100..103 {
        let (job, waits) = making(n);
        queue.add(issuer, CredentialId::from_bytes([n; 16]), job);
        made.push(waits);
    }
    let taken: Vec<_> = std::iter::from_fn(|| queue.next(2, &|_| 0)).map(|(tenant, ..)| tenant).collect();
    // One of the flood's two runs already; then each tenant has its turn until both are at their limit.
    assert_eq!(taken, [flood, issuer, issuer], "making has no threads of its own, and no more than proving");
    queue.done(issuer, CredentialId::from_bytes([100; 16]));
    assert_eq!(queue.next(2, &|_| 0).map(|(tenant, ..)| tenant), Some(issuer));
}

#[test]
fn a_hash_that_is_made_is_joined_by_nobody_and_bars_its_credentials_next_job() {
    let (mut queue, mut callers) = (Queue::default(), Vec::new());
    let (tenant, credential) = ids(1, 1);
    let (job, _made) = making(0);
    queue.add(tenant, credential, job);
    assert!(queue.askers(credential, &[0; 32]).is_none(), "while it waits");
    assert!(queue.next(2, &|_| 0).is_some());
    assert!(queue.askers(credential, &[0; 32]).is_none(), "while it runs");
    queue.add(tenant, credential, waiting(9, false, &mut callers));
    assert!(queue.askers(credential, &[9; 32]).is_some());
    assert!(queue.next(2, &|_| 0).is_none(), "one job of a credential at a time");
    assert!(queue.done(tenant, credential).is_empty());
    assert!(queue.next(2, &|_| 0).is_some());
}
