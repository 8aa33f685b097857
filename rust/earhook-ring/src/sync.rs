//! The one place that says whose locks these are: the standard library's, or loom's model of them.

#[cfg(loom)]
pub(crate) use loom::sync::{
    atomic::{AtomicBool, AtomicU64, Ordering},
    Arc, Mutex, MutexGuard,
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    atomic::{AtomicBool, AtomicU64, Ordering},
    Arc, Mutex, MutexGuard,
};

use std::sync::PoisonError;

/// Locks, whether or not somebody panicked while holding the lock.
///
/// A panic costs the call in which it happened, which is ended by whoever catches it. The lock
/// must not carry it over to the calls that share a feed with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
