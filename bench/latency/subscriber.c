/* How old PCM is when a subscriber has it: reads the stamps that the generator has written.
 *
 * Takes every sample of every call from a PCM stream on a Unix socket, and wants it without fault:
 * no gap, no sample twice or out of order, stamps that rise, whole frames in both channels, and
 * "stopping" in the end. Anything else is said on stderr, and the exit code is 1.
 *
 *     subscriber PATH SAMPLES_PER_FRAME
 *
 * SAMPLES_PER_FRAME is that of one channel of a frame that a peer sent. A frame's age is the time
 * from its stamp until the last sample of the stamp has been read from the socket. Prints
 * "subscribed" when the gateway has answered, and at the end a line of JSON: how many frames came,
 * the ages of those that count, and the CPU time that was used since the first that counts.
 */
#include "../process.h"

#include "../clock.h"
#include "../histogram.h"
#include "../stamp.h"

#include <endian.h>
#include <stdarg.h>
#include <sys/un.h>

enum { HEADER_BYTES = 12, AUDIO_HEADER_BYTES = 24, MOST_FRAME_BYTES = 1 << 20 };
enum { CHANNELS = 2, MOST_CALLS = 1 << 16, PATIENCE_SECONDS = 600 };
enum kind { HELLO = 1, SUBSCRIBE = 2, AUDIO = 4, GAP = 5, CLOSE = 7 };

struct call {
    uint64_t position[CHANNELS]; /* of the sample that must come next */
    uint64_t stamp, last_time;
};

static struct call calls[MOST_CALLS];
static unsigned frame_samples;
static struct histogram ages;
static uint64_t frames;
static int greeted, stopping;
static int64_t cpu_before;

__attribute__((format(printf, 1, 2), noreturn)) static void refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "subscriber: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    exit(1);
}

static uint32_t read_u32(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

static uint64_t read_u64(const unsigned char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

static void take_stamp(unsigned number, uint64_t stamp, int64_t received_ns)
{
    uint64_t received = (uint64_t)received_ns / NANOSECONDS_PER_MICROSECOND;
    uint64_t time = stamp & (((uint64_t)1 << STAMP_TIME_BITS) - 1), counts = stamp >> STAMP_TIME_BITS;
    if (time <= calls[number].last_time || time > received || counts > 1)
        refuse("call %u: a stamp of %llu us after one of %llu, read at %llu", number,
               (unsigned long long)time, (unsigned long long)calls[number].last_time,
               (unsigned long long)received);
    calls[number].last_time = time;
    frames++;
    if (!counts)
        return;
    if (ages.count == 0)
        cpu_before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    record(&ages, received - time);
}

/* Only looks at the samples that are stamps. A stamp may come in pieces. */
static void take_external(unsigned number, const unsigned char *pcm, uint64_t position,
                          uint32_t samples, int64_t received_ns)
{
    for (uint32_t at = 0; at < samples;) {
        unsigned within = (unsigned)((position + at) % frame_samples);
        if (within >= STAMP_SAMPLES) {
            at += frame_samples - within;
            continue;
        }
        int value = (int16_t)(pcm[2 * at] | pcm[2 * at + 1] << 8), steps = value - STAMP_LEAST;
        if (steps < 0 || steps % STAMP_STEP != 0)
            refuse("call %u: %d at position %llu is no part of a stamp", number, value,
                   (unsigned long long)(position + at));
        uint64_t bits = (uint64_t)(STAMP_MOST - steps / STAMP_STEP);
        calls[number].stamp = calls[number].stamp << STAMP_BITS | bits;
        if (within == STAMP_SAMPLES - 1)
            take_stamp(number, calls[number].stamp, received_ns);
        at++;
    }
}

static void take_audio(const unsigned char *frame, uint32_t bytes, unsigned number,
                       int64_t received_ns)
{
    unsigned channel = frame[5];
    if (bytes < AUDIO_HEADER_BYTES || channel >= CHANNELS)
        refuse("call %u: no audio", number);
    uint32_t samples = read_u32(frame + HEADER_BYTES);
    uint64_t position = read_u64(frame + HEADER_BYTES + 4), *next = calls[number].position;
    if (bytes != AUDIO_HEADER_BYTES + 2 * (uint64_t)samples)
        refuse("call %u: %u samples in %u bytes", number, samples, bytes);
    if (position != next[channel])
        refuse("call %u, channel %u: audio at position %llu, not %llu", number, channel,
               (unsigned long long)position, (unsigned long long)next[channel]);
    next[channel] += samples;
    if (channel == 0)
        take_external(number, frame + AUDIO_HEADER_BYTES, position, samples, received_ns);
}

static void take(const unsigned char *frame, uint32_t bytes, int64_t received_ns)
{
    unsigned kind = frame[4], number = read_u32(frame + 8);
    if (number >= MOST_CALLS)
        refuse("more than %d calls", MOST_CALLS - 1);
    if (kind == AUDIO)
        take_audio(frame, bytes, number, received_ns);
    else if (kind == GAP)
        refuse("call %u: a gap", number);
    else if (kind == CLOSE && number == 0)
        stopping = memmem(frame, bytes, "\"stopping\"", 10) != NULL;
    else if (kind == HELLO && !greeted) {
        greeted = 1;
        printf("subscribed\n");
        fflush(stdout);
    }
}

/* To the end of the stream. */
static void read_stream(int fd)
{
    static unsigned char buffer[2 * MOST_FRAME_BYTES];
    size_t filled = 0;
    for (;;) {
        ssize_t length = recv(fd, buffer + filled, sizeof buffer - filled, 0);
        int64_t received_ns = now();
        if (length < 0)
            die("recv");
        if (length == 0)
            break;
        filled += (size_t)length;
        size_t at = 0;
        while (filled - at >= HEADER_BYTES) {
            uint64_t bytes = 4 + (uint64_t)read_u32(buffer + at);
            if (bytes < HEADER_BYTES || bytes > MOST_FRAME_BYTES)
                refuse("a frame of %llu bytes", (unsigned long long)bytes);
            if (filled - at < bytes)
                break;
            take(buffer + at, (uint32_t)bytes, received_ns);
            at += bytes;
        }
        filled -= at;
        memmove(buffer, buffer + at, filled);
    }
    if (filled > 0 || !stopping)
        refuse("the stream broke off");
}

static void say(int fd, enum kind kind, const char *body)
{
    unsigned char frame[512] = {[4] = (unsigned char)kind};
    uint32_t bytes = htole32((uint32_t)(HEADER_BYTES - 4 + strlen(body)));
    memcpy(frame, &bytes, sizeof bytes);
    memcpy(frame + HEADER_BYTES, body, strlen(body));
    size_t length = HEADER_BYTES + strlen(body);
    if (send(fd, frame, length, MSG_NOSIGNAL) != (ssize_t)length)
        die("send");
}

static int subscribe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        refuse("the path of the socket is too long");
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    say(fd, HELLO, "{\"stream\":\"earhook-pcm\",\"version\":1,\"role\":\"consumer\","
                   "\"name\":\"latency\",\"capabilities\":[]}");
    say(fd, SUBSCRIBE,
        "{\"filter\":{\"channels\":[\"external\",\"internal\"]},\"start\":\"start\"}");
    return fd;
}

static void report(void)
{
    int64_t cpu = ages.count > 0 ? read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu_before : 0;
    for (unsigned number = 0; number < MOST_CALLS; number++) {
        const uint64_t *position = calls[number].position;
        if (position[0] != position[1] || position[0] % frame_samples != 0)
            refuse("call %u ends at position %llu and %llu", number,
                   (unsigned long long)position[0], (unsigned long long)position[1]);
    }
    printf("{\"frames\":%llu,\"own_cpu_ns\":%lld,\"ages\":", (unsigned long long)frames,
           (long long)cpu);
    print_histogram(&ages);
    printf("}\n");
}

int main(int argc, char **argv)
{
    frame_samples = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
    if (frame_samples < STAMP_SAMPLES) {
        fprintf(stderr, "usage: subscriber PATH SAMPLES_PER_FRAME\n");
        return 2;
    }
    prepare_files();
    alarm(PATIENCE_SECONDS);
    read_stream(subscribe(argv[1]));
    report();
    return 0;
}
