/* What the small programs that place calls share: clocks, and a TLS client. */
#include "process.h"

#include "clock.h"

#include <arpa/inet.h>

static void find_server(const char *host, const char *port, const char *process,
                        struct sockaddr_in *server, clockid_t *clock)
{
    server->sin_family = AF_INET;
    server->sin_port = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, host, &server->sin_addr) != 1)
        die("an argument out of range");
    if (clock_getcpuclockid(atoi(process), clock) != 0)
        die("no such server process");
}

static SSL_CTX *make_client_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

/* Without TIME_WAIT, of which many rounds would leave too many. */
static void hang_up(int fd, SSL *ssl)
{
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    SSL_free(ssl);
}
