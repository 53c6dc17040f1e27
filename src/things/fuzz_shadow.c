/* Two updates, with a NUL byte between them, of one shadow: what is kept after either is a document that
 * the next can begin with, and is bounded. */
#include <stdlib.h>

#include "base/mem.h"
#include "things/shadow_document.h"
#include "things/shadow_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_BYTES_MAX = 32 * SHADOW_STATE_BYTES_MAX };

static void check(struct str kept) {
    struct json json = {0};
    int64_t version;
    ASSERT(json_parse(&json, kept) == 0);
    ASSERT(json_int(json_member(json_root(&json), STR("version")), &version) && version > 0);
    ASSERT(kept.len <= KEPT_BYTES_MAX);
    json_done(&json);
}

/* What is told of the change is JSON. */
static void check_told(struct str old, struct str fresh) {
    struct buf told = {0};
    struct json json = {0};
    shadow_message_documents(old, fresh, 200, STR("\"t\""), &told);
    ASSERT(json_parse(&json, buf_str(&told)) == 0);
    buf_clear(&told);
    if (shadow_message_delta(fresh, 200, (struct str){0}, &told))
        ASSERT(json_parse(&json, buf_str(&told)) == 0);
    json_done(&json);
    buf_done(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = xmemdup(data, size); /* Reading beyond the end is seen. */
    struct str second, first = str_cut(str_from(copy, size), '\0', &second);
    struct buf once = {0}, twice = {0}, accepted = {0};
    struct err err;
    int code = shadow_document_update((struct str){0}, first, 100, &once, &accepted, &err);
    ASSERT(code || buf_len(&accepted));
    if (!code) {
        check(buf_str(&once));
        code = shadow_document_update(buf_str(&once), second, 200, &twice, &accepted, &err);
        ASSERT(code != ERR_CORRUPT);
        if (!code) {
            check(buf_str(&twice));
            check_told(buf_str(&once), buf_str(&twice));
        }
    }
    buf_done(&once);
    buf_done(&twice);
    buf_done(&accepted);
    free(copy);
    return 0;
}
