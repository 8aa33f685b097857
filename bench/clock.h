/* Clocks of the small programs that measure. */
#include <stdint.h>
#include <time.h>

enum { NANOSECONDS = 1000000000 };

static int64_t read_clock(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        die("a clock");
    return (int64_t)time.tv_sec * NANOSECONDS + time.tv_nsec;
}

static int64_t now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}
