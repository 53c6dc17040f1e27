#include "manage/manage.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "manage/call.h"

/* ---- life ---- */

struct manage *manage_new(const struct manage_config *config) {
    struct manage *manage = xcalloc(1, sizeof *manage);
    manage->config = *config;
    manage->services[0] = (struct rest_service){"weir", manage_own_routes, manage};
    manage->services[1] =
        (struct rest_service){"iotdata iotdevicegateway", manage_iot_routes, manage};
    manage->gate.on_commit = manage_on_commit;
    list_init(&manage->committing);
    sink_gate_listen(config->gate, &manage->gate);
    metric_init(&manage->published, METRIC_COUNTER, "weir_manage_published_total",
                "Messages published over HTTP", NULL);
    metric_init(&manage->publish_failures, METRIC_COUNTER, "weir_manage_publish_failures_total",
                "Messages over HTTP that could not be kept", NULL);
    return manage;
}

void manage_free(struct manage *manage) {
    if (!manage)
        return;
    ASSERT(list_empty(&manage->committing));
    list_remove(&manage->gate.link);
    metric_done(&manage->published);
    metric_done(&manage->publish_failures);
    free(manage);
}

const struct rest_service *manage_service(const struct manage *manage, unsigned index) {
    ASSERT(index < MANAGE_SERVICES);
    return &manage->services[index];
}

/* ---- asking ---- */

struct asking {
    struct mqtt_inquiry inquiry;
    struct rest_call *call;
    manage_answer *answer;
};

static void on_answer(struct mqtt_inquiry *inquiry) {
    struct asking *asking = CONTAINER_OF(inquiry, struct asking, inquiry);
    asking->answer(asking->call, inquiry);
    mqtt_inquiry_done(inquiry);
    free(asking);
}

void manage_ask(struct rest_call *call, const struct mqtt_inquiry *inquiry, manage_answer *answer) {
    struct asking *asking = xcalloc(1, sizeof *asking);
    asking->inquiry = *inquiry;
    asking->inquiry.done = on_answer;
    asking->call = call;
    asking->answer = answer;
    mqtt_inquire(manage_of(call)->config.worker, &asking->inquiry);
}

/* ---- tokens ---- */

void manage_token_write(struct buf *out, struct str after) {
    hex_write(out, after);
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool manage_token_read(struct rest_call *call, const char *name, struct str *ret_after) {
    struct str text;
    *ret_after = (struct str){0};
    if (!rest_query(call, name, &text))
        return true;
    char *bytes = arena_alloc(&call->arena, text.len / 2 + 1);
    bool ok = text.len > 0 && text.len % 2 == 0;
    for (size_t i = 0; ok && i < text.len; i += 2) {
        int high = digit(text.at[i]), low = digit(text.at[i + 1]);
        ok = high >= 0 && low >= 0;
        bytes[i / 2] = (char)((unsigned)high << 4 | (unsigned)low);
    }
    if (ok)
        *ret_after = str_from(bytes, text.len / 2);
    else
        rest_fail(call, 400, "InvalidRequestException",
                  "%s must be what the answer before has given.", name);
    return ok;
}
