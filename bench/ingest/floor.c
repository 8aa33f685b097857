/* The floor: what receiving the bytes of WebSocket calls costs at the very least.
 *
 * One thread, epoll, OpenSSL; without a certificate, plain TCP. It answers the upgrade request and the first message of each
 * connection with fixed bytes, and from then on only calls SSL_read (or recv) and adds up lengths: no
 * frame is parsed, unmasked or decoded. Read-ahead is on, so that a TLS record costs one read.
 *
 *     floor [CERTIFICATE KEY]
 *
 * Prints "listening PORT", and on SIGTERM "received BYTES", then ends. Ends by itself after
 * LIFE_SECONDS whatever happens.
 */
#include "../server.h"

enum { REQUEST_BYTES = 4096 };
enum stage { HANDSHAKE, REQUEST, OPEN_MESSAGE, AUDIO };

struct connection {
    int fd;
    SSL *ssl;
    enum stage stage;
    size_t request_bytes;
    char request[REQUEST_BYTES];
};

static unsigned long long received_bytes;

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

static void take_in(struct connection *connection, const char *bytes, int length)
{
    if (connection->stage == AUDIO)
        received_bytes += (unsigned long long)length;
    else
        take(connection, bytes, (size_t)length);
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

int main(int argc, char **argv)
{
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: floor [CERTIFICATE KEY]\n");
        return 2;
    }
    prepare_process();
    SSL_CTX *context = argc == 3 ? make_context(argv[1], argv[2]) : NULL;
    int listener = listen_on_loopback();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, NULL);
    run(listener, epoll, context);
    printf("received %llu\n", received_bytes);
    return 0;
}
