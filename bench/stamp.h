/* When a frame was sent, in its first samples: four bits a sample, the highest first.
 *
 * The first four bits are 1 in frames that count and 0 in those before; the others are microseconds
 * of CLOCK_MONOTONIC, so a stamp means something on the machine that wrote it, until its next boot.
 * The mu-law codes 0x80 to 0x8f decode to sixteen values 1,024 apart (G.711).
 */
#include <stdint.h>

enum { STAMP_SAMPLES = 16, STAMP_BITS = 4, STAMP_TIME_BITS = 60 };
enum { STAMP_CODE = 0x80, STAMP_LEAST = 16764, STAMP_STEP = 1024, STAMP_MOST = 15 };
enum { NANOSECONDS_PER_MICROSECOND = 1000 };
