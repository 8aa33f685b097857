/* Latencies in whole microseconds: exact below 128, then to one part in 64 up to twelve days. */
#include <stdint.h>
#include <stdio.h>

enum { EXACT = 128, STEPS = EXACT / 2, MOST_BITS = 40, BUCKETS = EXACT + (MOST_BITS - 7) * STEPS };

struct histogram {
    uint64_t count, largest, counts[BUCKETS];
};

static unsigned bucket_of(uint64_t value)
{
    if (value < EXACT)
        return (unsigned)value;
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - 6;
    return EXACT + (shift - 1) * STEPS + (unsigned)(value >> shift) - STEPS;
}

/* The largest value that falls into a bucket. */
static uint64_t top_of(unsigned bucket)
{
    if (bucket < EXACT)
        return bucket;
    unsigned shift = (bucket - EXACT) / STEPS + 1;
    return ((uint64_t)((bucket - EXACT) % STEPS + STEPS + 1) << shift) - 1;
}

static void record(struct histogram *histogram, uint64_t value)
{
    const uint64_t most = ((uint64_t)1 << MOST_BITS) - 1;
    value = value < most ? value : most;
    histogram->count++;
    histogram->counts[bucket_of(value)]++;
    if (value > histogram->largest)
        histogram->largest = value;
}

/* The least value, but for the width of a bucket, that so large a share does not exceed. */
static uint64_t percentile(const struct histogram *histogram, double percent)
{
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > 0 && (double)seen * 100 >= percent * (double)histogram->count)
            return top_of(bucket) < histogram->largest ? top_of(bucket) : histogram->largest;
    }
    return histogram->largest;
}

/* As a JSON object; `values_us` are pairs of a value and how often it, or a little less, came. */
static void print_histogram(const struct histogram *histogram)
{
    const char *comma = "";
    printf("{\"count\":%llu,\"p50_us\":%llu,\"p90_us\":%llu,\"p99_us\":%llu,\"p99.9_us\":%llu,"
           "\"max_us\":%llu,\"values_us\":[",
           (unsigned long long)histogram->count, (unsigned long long)percentile(histogram, 50),
           (unsigned long long)percentile(histogram, 90),
           (unsigned long long)percentile(histogram, 99),
           (unsigned long long)percentile(histogram, 99.9),
           (unsigned long long)histogram->largest);
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        if (histogram->counts[bucket] == 0)
            continue;
        uint64_t top = top_of(bucket) < histogram->largest ? top_of(bucket) : histogram->largest;
        printf("%s[%llu,%llu]", comma, (unsigned long long)top,
               (unsigned long long)histogram->counts[bucket]);
        comma = ",";
    }
    printf("]}");
}
