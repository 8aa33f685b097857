/* A storm: TLS calls that are dialled at a fixed rate, and audio from each as soon as it is open.
 *
 * One thread, epoll, OpenSSL. What a call says is in FILE: for each of them its upgrade request and
 * its `open` in a masked frame, both with their length in front (32 bits, little-endian). It prints
 * one line of JSON: of each call, in microseconds, how late it was dialled, from then to the end of
 * TLS, from dialling to the answered upgrade, and from `open` to `opened`; and what the server used.
 *
 *     dialler HOST PORT SERVER_PID CALLS CALLS_PER_SECOND FILE
 *
 * CALLS_PER_SECOND 0 dials all of them at once. An answer to `open` is looked for before each step
 * of a handshake, so that our own handshakes do not count as the server's delay.
 */
#include "../client.h"

enum {
    ANSWER_BYTES = 4096,
    FRAME_BYTES = 3200,
    FRAME_NS = 200000000,
    STORM_SECONDS = 60,
    AFTER_NS = 1000000000,
    EVENTS = 64,
};
enum stage { HANDSHAKE, UPGRADE, OPEN, LIVE, LOST };

struct call {
    int fd;
    SSL *ssl;
    enum stage stage;
    int64_t due, dialled, secured, upgraded, asked, opened, next_frame;
    const unsigned char *request, *open;
    int request_bytes, open_bytes;
    size_t answer_bytes;
    char answer[ANSWER_BYTES];
};

static struct sockaddr_in server;
static clockid_t server_clock;
static struct call *calls, **live;
static unsigned count, live_count, lost;
static unsigned long long frames;
static int64_t lasted, server_cpu, own_cpu; /* until the last call was open, or lost */
static SSL_CTX *context;
static int greeting, opening; /* epolls: of handshakes and upgrades, and of calls with an `open` out */
static unsigned char frame[8 + FRAME_BYTES];

/* RFC 6455 section 5.2; a mask of zeros is a mask. */
static void build_frame(void)
{
    const unsigned char head[8] = {0x82, 0x80 | 126, FRAME_BYTES >> 8, FRAME_BYTES & 255};
    memcpy(frame, head, sizeof head);
    for (unsigned at = 0; at < FRAME_BYTES; at++)
        frame[sizeof head + at] = (unsigned char)(at * 2654435761U >> 24);
}

static void read_script(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die(path);
    for (unsigned number = 0; number < 2 * count; number++) {
        uint32_t length;
        if (fread(&length, sizeof length, 1, file) != 1 || length > 65535)
            die("the script is too short");
        unsigned char *bytes = malloc(length);
        if (fread(bytes, 1, length, file) != length)
            die("the script is too short");
        struct call *call = &calls[number / 2];
        if (number % 2 == 0) {
            call->request = bytes;
            call->request_bytes = (int)length;
        } else {
            call->open = bytes;
            call->open_bytes = (int)length;
        }
    }
    fclose(file);
}

static void watch(int epoll, struct call *call, uint32_t flags, int operation)
{
    struct epoll_event event = {.events = flags, .data.ptr = call};
    if (epoll_ctl(epoll, operation, call->fd, &event) != 0)
        die("epoll");
}

static void lose(struct call *call)
{
    hang_up(call->fd, call->ssl);
    call->stage = LOST;
    lost++;
}

static void dial(struct call *call)
{
    int on = 1;
    call->dialled = now();
    call->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(call->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(call->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS)
        die("connect");
    call->ssl = SSL_new(context);
    SSL_set_fd(call->ssl, call->fd);
    SSL_set_tlsext_host_name(call->ssl, "localhost");
    SSL_set_connect_state(call->ssl);
    watch(greeting, call, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

/* A kilobyte into an empty socket buffer: all or nothing. */
static void say(struct call *call, const void *bytes, int length)
{
    if (SSL_write(call->ssl, bytes, length) != length)
        lose(call);
}

/* 1: the answer holds `wish`; 0: not yet; -1: it is another one, or none. */
static int answered(struct call *call, const char *end, const char *wish)
{
    int room = (int)(ANSWER_BYTES - call->answer_bytes);
    int length = SSL_read(call->ssl, call->answer + call->answer_bytes, room);
    if (length <= 0)
        return SSL_get_error(call->ssl, length) == SSL_ERROR_WANT_READ ? 0 : -1;
    call->answer_bytes += (size_t)length;
    if (memmem(call->answer, call->answer_bytes, end, strlen(end)) == NULL)
        return 0;
    int right = memmem(call->answer, call->answer_bytes, wish, strlen(wish)) != NULL;
    if (!right && lost == 0)
        fprintf(stderr, "dialler: refused: %.*s\n", (int)call->answer_bytes, call->answer);
    call->answer_bytes = 0;
    return right ? 1 : -1;
}

static void shake_hands(struct call *call)
{
    int result = SSL_do_handshake(call->ssl);
    if (result == 1) {
        call->secured = now();
        call->stage = UPGRADE;
        watch(greeting, call, EPOLLIN, EPOLL_CTL_MOD);
        say(call, call->request, call->request_bytes);
        return;
    }
    int error = SSL_get_error(call->ssl, result);
    if (error == SSL_ERROR_WANT_READ)
        watch(greeting, call, EPOLLIN, EPOLL_CTL_MOD);
    else if (error != SSL_ERROR_WANT_WRITE)
        lose(call);
}

static void greet(struct call *call)
{
    if (call->stage == HANDSHAKE) {
        shake_hands(call);
        return;
    }
    int answer = answered(call, "\r\n\r\n", "HTTP/1.1 101 ");
    if (answer < 0) {
        lose(call);
    } else if (answer > 0) {
        call->upgraded = now();
        watch(greeting, call, 0, EPOLL_CTL_DEL);
        watch(opening, call, EPOLLIN, EPOLL_CTL_ADD);
        call->stage = OPEN;
        call->asked = now();
        say(call, call->open, call->open_bytes);
    }
}

static void hear_opened(struct call *call)
{
    int answer = answered(call, "}", "\"opened\"");
    if (answer < 0) {
        lose(call);
    } else if (answer > 0) {
        call->opened = now();
        call->stage = LIVE;
        call->next_frame = call->opened;
        watch(opening, call, 0, EPOLL_CTL_DEL);
        live[live_count++] = call;
    }
}

static void look_for_opened(void)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(opening, events, EVENTS, 0);
    for (int at = 0; at < ready; at++)
        hear_opened(events[at].data.ptr);
}

/* All calls have one period, so they are due in the order in which they were opened. */
static void send_frames(void)
{
    static unsigned next;
    for (; live_count > 0; next++) {
        if (next >= live_count)
            next = 0;
        struct call *call = live[next];
        if (call->next_frame > now())
            return;
        call->next_frame += FRAME_NS;
        if (call->stage == LIVE && SSL_write(call->ssl, frame, sizeof frame) == sizeof frame)
            frames++;
    }
}

static void turn(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(greeting, events, EVENTS, timeout_ms);
    for (int at = 0; at < ready; at++) {
        look_for_opened();
        struct call *call = events[at].data.ptr;
        if (call->stage < OPEN)
            greet(call);
    }
    look_for_opened();
    send_frames();
}

static void run_storm(double rate)
{
    int64_t start = now(), over = 0;
    int64_t cpu = read_clock(server_clock), own = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    unsigned dialled = 0;
    while (over == 0 || now() < over + AFTER_NS) {
        for (; dialled < count; dialled++) {
            struct call *call = &calls[dialled];
            call->due = start + (rate > 0 ? (int64_t)(dialled * (NANOSECONDS / rate)) : 0);
            if (call->due > now())
                break;
            dial(call);
        }
        turn(0);
        if (over == 0 && live_count + lost == count) {
            over = now();
            lasted = over - start;
            server_cpu = read_clock(server_clock) - cpu;
            own_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - own;
        }
        if (over == 0 && now() - start > (int64_t)STORM_SECONDS * NANOSECONDS)
            die("not all calls were answered in time");
    }
}

static void print_times(const char *name, size_t from, size_t to)
{
    printf(",\"%s\":[", name);
    const char *comma = "";
    for (unsigned at = 0; at < count; at++) {
        if (calls[at].stage != LIVE)
            continue;
        const char *call = (const char *)&calls[at];
        int64_t begin, end;
        memcpy(&begin, call + from, sizeof begin);
        memcpy(&end, call + to, sizeof end);
        printf("%s%lld", comma, (long long)((end - begin) / 1000));
        comma = ",";
    }
    printf("]");
}

#define TIMES(name, from, to) print_times(name, offsetof(struct call, from), offsetof(struct call, to))

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: dialler HOST PORT SERVER_PID CALLS CALLS_PER_SECOND FILE\n");
        return 2;
    }
    count = (unsigned)atoi(argv[4]);
    if (count == 0 || count > 100000)
        die("an argument out of range");
    find_server(argv[1], argv[2], argv[3], &server, &server_clock);
    prepare_files();
    context = make_client_context();
    calls = calloc(count, sizeof *calls);
    live = calloc(count, sizeof *live);
    greeting = epoll_create1(EPOLL_CLOEXEC);
    opening = epoll_create1(EPOLL_CLOEXEC);
    build_frame();
    read_script(argv[6]);
    run_storm(atof(argv[5]));
    printf("{\"lasted_ns\":%lld,\"server_cpu_ns\":%lld,\"own_cpu_ns\":%lld,\"opened\":%u,\"lost\":%u,"
           "\"frames\":%llu",
           (long long)lasted, (long long)server_cpu, (long long)own_cpu, live_count, lost, frames);
    TIMES("late_us", due, dialled);
    TIMES("secure_us", dialled, secured);
    TIMES("connect_us", dialled, upgraded);
    TIMES("opened_us", asked, opened);
    printf("}\n");
    return 0;
}
