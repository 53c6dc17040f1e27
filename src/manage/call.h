/* Inside of manage: what its calls share. */
#ifndef MANAGE_CALL_H
#define MANAGE_CALL_H

#include "base/metric.h"
#include "flow/message.h"
#include "manage/manage.h"

struct manage {
    struct manage_config config;
    struct rest_service services[MANAGE_SERVICES];
    struct sink_gate_listener gate;
    struct link committing; /* struct pending, in the order of their tickets */
    struct metric published, publish_failures;
};

static inline struct manage *manage_of(const struct rest_call *call) {
    return call->service->data;
}

extern const struct rest_route manage_own_routes[], manage_iot_routes[];

/* ---- asking the workers, manage.c ---- */

typedef void manage_answer(struct rest_call *call, struct mqtt_inquiry *inquiry);

/* Asks what `inquiry` says, whose texts live as long as the call; `answer` ends the call. */
void manage_ask(struct rest_call *call, const struct mqtt_inquiry *inquiry, manage_answer *answer);

/* `after` as a token that clients hand back as it is. */
void manage_token_write(struct buf *out, struct str after);

/* The query's token, if there is one. False, and the call has failed with 400. */
bool manage_token_read(struct rest_call *call, const char *name, struct str *ret_after);

/* ---- publishing, publish.c ---- */

/* Publishes for the call, whose answer `done` gives, at once or when the message has committed:
 * only if it could be kept; else the call has failed. */
void manage_publish(struct rest_call *call, const struct message *message,
                    void (*done)(struct rest_call *call));

/* The writer's gate tells of a commit. */
void manage_on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status);

/* Of AWS: POST /topics/{topic} */
void manage_post_topic(struct rest_call *call);

#endif
