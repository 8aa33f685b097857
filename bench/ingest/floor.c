/* The floor: what receiving the bytes of WebSocket calls costs at the very least.
 *
 * One thread, epoll, OpenSSL; without a certificate, plain TCP. It answers the upgrade request and the first message of each
 * connection with fixed bytes, and from then on only calls SSL_read (or recv) and adds up lengths: no
 * frame is parsed, unmasked or decoded. Read-ahead is on, so that a TLS record costs one read.
 *
 *     floor [CERTIFICATE KEY [SOCKET FRAME_BYTES]]
 *
 * With SOCKET it is a relay, the least that hands PCM on: it waits for one subscriber of a PCM stream on
 * that Unix socket, and gives it each frame of FRAME_BYTES stereo mu-law at once, decoded. It relies
 * on the generator: each TLS record is one frame with the same head.
 *
 * Prints "listening PORT", and on SIGTERM "received BYTES", then ends. Ends by itself after
 * LIFE_SECONDS whatever happens.
 */
#include "../server.h"

#include <stdint.h>
#include <sys/un.h>

enum { REQUEST_BYTES = 4096, MASK_AT = 4, PAYLOAD_AT = 8, LEAST_PAYLOAD = 126, MOST_PAYLOAD = 65535 };
enum { CHANNELS = 2, LAWS = 256, PCM_HEAD = 12, PCM_AUDIO_HEAD = 24 };
enum pcm_kind { PCM_HELLO = 1, PCM_AUDIO = 4, PCM_CLOSE = 7 };
enum stage { HANDSHAKE, REQUEST, OPEN_MESSAGE, AUDIO };

struct connection {
    int fd;
    SSL *ssl;
    enum stage stage;
    uint32_t number;   /* of the call, from 1 */
    uint64_t position; /* samples of a channel that were handed on */
    size_t request_bytes;
    char request[REQUEST_BYTES];
};

static unsigned long long received_bytes;
static int subscriber = -1; /* else this is a relay */
static int frame_bytes;     /* of audio in a frame; where this is a relay */
static uint32_t calls;
static int16_t decoded[LAWS];

static void end(struct connection *connection)
{
    SSL_free(connection->ssl); /* NULL is none */
    close(connection->fd);
    free(connection);
}

static void send_all(struct connection *connection, const void *bytes, int length)
{
    /* A few hundred bytes into an empty socket buffer: all or nothing. */
    int written = connection->ssl != NULL ? SSL_write(connection->ssl, bytes, length)
                                          : (int)send(connection->fd, bytes, (size_t)length, 0);
    if (written != length)
        die("write");
}

static void accept_upgrade(struct connection *connection)
{
    char response[RESPONSE_BYTES];
    int length = answer_upgrade(connection->request, response);
    if (length == 0)
        die("a request without Sec-WebSocket-Key");
    send_all(connection, response, length);
}

static void answer_opened(struct connection *connection)
{
    static const char body[] = "{\"type\":\"opened\"}";
    char frame[64] = {(char)0x81, sizeof body - 1};
    memcpy(frame + 2, body, sizeof body - 1);
    send_all(connection, frame, 2 + (int)sizeof body - 1);
}

/* What arrived in front of the audio. The peer waits for each answer, so that nothing that
 * belongs to the next stage is in the same read. */
static void take(struct connection *connection, const char *bytes, size_t length)
{
    if (connection->stage == OPEN_MESSAGE) {
        answer_opened(connection);
        connection->stage = AUDIO;
        connection->number = ++calls;
        return;
    }
    if (connection->request_bytes + length >= REQUEST_BYTES)
        die("a request that is too long");
    memcpy(connection->request + connection->request_bytes, bytes, length);
    connection->request_bytes += length;
    connection->request[connection->request_bytes] = 0;
    if (strstr(connection->request, "\r\n\r\n") != NULL) {
        accept_upgrade(connection);
        connection->stage = OPEN_MESSAGE;
    }
}

/* True while the connection lives. */
static int shake_hands(struct connection *connection)
{
    if (connection->ssl == NULL) {
        connection->stage = REQUEST;
        return 1;
    }
    int result = SSL_accept(connection->ssl);
    if (result == 1) {
        connection->stage = REQUEST;
        return 1;
    }
    return SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_READ;
}

/* G.711, mu-law. */
static void fill_decoded(void)
{
    for (int code = 0; code < LAWS; code++) {
        int law = ~code, magnitude = (((law & 15) << 3) + 132) << ((law & 0x70) >> 4);
        decoded[code] = (int16_t)(law & 0x80 ? 132 - magnitude : magnitude - 132);
    }
}

static void hand_on(const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(subscriber, bytes, length, 0);
        if (sent <= 0)
            die("the subscriber has gone");
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* The head of a frame of the PCM stream; this program runs where the low byte comes first. */
static void put_head(unsigned char *out, uint32_t length, enum pcm_kind kind, uint32_t call)
{
    uint32_t counted = length - 4;
    memset(out, 0, PCM_HEAD);
    memcpy(out, &counted, sizeof counted);
    out[4] = (unsigned char)kind;
    memcpy(out + 8, &call, sizeof call);
}

static void say(enum pcm_kind kind, const char *body)
{
    unsigned char frame[256];
    size_t length = PCM_HEAD + strlen(body);
    put_head(frame, (uint32_t)length, kind, 0);
    memcpy(frame + PCM_HEAD, body, strlen(body));
    hand_on(frame, length);
}

/* What the subscriber has said is read first: unread, it would break the stream off. */
static void end_stream(void)
{
    char unheard[1024];
    while (recv(subscriber, unheard, sizeof unheard, MSG_DONTWAIT) > 0)
        ;
    say(PCM_CLOSE, "{\"code\":\"stopping\",\"message\":\"told to\"}");
}

/* One frame of both channels, to the subscriber, in one write. */
static void relay(struct connection *connection, const unsigned char *bytes, int length)
{
    static unsigned char out[CHANNELS * PCM_AUDIO_HEAD + 2 * MOST_PAYLOAD];
    const unsigned char *mask = bytes + MASK_AT, *payload = bytes + PAYLOAD_AT;
    uint32_t samples = (uint32_t)frame_bytes / CHANNELS, size = PCM_AUDIO_HEAD + 2 * samples;
    if (length != PAYLOAD_AT + frame_bytes)
        die("a record that is not one frame");
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        unsigned char *frame = out + channel * size;
        put_head(frame, size, PCM_AUDIO, connection->number);
        frame[5] = (unsigned char)channel;
        memcpy(frame + PCM_HEAD, &samples, sizeof samples);
        memcpy(frame + PCM_HEAD + 4, &connection->position, sizeof connection->position);
        for (unsigned at = 0; at < samples; at++) {
            unsigned place = CHANNELS * at + channel;
            memcpy(frame + PCM_AUDIO_HEAD + 2 * at, &decoded[payload[place] ^ mask[place % 4]], 2);
        }
    }
    connection->position += samples;
    hand_on(out, (size_t)size * CHANNELS);
}

static void take_in(struct connection *connection, const char *bytes, int length)
{
    if (connection->stage != AUDIO) {
        take(connection, bytes, (size_t)length);
        return;
    }
    received_bytes += (unsigned long long)length;
    if (subscriber >= 0)
        relay(connection, (const unsigned char *)bytes, length);
}

static int read_plain(struct connection *connection)
{
    static char buffer[READ_BYTES];
    ssize_t length = recv(connection->fd, buffer, sizeof buffer, 0);
    if (length <= 0)
        return length < 0 && errno == EAGAIN;
    take_in(connection, buffer, (int)length);
    return 1;
}

static int read_some(struct connection *connection)
{
    static char buffer[READ_BYTES];
    do {
        int length = SSL_read(connection->ssl, buffer, sizeof buffer);
        if (length <= 0)
            return SSL_get_error(connection->ssl, length) == SSL_ERROR_WANT_READ;
        take_in(connection, buffer, length);
    } while (SSL_has_pending(connection->ssl));
    return 1;
}

static void serve(struct connection *connection)
{
    int lives = 1;
    if (connection->stage == HANDSHAKE)
        lives = shake_hands(connection);
    if (lives && connection->stage != HANDSHAKE)
        lives = connection->ssl != NULL ? read_some(connection) : read_plain(connection);
    ERR_clear_error();
    if (!lives)
        end(connection);
}

static void accept_all(int listener, int epoll, SSL_CTX *context)
{
    for (;;) {
        int fd = accept_one(listener);
        if (fd < 0)
            return;
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        if (context != NULL) {
            connection->ssl = SSL_new(context);
            SSL_set_fd(connection->ssl, fd);
        }
        watch(epoll, fd, connection);
    }
}

static void run(int listener, int epoll, SSL_CTX *context)
{
    struct epoll_event events[EVENTS];
    while (!told_to_stop) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int at = 0; at < count; at++) {
            if (events[at].data.ptr == NULL)
                accept_all(listener, epoll, context);
            else
                serve(events[at].data.ptr);
        }
    }
}

static int listen_for_subscriber(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0)
        die("listen");
    return listener;
}

int main(int argc, char **argv)
{
    frame_bytes = argc == 5 ? atoi(argv[4]) : 0;
    if ((argc != 1 && argc != 3 && argc != 5) ||
        (argc == 5 && (frame_bytes < LEAST_PAYLOAD || frame_bytes > MOST_PAYLOAD || frame_bytes % 2))) {
        fprintf(stderr, "usage: floor [CERTIFICATE KEY [SOCKET FRAME_BYTES]]\n");
        return 2;
    }
    prepare_process();
    SSL_CTX *context = argc > 1 ? make_context(argv[1], argv[2]) : NULL;
    int waiting = argc == 5 ? listen_for_subscriber(argv[3]) : -1;
    int listener = listen_on_loopback();
    if (waiting >= 0) {
        fill_decoded();
        subscriber = accept4(waiting, NULL, NULL, SOCK_CLOEXEC);
        say(PCM_HELLO, "{\"stream\":\"earhook-pcm\",\"version\":1,\"role\":\"gateway\"}");
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, NULL);
    run(listener, epoll, context);
    if (subscriber >= 0)
        end_stream();
    printf("received %llu\n", received_bytes);
    return 0;
}
