#include "app/patience.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

struct patience {
    uv_thread_t thread;
    int pipe[2]; /* its end says that the wait is over */
    char *line;
};

static void watch(void *data) {
    struct patience *patience = data;
    struct pollfd end = {.fd = patience->pipe[0], .events = POLLIN};
    int count;
    do
        count = poll(&end, 1, PATIENCE_MS);
    while (count < 0 && errno == EINTR);
    if (count == 0 && write(STDERR_FILENO, patience->line, strlen(patience->line)) < 0)
        return; /* Nobody reads it. */
}

struct patience *patience_begin(const char *text) {
    struct patience *patience = xcalloc(1, sizeof *patience);
    int failed = pipe(patience->pipe);
    ASSERT(!failed);
    patience->line = xprintf("%s\n", text);
    failed = uv_thread_create(&patience->thread, watch, patience);
    ASSERT(!failed);
    return patience;
}

void patience_end(struct patience *patience) {
    if (!patience)
        return;
    close(patience->pipe[1]);
    uv_thread_join(&patience->thread);
    close(patience->pipe[0]);
    free(patience->line);
    free(patience);
}
