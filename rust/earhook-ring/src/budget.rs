//! The byte budget of all rings together.

use crate::sync::{Arc, AtomicU64, Ordering};
use crate::RingError;

/// How many bytes all rings may hold together. Clones share one account.
#[derive(Debug, Clone)]
pub struct Budget {
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    limit_bytes: u64,
    used_bytes: AtomicU64,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        let used_bytes = AtomicU64::new(0);
        Self { account: Arc::new(Account { limit_bytes, used_bytes }) }
    }

    /// What all rings may hold.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.account.limit_bytes
    }

    /// What all rings hold now; never more than the limit.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.account.used_bytes.load(Ordering::Acquire)
    }

    /// Takes `bytes` out of the budget until the reservation is dropped.
    ///
    /// # Errors
    /// [`RingError::BudgetExhausted`] when they do not fit; nothing is taken then.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, RingError> {
        let Account { limit_bytes, used_bytes } = &*self.account;
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| sum <= limit_bytes);
        match used_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
            Ok(_) => Ok(Reservation { account: Arc::clone(&self.account), bytes }),
            Err(used) => Err(RingError::BudgetExhausted {
                wanted_bytes: bytes,
                used_bytes: used,
                limit_bytes: *limit_bytes,
            }),
        }
    }
}

/// Bytes taken out of a [`Budget`]; they go back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    bytes: u64,
}

impl Reservation {
    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let spare = self.bytes.saturating_sub(bytes);
        self.bytes -= spare;
        self.account.used_bytes.fetch_sub(spare, Ordering::AcqRel);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.used_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
