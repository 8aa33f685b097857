/* What the small servers of the benches share: a process that ends, a port on loopback, TLS, the
 * answer to an upgrade. Each of them is one file that includes this one. */
#include "process.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { EVENTS = 512, READ_BYTES = 65536, BACKLOG = 4096, LIFE_SECONDS = 600, RESPONSE_BYTES = 256 };

static volatile sig_atomic_t told_to_stop;

static void stop(int signal_number)
{
    (void)signal_number;
    told_to_stop = 1;
}

/* As many files as may be; SIGTERM, and LIFE_SECONDS, set told_to_stop. */
static void prepare_process(void)
{
    prepare_files();
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    alarm(LIFE_SECONDS);
}

/* Reads ahead, so that a TLS record costs one read. */
static SSL_CTX *make_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        die("certificate");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_read_ahead(context, 1);
    return context;
}

/* Prints "listening PORT". */
static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, BACKLOG) != 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

/* The next connection, or -1. */
static int accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int on = 1;
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void watch(int epoll, int fd, void *whose)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* RFC 6455 section 4.2.2. Gives the length, or 0 for a request without a key. */
static int answer_upgrade(const char *request, char response[RESPONSE_BYTES])
{
    static const char name[] = "Sec-WebSocket-Key: ";
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[128];
    unsigned char digest[SHA_DIGEST_LENGTH], encoded[64];
    const char *key = strcasestr(request, name);
    if (key == NULL)
        return 0;
    snprintf(joined, sizeof joined, "%.24s%s", key + strlen(name), suffix);
    SHA1((unsigned char *)joined, strlen(joined), digest);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    return snprintf(response, RESPONSE_BYTES,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                    encoded);
}
