/*
 * Weir's own interface to the broker:
 *
 *      GET    /v1/clients?prefix=&connected=true&limit=&next=     {"clients":[...],"next":"..."}
 *      GET    /v1/clients/{id}
 *      DELETE /v1/clients/{id}?forget_session=true&prevent_will=true
 *      GET    /v1/subscriptions?client=&limit=&next=              {"subscriptions":[...],"next":"..."}
 *      GET    /v1/retained?filter=&limit=&next=                   {"retained":[...],"next":"..."}
 *      GET    /v1/retained/{topic}
 *      DELETE /v1/retained/{topic}
 *
 * A list without "next" is at its end. Ids and topics are percent-encoded; slashes of a topic may
 * stand as they are.
 */
#include "base/json_write.h"
#include "flow/topic.h"
#include "manage/call.h"

enum { PAGE_DEFAULT = 100 };

/* ---- lists ---- */

static void answer_list(struct rest_call *call, struct mqtt_inquiry *inquiry, const char *name) {
    buf_printf(&call->output, "{\"%s\":[", name);
    buf_add_str(&call->output, buf_str(&inquiry->items));
    buf_add_u8(&call->output, ']');
    if (buf_len(&inquiry->next)) {
        json_write_key(&call->output, "next");
        buf_add_u8(&call->output, '"');
        manage_token_write(&call->output, buf_str(&inquiry->next));
        buf_add_u8(&call->output, '"');
    }
    buf_add_u8(&call->output, '}');
    rest_answer(call, 200);
}

static bool read_page(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    uint64_t limit;
    if (!rest_query_number(call, "limit", 1, MQTT_PAGE_MAX, PAGE_DEFAULT, &limit))
        return false;
    inquiry->limit = (unsigned)limit;
    return manage_token_read(call, "next", &inquiry->after);
}

static void answer_clients(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    answer_list(call, inquiry, "clients");
}

static void get_clients(struct rest_call *call) {
    struct mqtt_inquiry inquiry = {.question = MQTT_LIST_CLIENTS};
    rest_query(call, "prefix", &inquiry.text);
    if (rest_query_bool(call, "connected", &inquiry.connected_only) && read_page(call, &inquiry))
        manage_ask(call, &inquiry, answer_clients);
}

static void answer_subscriptions(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    answer_list(call, inquiry, "subscriptions");
}

static void get_subscriptions(struct rest_call *call) {
    struct mqtt_inquiry inquiry = {.question = MQTT_LIST_SUBSCRIPTIONS};
    rest_query(call, "client", &inquiry.text);
    if (read_page(call, &inquiry))
        manage_ask(call, &inquiry, answer_subscriptions);
}

static void answer_all_retained(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    answer_list(call, inquiry, "retained");
}

static void get_all_retained(struct rest_call *call) {
    struct mqtt_inquiry inquiry = {.question = MQTT_LIST_RETAINED};
    rest_query(call, "filter", &inquiry.text);
    if (inquiry.text.len && !topic_filter_valid(inquiry.text))
        rest_fail(call, 400, "InvalidRequestException", "\"%.*s\" is no topic filter.",
                  STR_ARG(inquiry.text));
    else if (read_page(call, &inquiry))
        manage_ask(call, &inquiry, answer_all_retained);
}

/* ---- one client ---- */

static void answer_client(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    if (!inquiry->count) {
        rest_fail(call, 404, "ResourceNotFoundException",
                  "There is no client \"%.*s\", neither connected nor with a session.",
                  STR_ARG(call->labels[0]));
        return;
    }
    buf_add_str(&call->output, buf_str(&inquiry->items));
    rest_answer(call, 200);
}

static void get_client(struct rest_call *call) {
    const struct mqtt_inquiry inquiry = {.question = MQTT_SHOW_CLIENT, .text = call->labels[0]};
    manage_ask(call, &inquiry, answer_client);
}

static void answer_ended(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    if (inquiry->count) {
        answer_client(call, inquiry);
        return;
    }
    rest_fail(
        call, 404, "ResourceNotFoundException",
        inquiry->end_session
            ? "There is no client \"%.*s\", neither connected nor with a session."
            : "There is no client \"%.*s\" connected; forget_session=true ends the session of "
              "one that is away.",
        STR_ARG(call->labels[0]));
}

static void delete_client(struct rest_call *call) {
    struct mqtt_inquiry inquiry = {.question = MQTT_END_CLIENT, .text = call->labels[0]};
    if (rest_query_bool(call, "forget_session", &inquiry.end_session) &&
        rest_query_bool(call, "prevent_will", &inquiry.prevent_will))
        manage_ask(call, &inquiry, answer_ended);
}

/* ---- one retained message ---- */

static bool is_topic(struct rest_call *call) {
    if (topic_name_valid(call->labels[0]))
        return true;
    rest_fail(call, 400, "InvalidRequestException", "\"%.*s\" is no topic name.",
              STR_ARG(call->labels[0]));
    return false;
}

static void fail_no_retained(struct rest_call *call) {
    rest_fail(call, 404, "ResourceNotFoundException",
              "There is no retained message of the topic \"%.*s\".", STR_ARG(call->labels[0]));
}

static void answer_retained(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    if (!inquiry->count) {
        fail_no_retained(call);
        return;
    }
    buf_add_str(&call->output, buf_str(&inquiry->items));
    rest_answer(call, 200);
}

static void get_retained(struct rest_call *call) {
    const struct mqtt_inquiry inquiry = {.question = MQTT_SHOW_RETAINED, .text = call->labels[0]};
    if (is_topic(call))
        manage_ask(call, &inquiry, answer_retained);
}

static void answer_deleted(struct rest_call *call) {
    buf_add_str(&call->output, STR("{\"topic\":"));
    json_write_string(&call->output, call->labels[0]);
    buf_add_str(&call->output, STR(",\"deleted\":true}"));
    rest_answer(call, 200);
}

/* An empty retained message, as a client would send it (section 3.3.1.3). */
static void delete_found(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    if (!inquiry->count) {
        fail_no_retained(call);
        return;
    }
    const struct message message = {.topic = call->labels[0], .qos = 1, .retain = true};
    manage_publish(call, &message, answer_deleted);
}

static void delete_retained(struct rest_call *call) {
    const struct mqtt_inquiry inquiry = {.question = MQTT_SHOW_RETAINED, .text = call->labels[0]};
    if (is_topic(call))
        manage_ask(call, &inquiry, delete_found);
}

const struct rest_route manage_own_routes[] = {{"GET", "/v1/clients", get_clients},
                                               {"GET", "/v1/clients/{id}", get_client},
                                               {"DELETE", "/v1/clients/{id}", delete_client},
                                               {"GET", "/v1/subscriptions", get_subscriptions},
                                               {"GET", "/v1/retained", get_all_retained},
                                               {"GET", "/v1/retained/{topic+}", get_retained},
                                               {"DELETE", "/v1/retained/{topic+}", delete_retained},
                                               {0}};
