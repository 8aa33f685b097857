//! From lanes to sample groups.

/// Weaves two lanes into sample groups, `first` before `second` in each, and returns the groups
/// written: as many as both lanes hold and `out` has whole room for.
pub fn interleave<Sample: Copy>(first: &[Sample], second: &[Sample], out: &mut [Sample]) -> usize {
    let groups = first.len().min(second.len()).min(out.len() / 2);
    for (group, (&one, &two)) in out.chunks_exact_mut(2).zip(first.iter().zip(second)) {
        group[0] = one;
        group[1] = two;
    }
    groups
}
