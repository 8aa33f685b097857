/* The load: AudioHook calls, over TLS or plain TCP, that send audio on a fixed schedule.
 *
 * One thread, epoll, OpenSSL. It opens all calls (upgrade with an API key, `open`, waits for
 * `opened`), sends frames spread evenly over time for WARM and then WINDOW seconds, and prints
 * one line of JSON: what was due and sent in the window, and the CPU time that the server's
 * process used in it and for opening the calls. All frames are the same masked binary frame of mu-law noise.
 *
 *     generator HOST PORT SERVER_PID tls|plain CALLS FRAMES_PER_SECOND FRAME_BYTES WARM WINDOW [stamped]
 *
 * "stamped" (TLS only): each frame says in the first samples of the external channel when it was handed to
 * TLS, and whether it counts, which frames of the window do (../stamp.h). The line then has how many
 * were stamped so, and how late they were: from when they were due until the stamp.
 *
 * A call whose socket is full owes its frames, at most a second's worth; what is beyond that is
 * never sent and shows as due but not sent. After the window nothing is sent, and a second
 * reading is taken when the server has come to rest, for loads that it could not keep up with.
 */
#include "../client.h"
#include "../histogram.h"
#include "../stamp.h"

enum {
    IN_FLIGHT = 64, /* calls being opened at a time; below a gateway's limit for one address */
    OPEN_SECONDS = 120,
    REST_SECONDS = 20,
    EVENTS = 512,
    BATCH = 64, /* frames between two looks at the sockets */
    ANSWER_BYTES = 2048,
    MAX_FRAME_BYTES = 65535,
    LOOK_NS = 5000000,
    REST_NS = 250000000,
};
enum stage { CLOSED, HANDSHAKE, UPGRADE, OPEN, LIVE };

struct call {
    int fd;
    SSL *ssl;
    enum stage stage;
    unsigned owed;
    int64_t due; /* the last frame that is owed */
    int blocked;
    int begun; /* TLS holds a frame of which not all is written yet */
    size_t put_bytes; /* without TLS: of the frame that is being sent */
    size_t answer_bytes;
    char answer[ANSWER_BYTES];
};

struct reading {
    int64_t at, server_cpu, own_cpu;
    uint64_t sent;
};

static struct {
    struct sockaddr_in server;
    pid_t server_pid;
    clockid_t server_clock;
    int tls, stamped;
    unsigned calls, rate, frame_bytes;
    double warm_seconds, window_seconds;
} load;
static struct call *calls;
static SSL_CTX *context;
static int epoll;
static unsigned opened, lost;
static uint64_t sent, dropped;
static int64_t opening_cpu; /* of the server: handshakes, upgrades and `opened` of all calls */
static unsigned char frame[8 + MAX_FRAME_BYTES];
static int frame_length;
static int in_window;
static struct histogram lateness; /* of the frames that count */
static const unsigned char MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

static struct reading take_reading(void)
{
    return (struct reading){now(), read_clock(load.server_clock),
                            read_clock(CLOCK_PROCESS_CPUTIME_ID), sent};
}

/* RFC 6455 section 5.2: final, masked, 16-bit length where 7 bits do not do. */
static int build_frame(unsigned char *out, int opcode, const unsigned char *payload, size_t length)
{
    size_t at = 0;
    out[at++] = (unsigned char)(0x80 | opcode);
    if (length < 126) {
        out[at++] = (unsigned char)(0x80 | length);
    } else {
        out[at++] = 0x80 | 126;
        out[at++] = (unsigned char)(length >> 8);
        out[at++] = (unsigned char)length;
    }
    memcpy(out + at, MASK, sizeof MASK);
    at += sizeof MASK;
    for (size_t byte = 0; byte < length; byte++)
        out[at++] = payload[byte] ^ MASK[byte % sizeof MASK];
    return (int)at;
}

static void build_audio(void)
{
    static unsigned char noise[MAX_FRAME_BYTES];
    uint32_t state = 0x2545f491;
    for (unsigned at = 0; at < load.frame_bytes; at++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        noise[at] = (unsigned char)(state >> 24);
    }
    frame_length = build_frame(frame, 2, noise, load.frame_bytes);
}

/* Writes into the frame that it is sent now. */
static void stamp(const struct call *call)
{
    int64_t time = now();
    uint64_t bits = (uint64_t)in_window << STAMP_TIME_BITS |
                    (uint64_t)(time / NANOSECONDS_PER_MICROSECOND);
    unsigned char *payload = frame + frame_length - load.frame_bytes;
    for (unsigned sample = 0; sample < STAMP_SAMPLES; sample++) {
        unsigned place = 2 * sample; /* the other channel lies between */
        uint64_t own = bits >> (STAMP_BITS * (STAMP_SAMPLES - 1 - sample)) & STAMP_MOST;
        payload[place] = (unsigned char)(STAMP_CODE | own) ^ MASK[place % sizeof MASK];
    }
    int64_t due = call->due - (int64_t)(call->owed - 1) * NANOSECONDS / load.rate;
    if (in_window)
        record(&lateness, (uint64_t)(time - due) / NANOSECONDS_PER_MICROSECOND);
}

static void watch(struct call *call, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = call};
    epoll_ctl(epoll, operation, call->fd, &event);
}

static void reset(struct call *call)
{
    hang_up(call->fd, call->ssl);
    call->stage = CLOSED;
}

/* Writes all of it (its length), or not yet (0: try again with the same), or never (-1). */
static int put(struct call *call, const void *bytes, int length)
{
    if (call->ssl != NULL) {
        int written = SSL_write(call->ssl, bytes, length);
        if (written == length)
            return length;
        return SSL_get_error(call->ssl, written) == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    const char *rest = (const char *)bytes + call->put_bytes;
    ssize_t written = send(call->fd, rest, (size_t)length - call->put_bytes, MSG_NOSIGNAL);
    if (written < 0)
        return errno == EAGAIN ? 0 : -1;
    call->put_bytes += (size_t)written;
    if (call->put_bytes < (size_t)length)
        return 0;
    call->put_bytes = 0;
    return length;
}

/* Reads something (how much), nothing yet (0), or the end (-1). */
static int get(struct call *call, void *bytes, int room)
{
    if (call->ssl != NULL) {
        int length = SSL_read(call->ssl, bytes, room);
        if (length > 0)
            return length;
        return SSL_get_error(call->ssl, length) == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    ssize_t length = recv(call->fd, bytes, (size_t)room, 0);
    if (length > 0)
        return (int)length;
    return length < 0 && errno == EAGAIN ? 0 : -1;
}

static void begin_call(struct call *call)
{
    int on = 1;
    call->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(call->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(call->fd, (struct sockaddr *)&load.server, sizeof load.server) != 0 &&
        errno != EINPROGRESS)
        die("connect");
    if (load.tls) {
        call->ssl = SSL_new(context);
        SSL_set_fd(call->ssl, call->fd);
        SSL_set_tlsext_host_name(call->ssl, "localhost");
        SSL_set_connect_state(call->ssl);
    }
    call->stage = HANDSHAKE;
    watch(call, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void write_whole(struct call *call, const void *bytes, int length)
{
    /* A kilobyte into an empty socket buffer: all or nothing. */
    if (put(call, bytes, length) != length)
        die("write");
}

static void session_id(const struct call *call, char *out)
{
    sprintf(out, "%08x-0000-4000-8000-%012x", (unsigned)getpid(), (unsigned)(call - calls));
}

static void send_upgrade(struct call *call)
{
    char id[64], request[1024];
    session_id(call, id);
    int length = snprintf(
        request, sizeof request,
        "GET /audiohook HTTP/1.1\r\nHost: localhost:%d\r\nUser-Agent: GenesysCloud-AudioHook-Client\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-API-KEY: bench\r\n"
        "Audiohook-Organization-Id: 6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f\r\n"
        "Audiohook-Session-Id: %s\r\nAudiohook-Correlation-Id: %s\r\n\r\n",
        ntohs(load.server.sin_port), id, id);
    write_whole(call, request, length);
}

static void send_open(struct call *call)
{
    char id[64], message[1024];
    unsigned char masked[1100];
    session_id(call, id);
    int length = snprintf(
        message, sizeof message,
        "{\"version\":\"2\",\"id\":\"%s\",\"type\":\"open\",\"seq\":1,\"position\":\"PT0.0S\",\"parameters\":"
        "{\"organizationId\":\"6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f\",\"conversationId\":\"%s\","
        "\"participant\":{\"id\":\"%s\",\"ani\":\"tel:+15550100\",\"aniName\":\"Bench\",\"dnis\":\"+15550199\"},"
        "\"media\":[{\"type\":\"audio\",\"format\":\"PCMU\",\"channels\":[\"external\",\"internal\"],"
        "\"rate\":8000}]},\"serverseq\":0}",
        id, id, id);
    int masked_length = build_frame(masked, 1, (unsigned char *)message, (size_t)length);
    write_whole(call, masked, masked_length);
}

/* Takes in an answer until it holds `end`; then it must hold `wish`. True when it does. */
static int answered(struct call *call, const char *end, const char *wish)
{
    size_t room = ANSWER_BYTES - call->answer_bytes;
    int length = get(call, call->answer + call->answer_bytes, (int)room);
    if (length < 0)
        die("a call ended while it was opened");
    if (length == 0)
        return 0;
    call->answer_bytes += (size_t)length;
    if (memmem(call->answer, call->answer_bytes, end, strlen(end)) == NULL)
        return 0;
    if (memmem(call->answer, call->answer_bytes, wish, strlen(wish)) == NULL) {
        fprintf(stderr, "generator: refused: %.*s\n", (int)call->answer_bytes, call->answer);
        exit(1);
    }
    call->answer_bytes = 0;
    return 1;
}

/* True when nothing of TCP or TLS stands before the first request any more. */
static int shook_hands(const struct call *call)
{
    if (call->ssl == NULL) {
        int fault = 0;
        socklen_t size = sizeof fault;
        getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &fault, &size);
        if (fault != 0)
            die("connect");
        return 1; /* a socket that can be written to is connected */
    }
    int result = SSL_do_handshake(call->ssl);
    int error = SSL_get_error(call->ssl, result);
    if (result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        die("TLS handshake");
    return result == 1;
}

/* One step of opening. True when the call is live. */
static int advance(struct call *call)
{
    if (call->stage == HANDSHAKE) {
        if (!shook_hands(call))
            return 0;
        watch(call, EPOLLIN, EPOLL_CTL_MOD);
        send_upgrade(call);
        call->stage = UPGRADE;
    }
    if (call->stage == UPGRADE && answered(call, "\r\n\r\n", "HTTP/1.1 101 ")) {
        send_open(call);
        call->stage = OPEN;
    } else if (call->stage == OPEN && answered(call, "}", "\"opened\"")) {
        call->stage = LIVE;
        return 1;
    }
    return 0;
}

static void open_calls(void)
{
    struct epoll_event events[EVENTS];
    unsigned begun = 0;
    int64_t deadline = now() + (int64_t)OPEN_SECONDS * NANOSECONDS;
    while (opened < load.calls) {
        while (begun < load.calls && begun - opened < IN_FLIGHT)
            begin_call(&calls[begun++]);
        int count = epoll_wait(epoll, events, EVENTS, 1000);
        for (int at = 0; at < count; at++) {
            struct call *call = events[at].data.ptr;
            if (call->stage != LIVE)
                opened += (unsigned)advance(call);
        }
        if (now() > deadline)
            die("not all calls were opened in time");
    }
}

static void set_blocked(struct call *call, int blocked)
{
    if (call->blocked != blocked)
        watch(call, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    call->blocked = blocked;
}

/* Sends what is owed. A write can be tried again later: without stamps the frame is the same each
 * time, and with TLS what is tried again is the record that was made of it the first time. */
static void send_owed(struct call *call)
{
    while (call->owed > 0) {
        if (load.stamped && !call->begun)
            stamp(call);
        int length = put(call, frame, frame_length);
        call->begun = length == 0;
        if (length == 0) {
            set_blocked(call, 1);
            return;
        }
        if (length < 0) {
            lost++;
            reset(call);
            return;
        }
        call->owed--;
        sent++;
    }
    set_blocked(call, 0);
}

static void fall_due(struct call *call, int64_t due)
{
    if (call->stage != LIVE)
        return;
    if (call->owed == load.rate) {
        dropped++;
        return;
    }
    call->owed++;
    call->due = due;
    if (!call->blocked)
        send_owed(call);
}

static void drop_input(struct call *call)
{
    char buffer[ANSWER_BYTES];
    if (get(call, buffer, sizeof buffer) < 0) {
        lost++;
        reset(call);
    }
}

static void look_at_sockets(int sends)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, 0);
    for (int at = 0; at < count; at++) {
        struct call *call = events[at].data.ptr;
        if (events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            drop_input(call);
        if (sends && call->stage == LIVE && events[at].events & EPOLLOUT)
            send_owed(call);
    }
}

static void sleep_until(int64_t due)
{
    struct timespec time = {due / NANOSECONDS, due % NANOSECONDS};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* Sends on schedule until `end`; frame k of all calls together is due at start + k * spacing. */
static uint64_t send_until(int64_t start, int64_t end, uint64_t number)
{
    double spacing = (double)NANOSECONDS / ((double)load.calls * load.rate);
    int64_t look = now();
    for (;;) {
        int64_t time = now();
        int64_t due = start + (int64_t)((double)number * spacing);
        if (time >= end)
            return number;
        for (int batch = 0; batch < BATCH && due <= time && due < end; batch++) {
            fall_due(&calls[number++ % load.calls], due);
            due = start + (int64_t)((double)number * spacing);
        }
        if (time >= look) {
            look_at_sockets(1);
            look = time + LOOK_NS;
        }
        int64_t next = due < look ? due : look;
        if (next > time)
            sleep_until(next < end ? next : end);
    }
}

/* Waits until the server uses less than a tenth of a core, and reads again. */
static struct reading wait_for_rest(void)
{
    int64_t deadline = now() + (int64_t)REST_SECONDS * NANOSECONDS;
    struct reading before = take_reading();
    for (;;) {
        sleep_until(before.at + REST_NS);
        look_at_sockets(0);
        struct reading after = take_reading();
        if (after.server_cpu - before.server_cpu < REST_NS / 10 || after.at > deadline)
            return after;
        before = after;
    }
}

static long server_memory_kib(void)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)load.server_pid);
    FILE *status = fopen(path, "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmRSS: %ld", &kib);
    if (status != NULL)
        fclose(status);
    return kib;
}

static void report(struct reading begin, struct reading end, struct reading rest, uint64_t due)
{
    printf("{\"cipher\":\"%s\",\"opening_cpu_ns\":%lld,\"window_ns\":%lld,\"due\":%llu,\"sent\":%llu,"
           "\"server_cpu_ns\":%lld,\"own_cpu_ns\":%lld,\"rest_ns\":%lld,\"rest_sent\":%llu,"
           "\"rest_cpu_ns\":%lld,\"sent_in_all\":%llu,\"dropped_in_all\":%llu,\"lost_calls\":%u,"
           "\"server_memory_kib\":%ld",
           calls[0].ssl == NULL ? "none" : SSL_get_cipher(calls[0].ssl), (long long)opening_cpu,
           (long long)(end.at - begin.at), (unsigned long long)due,
           (unsigned long long)(end.sent - begin.sent),
           (long long)(end.server_cpu - begin.server_cpu),
           (long long)(end.own_cpu - begin.own_cpu), (long long)(rest.at - begin.at),
           (unsigned long long)(rest.sent - begin.sent),
           (long long)(rest.server_cpu - begin.server_cpu), (unsigned long long)sent,
           (unsigned long long)dropped, lost, server_memory_kib());
    if (load.stamped) {
        printf(",\"lateness\":");
        print_histogram(&lateness);
    }
    printf("}\n");
    fflush(stdout);
}

static void run(void)
{
    int64_t start = now();
    int64_t middle = start + (int64_t)(load.warm_seconds * NANOSECONDS);
    int64_t finish = middle + (int64_t)(load.window_seconds * NANOSECONDS);
    uint64_t number = send_until(start, middle, 0);
    struct reading begin = take_reading();
    in_window = 1;
    send_until(start, finish, number);
    struct reading end = take_reading();
    double seconds = (double)(end.at - begin.at) / NANOSECONDS;
    uint64_t due = (uint64_t)(seconds * load.calls * load.rate + 0.5);
    report(begin, end, wait_for_rest(), due);
}

static void read_arguments(int argc, char **argv)
{
    load.server_pid = atoi(argv[3]);
    load.tls = strcmp(argv[4], "tls") == 0;
    load.calls = (unsigned)atoi(argv[5]);
    load.rate = (unsigned)atoi(argv[6]);
    load.frame_bytes = (unsigned)atoi(argv[7]);
    load.warm_seconds = atof(argv[8]);
    load.window_seconds = atof(argv[9]);
    load.stamped = argc == 11;
    if (load.stamped && (strcmp(argv[10], "stamped") != 0 || !load.tls ||
                         load.frame_bytes < 2 * STAMP_SAMPLES))
        die("only TLS calls with room for it are stamped");
    if (load.calls == 0 || load.rate == 0 || load.frame_bytes == 0 ||
        load.frame_bytes > MAX_FRAME_BYTES || load.warm_seconds + load.window_seconds > 300)
        die("an argument out of range");
    find_server(argv[1], argv[2], argv[3], &load.server, &load.server_clock);
}

int main(int argc, char **argv)
{
    if (argc != 10 && argc != 11) {
        fprintf(stderr, "usage: generator HOST PORT SERVER_PID tls|plain CALLS "
                        "FRAMES_PER_SECOND FRAME_BYTES WARM WINDOW [stamped]\n");
        return 2;
    }
    read_arguments(argc, argv);
    prepare_files();
    context = make_client_context();
    calls = calloc(load.calls, sizeof *calls);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    build_audio();
    struct reading before = take_reading();
    open_calls();
    opening_cpu = take_reading().server_cpu - before.server_cpu;
    run();
    for (unsigned at = 0; at < load.calls; at++)
        if (calls[at].stage == LIVE)
            reset(&calls[at]);
    return 0;
}
