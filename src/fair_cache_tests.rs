use super::*;
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, PartialEq, Debug)]
struct Thing {
    owner: TenantId,
    bytes: usize,
    number: u64,
}

impl Held for Arc<Thing> {
    fn owner(&self) -> TenantId {
        self.owner
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
}

fn thing(owner: u8, bytes: usize, number: u64) -> Arc<Thing> {
    Arc::new(Thing { owner: TenantId::from_bytes([owner; 16]), bytes, number })
}

fn digest(number: u64) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(number.to_le_bytes()).into()
}

#[test]
fn what_was_put_in_is_found_and_replaced() {
    let cache = FairCache::new(10, 1_000);
    assert!(cache.get(&digest(1)).is_none() && cache.is_empty());
    cache.put(digest(1), thing(1, 10, 1));
    cache.put(digest(1), thing(1, 30, 2));
    assert_eq!(cache.get(&digest(1)).unwrap().number, 2);
    assert_eq!((cache.len(), cache.bytes()), (1, 30));
    cache.clear();
    assert!(cache.get(&digest(1)).is_none() && cache.bytes() == 0);
}

#[test]
fn r12_a_tenant_that_floods_loses_its_own_entries_and_nobody_elses() {
    let cache = FairCache::new(100, usize::MAX);
    for number in 0..30 {
        cache.put(digest(number), thing(1, 10, number));
    }
    for number in 1_000..20_000 {
        cache.put(digest(number), thing(2, 10, number));
    }
    assert!((0..30).all(|number| cache.get(&digest(number)).is_some()), "the small tenant holds all that it held");
    assert_eq!(cache.len(), 100);
}

#[test]
fn a_tenant_alone_may_use_everything_and_gives_way_to_a_newcomer() {
    let cache = FairCache::new(100, usize::MAX);
    for number in 0..200 {
        cache.put(digest(number), thing(1, 10, number));
    }
    assert_eq!(cache.len(), 100);
    for number in 1_000..1_050 {
        cache.put(digest(number), thing(2, 10, number));
    }
    assert!((1_000..1_050).all(|number| cache.get(&digest(number)).is_some()), "up to an equal share");
    assert_eq!(cache.len(), 100);
}

#[test]
fn what_is_in_use_outlasts_what_is_not() {
    let cache = FairCache::new(100, usize::MAX);
    for number in 0..100 {
        cache.put(digest(number), thing(1, 10, number));
    }
    for number in 100..150 {
        assert!((0..10).all(|used| cache.get(&digest(used)).is_some()), "before {number}");
        cache.put(digest(number), thing(1, 10, number));
    }
    let left = (10..100).filter(|&number| cache.get(&digest(number)).is_some()).count();
    assert!(left <= 50, "{left}");
}

#[test]
fn a_digest_that_changes_hands_counts_for_its_new_owner() {
    let cache = FairCache::new(3, usize::MAX);
    cache.put(digest(1), thing(1, 10, 1));
    cache.put(digest(1), thing(2, 10, 2));
    for number in 2..10 {
        cache.put(digest(number), thing(1, 10, number));
    }
    assert_eq!(cache.get(&digest(1)).unwrap().number, 2);
    assert_eq!(cache.len(), 3);
}

proptest! {
    #[test]
    fn bounds_hold_and_the_book_agrees_with_what_is_there(
        puts in prop::collection::vec((0u64..60, 0u8..5, 1usize..50, any::<bool>()), 1..400)
    ) {
        let cache = FairCache::new(20, 400);
        for (number, owner, bytes, read) in puts {
            if read {
                cache.get(&digest(number));
            } else {
                cache.put(digest(number), thing(owner, bytes, number));
            }
            prop_assert!(cache.len() <= 20 && cache.bytes() <= 400);
            let there: Vec<_> = (0..60).filter_map(|number| cache.get(&digest(number))).collect();
            prop_assert_eq!(there.len(), cache.len());
            prop_assert_eq!(there.iter().map(|thing| thing.bytes).sum::<usize>(), cache.bytes());
            let book = cache.book.lock().unwrap();
            prop_assert_eq!(book.by_size.len(), book.holdings.len());
        }
    }
}

#[test]
fn it_is_consistent_after_many_threads() {
    let cache = Arc::new(FairCache::new(50, usize::MAX));
    std::thread::scope(|scope| {
        for owner in 0..4u8 {
            let cache = Arc::clone(&cache);
            scope.spawn(move || {
                for number in 0..3_000u64 {
                    cache.put(digest(number % 120), thing(owner, 10, number));
                    cache.get(&digest(number % 77));
                }
            });
        }
    });
    let there = (0..120).filter(|&number| cache.get(&digest(number)).is_some()).count();
    assert_eq!(there, cache.len());
    assert!(there <= 50);
}
