/* A hollow AudioHook server: the cheapest one that a generator of calls can be measured against.
 *
 * One thread, epoll, OpenSSL. It upgrades whoever asks, answers `open` (with the first offer),
 * `ping` and `close` as the protocol wants, counts binary frames and looks at none of their bytes.
 *
 *     hollow [CERTIFICATE KEY]
 *
 * Without a certificate it speaks plain ws. Prints "listening PORT", and on SIGTERM "received
 * FRAMES BYTES", then ends. Ends by itself after LIFE_SECONDS whatever happens.
 */
#include "../server.h"

#include <stdarg.h>

enum { TEXT_BYTES = 4096, HEAD_BYTES = 14, UUID_BYTES = 36 };
enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8 };

struct connection {
    int fd;
    SSL *ssl; /* NULL: plain */
    int shakes_hands, upgraded, seq;
    unsigned char head[HEAD_BYTES];
    size_t head_bytes, text_bytes;
    unsigned long long left; /* of the payload of this frame */
    char text[TEXT_BYTES];   /* the request, then the payload of a text frame */
};

static unsigned long long received_frames, received_bytes;
static SSL_CTX *context;

static void end(struct connection *connection)
{
    if (connection->ssl != NULL)
        SSL_free(connection->ssl);
    close(connection->fd);
    free(connection);
}

/* A few hundred bytes into an empty socket buffer: all, or the peer has gone. */
static int send_all(struct connection *connection, const char *bytes, int length)
{
    if (connection->ssl != NULL)
        return SSL_write(connection->ssl, bytes, length) == length;
    return send(connection->fd, bytes, (size_t)length, MSG_NOSIGNAL) == length;
}

static int accept_upgrade(struct connection *connection)
{
    char response[RESPONSE_BYTES];
    int length = answer_upgrade(connection->text, response);
    return length > 0 && send_all(connection, response, length);
}

__attribute__((format(printf, 2, 3))) static int say(struct connection *connection,
                                                     const char *format, ...)
{
    char room[1024], *frame = room;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(room + 4, sizeof room - 4, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof room - 4)
        return 0;
    if (length < 126) {
        frame += 2; /* the shortest form of a length is the only legal one */
        frame[1] = (char)length;
    } else {
        frame[1] = 126;
        frame[2] = (char)(length >> 8);
        frame[3] = (char)length;
    }
    frame[0] = (char)(0x80 | TEXT);
    return send_all(connection, frame, (int)(room + 4 + length - frame));
}

/* The peer writes its keys in one order and without spaces: no more is understood. */
static int answer(struct connection *connection)
{
    const char *text = connection->text, *id = strstr(text, "\"id\":\""), *end_of_media;
    const char *type = strstr(text, "\"type\":\""), *seq = strstr(text, "\"seq\":");
    if (id == NULL || type == NULL || seq == NULL)
        return 0;
    id += strlen("\"id\":\"");
    type += strlen("\"type\":\"");
    const char *word = NULL, *parameters = "{}";
    char opened[512];
    if (strncmp(type, "open\"", 5) == 0) {
        const char *media = strstr(text, "\"media\":[{");
        if (media == NULL || (end_of_media = strchr(media, '}')) == NULL)
            return 0;
        snprintf(opened, sizeof opened, "{%.*s]}", (int)(end_of_media + 1 - media), media);
        word = "opened", parameters = opened;
    } else if (strncmp(type, "ping\"", 5) == 0) {
        word = "pong";
    } else if (strncmp(type, "close\"", 6) == 0) {
        word = "closed";
    }
    if (word == NULL)
        return 1;
    return say(connection,
               "{\"version\":\"2\",\"id\":\"%.*s\",\"type\":\"%s\",\"seq\":%d,\"clientseq\":%d,"
               "\"parameters\":%s}",
               UUID_BYTES, id, word, ++connection->seq, atoi(seq + strlen("\"seq\":")), parameters);
}

static size_t head_length(const struct connection *connection)
{
    const unsigned char *head = connection->head;
    if (connection->head_bytes < 2)
        return 2;
    size_t length = (head[1] & 0x7f) == 127 ? 10 : (head[1] & 0x7f) == 126 ? 4 : 2;
    return length + (head[1] & 0x80 ? 4 : 0);
}

static void read_head(struct connection *connection)
{
    const unsigned char *head = connection->head;
    int size = (head[1] & 0x7f) == 127 ? 8 : (head[1] & 0x7f) == 126 ? 2 : 0;
    connection->left = size == 0 ? head[1] & 0x7f : 0;
    for (int at = 0; at < size; at++)
        connection->left = connection->left << 8 | head[2 + at];
    connection->text_bytes = 0;
}

/* A whole frame is here; false when the connection is over. */
static int take_frame(struct connection *connection)
{
    const unsigned char *mask = connection->head + connection->head_bytes - 4;
    int opcode = connection->head[0] & 0x0f;
    connection->head_bytes = 0;
    if (opcode == BINARY) {
        received_frames++;
        return 1;
    }
    if (opcode == CLOSE) {
        static const char close_frame[] = {(char)(0x80 | CLOSE), 0};
        send_all(connection, close_frame, sizeof close_frame);
        return 0;
    }
    for (size_t at = 0; at < connection->text_bytes; at++)
        connection->text[at] ^= (char)mask[at % 4];
    connection->text[connection->text_bytes] = 0;
    return opcode == TEXT ? answer(connection) : 1;
}

static int take_payload(struct connection *connection, const char *bytes, size_t length)
{
    connection->left -= length;
    if ((connection->head[0] & 0x0f) == BINARY) {
        received_bytes += length;
        return 1;
    }
    if (connection->text_bytes + length >= TEXT_BYTES)
        return 0;
    memcpy(connection->text + connection->text_bytes, bytes, length);
    connection->text_bytes += length;
    return 1;
}

static int take_frames(struct connection *connection, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t wanted;
        while (length > 0 && connection->head_bytes < (wanted = head_length(connection))) {
            connection->head[connection->head_bytes++] = (unsigned char)*bytes++;
            length--;
            if (connection->head_bytes == head_length(connection))
                read_head(connection);
        }
        if (connection->head_bytes < head_length(connection))
            return 1;
        size_t here = length < connection->left ? length : (size_t)connection->left;
        if (!take_payload(connection, bytes, here))
            return 0;
        bytes += here;
        length -= here;
        if (connection->left == 0 && !take_frame(connection))
            return 0;
    }
    return 1;
}

static int take(struct connection *connection, const char *bytes, size_t length)
{
    if (connection->upgraded)
        return take_frames(connection, bytes, length);
    if (connection->text_bytes + length >= TEXT_BYTES)
        return 0;
    memcpy(connection->text + connection->text_bytes, bytes, length);
    connection->text_bytes += length;
    connection->text[connection->text_bytes] = 0;
    if (strstr(connection->text, "\r\n\r\n") == NULL)
        return 1;
    connection->upgraded = 1;
    return accept_upgrade(connection);
}

/* True while the connection lives. */
static int read_some(struct connection *connection)
{
    static char buffer[READ_BYTES];
    if (connection->ssl == NULL) {
        ssize_t length = recv(connection->fd, buffer, sizeof buffer, 0);
        if (length < 0)
            return errno == EAGAIN || errno == EINTR;
        return length > 0 && take(connection, buffer, (size_t)length);
    }
    if (connection->shakes_hands) {
        int result = SSL_accept(connection->ssl);
        if (result != 1)
            return SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_READ;
        connection->shakes_hands = 0;
    }
    do {
        int length = SSL_read(connection->ssl, buffer, sizeof buffer);
        if (length <= 0)
            return SSL_get_error(connection->ssl, length) == SSL_ERROR_WANT_READ;
        if (!take(connection, buffer, (size_t)length))
            return 0;
    } while (SSL_has_pending(connection->ssl));
    return 1;
}

static void accept_all(int listener, int epoll)
{
    for (;;) {
        int fd = accept_one(listener);
        if (fd < 0)
            return;
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        if (context != NULL) {
            connection->shakes_hands = 1;
            connection->ssl = SSL_new(context);
            SSL_set_fd(connection->ssl, fd);
        }
        watch(epoll, fd, connection);
    }
}

static void run(int listener, int epoll)
{
    struct epoll_event events[EVENTS];
    while (!told_to_stop) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int at = 0; at < count; at++) {
            struct connection *connection = events[at].data.ptr;
            if (connection == NULL)
                accept_all(listener, epoll);
            else if (!read_some(connection))
                end(connection);
            ERR_clear_error();
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: hollow [CERTIFICATE KEY]\n");
        return 2;
    }
    prepare_process();
    if (argc == 3)
        context = make_context(argv[1], argv[2]);
    int listener = listen_on_loopback();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, NULL);
    run(listener, epoll);
    printf("received %llu %llu\n", received_frames, received_bytes);
    return 0;
}
