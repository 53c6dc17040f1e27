/* Lines of a request, then its body: METHOD TARGET, NAME: VALUE ..., an empty line. Whatever they
 * say, each call gets one answer. */
#include <stdlib.h>
#include <string.h>

#include "manage/test_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS_MAX = 8 };

static struct str take_line(struct str *rest) {
    return str_cut(*rest, '\n', rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = xmemdup(data, size); /* Reading beyond the end is seen. */
    struct str rest = str_from(copy, size), target, first = take_line(&rest);
    struct http_header headers[HEADERS_MAX];
    struct world world;
    world_begin(&world);
    struct http_request request = {.headers = headers};
    request.method = str_cut(first, ' ', &target);
    request.path = str_cut(target, '?', &request.query);
    request.peer.ss_family = AF_INET;
    for (struct str line; request.header_count < HEADERS_MAX && (line = take_line(&rest)).len;) {
        struct http_header *header = &headers[request.header_count++];
        header->name = str_cut(line, ':', &header->value);
        header->value = str_trim(header->value);
    }
    request.body = rest;
    world_call(&world, &request);
    world_commit(&world, world.ticket, 0);
    for (int i = 0; i < 100 && !world.answer.count; i++) {
        world_turn(&world);
        world_commit(&world, world.ticket, 0);
    }
    ASSERT(world.answer.count == 1);
    world_end(&world);
    free(copy);
    return 0;
}
