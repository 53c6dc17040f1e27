#include "things/shadow_calls.h"

#include "things/shadow_batch.h"
#include "things/shadow_document.h"

static void fail(struct rest_call *call, int code, const char *message) {
    static const struct {
        unsigned number;
        const char *type;
    } types[] = {{400, "InvalidRequestException"},
                 {404, "ResourceNotFoundException"},
                 {409, "ConflictException"},
                 {413, "RequestEntityTooLargeException"},
                 {415, "UnsupportedDocumentEncodingException"},
                 {429, "ThrottlingException"}};
    unsigned number = shadow_error_number(code);
    const char *type = "InternalFailureException";
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].number == number)
            type = types[i].type;
    rest_fail(call, (int)number, type, "%s", message);
}

static void fail_unavailable(struct rest_call *call) {
    rest_fail(call, 503, "ServiceUnavailableException", "Weir is stopping.");
}

void shadow_calls_init(struct shadow_calls *calls) {
    *calls = (struct shadow_calls){0};
    list_init(&calls->waiting);
}

bool shadow_calls_add(struct shadow_calls *calls, struct rest_call *call,
                      enum shadow_operation operation, struct str thing, struct str shadow) {
    struct str body = call->request->body;
    if (!calls || calls->is_closed) {
        fail_unavailable(call);
        return false;
    }
    if (calls->count == SHADOW_CALLS_MAX) {
        fail(call, ERR_FULL, "Too many changes of shadows wait.");
        return false;
    }
    struct shadow_call *asked = arena_zalloc(&call->arena, sizeof *asked);
    asked->call = call;
    asked->request = (struct shadow_request){.operation = operation,
                                             .too_large = body.len > SHADOW_REQUEST_BYTES_MAX,
                                             .thing = thing,
                                             .shadow = shadow};
    if (!asked->request.too_large && body.len)
        asked->request.payload = str_from(arena_strdup(&call->arena, body), body.len);
    call->state = asked;
    list_push_back(&calls->waiting, &asked->link);
    calls->count++;
    return true;
}

struct shadow_call *shadow_calls_pop(struct shadow_calls *calls) {
    if (list_empty(&calls->waiting))
        return NULL;
    calls->count--;
    return LIST_ITEM(list_pop_front(&calls->waiting), struct shadow_call, link);
}

void shadow_calls_put_back(struct shadow_calls *calls, struct rest_call *call) {
    struct shadow_call *asked = call->state;
    if (calls->is_closed) {
        fail_unavailable(call);
        return;
    }
    list_push_front(&calls->waiting, &asked->link);
    calls->count++;
}

void shadow_calls_close(struct shadow_calls *calls) {
    struct shadow_call *asked;
    calls->is_closed = true;
    while ((asked = shadow_calls_pop(calls)))
        fail_unavailable(asked->call);
}

void shadow_call_end(struct rest_call *call, int code, const char *message, struct str answer) {
    if (code) {
        fail(call, code, message);
    } else {
        buf_add_str(&call->output, answer);
        rest_answer(call, 200);
    }
}
