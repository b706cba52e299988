use super::*;
use crate::clock::{EntropyError, SystemEntropy};
use crate::verify::argon::HashError;
use crate::verify::slow;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

/// Gives the same bytes each time.
struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(3);
        Ok(())
    }
}

/// Has none.
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

fn hash(hasher: &Hasher, cost: Cost, entropy: &dyn Entropy) -> Result<String, Unproven> {
    hasher.hash(TenantId::from_bytes([1; 16]), CredentialId::from_bytes([2; 16]), cost, b"secret", entropy)
}

#[test]
fn a_hash_is_the_same_wherever_it_is_made() {
    let pool = Arc::new(ArgonPool::start(1, 8).unwrap());
    let shared = Hasher::Pool(Arc::clone(&pool));
    let made = hash(&shared, CHEAP, &Fixed).unwrap();
    assert_eq!(pool.taken(), 1, "on its threads");
    assert_eq!(hash(&Hasher::Here, CHEAP, &Fixed).unwrap(), made);
    assert_eq!(pool.taken(), 1, "on this one");
    assert_eq!(slow::verify(&made, b"secret"), Ok(true));
    assert_ne!(hash(&shared, CHEAP, &SystemEntropy).unwrap(), made, "each hash has a salt of its own");
}

#[test]
fn what_cannot_be_hashed_is_an_error_wherever_it_is_tried() {
    let pool = Arc::new(ArgonPool::start(1, 8).unwrap());
    for hasher in [Hasher::Here, Hasher::Pool(Arc::clone(&pool))] {
        assert_eq!(hash(&hasher, CHEAP, &Dry), Err(Unproven::Hash(HashError::Entropy)), "never without a salt");
        let dear = Cost { passes: 5, ..CHEAP };
        assert_eq!(hash(&hasher, dear, &Fixed), Err(Unproven::Hash(HashError::Cost)));
    }
    assert_eq!(pool.taken(), 0);
}
