#include "delivery/upload.h"

#include "base/random.h"

enum { LOG_INTERVAL_MS = 60 * 1000 };

static void put(struct upload *upload) {
    struct bucket_object object = {
        .key = upload->key,
        .body = body_bytes(&upload->body),
        .is_gzip = upload->body.is_gzip,
        .sha256_hex = upload->body.sha256_hex,
        .md5_base64 = upload->body.md5_base64,
    };
    upload->is_putting = true;
    upload->bucket->ops->put(upload->bucket, &object);
}

static void on_packed(struct body *body) {
    struct upload *upload = CONTAINER_OF(body, struct upload, body);
    upload->is_packing = false;
    if (upload->is_given_up)
        upload->ended(upload, false);
    else
        put(upload);
}

void upload_begin(struct upload *upload, struct str key, bool gzip) {
    bool hashes = upload->bucket->ops->wants_hashes;
    upload->key = key;
    upload->attempts = 0;
    if (!gzip && !hashes) {
        put(upload);
        return;
    }
    upload->is_packing = true;
    body_pack(&upload->body, upload->loop, gzip, hashes, on_packed);
}

/* ---- after an attempt ---- */

static void on_timer(struct timer *timer) {
    put(CONTAINER_OF(timer, struct upload, timer));
}

static void on_safe(struct upload *upload) {
    if (upload->attempts)
        log_info("delivery", "%s: the bucket takes objects again, after %u failed attempts",
                 upload->name, upload->attempts);
    upload->failure_limit = (struct log_limit){0};
    upload->ended(upload, true);
}

static void on_failed(struct upload *upload, const struct bucket_result *result) {
    unsigned missed;
    upload->attempts++;
    meter_failed(upload->meter, result->code);
    if (log_limit_pass(&upload->failure_limit, LOG_INTERVAL_MS, &missed))
        log_warn("delivery", "%s: the records wait: %s (%u more like this)", upload->name,
                 result->text, missed);
    bool is_waited_for = !upload->is_last || result->verdict == BUCKET_RETRY_NOW;
    if (upload->is_given_up || !is_waited_for)
        upload->ended(upload, false);
    else
        timer_start(upload->loop, &upload->timer,
                    bucket_pause_ms(result->verdict, upload->attempts, random_u64()), 0, on_timer);
}

static void on_put(void *data, const struct bucket_result *result) {
    struct upload *upload = data;
    upload->is_putting = false;
    if (result->verdict == BUCKET_SAFE)
        on_safe(upload);
    else
        on_failed(upload, result);
}

/* ---- life ---- */

void upload_init(struct upload *upload) {
    upload->bucket->done = on_put;
    upload->bucket->data = upload;
}

bool upload_is_waiting(const struct upload *upload) {
    return timer_running(&upload->timer);
}

void upload_hurry(struct upload *upload) {
    upload->is_last = true;
}

bool upload_give_up(struct upload *upload) {
    upload->is_last = upload->is_given_up = true;
    if (upload->is_putting && upload->bucket->ops->cancel(upload->bucket))
        upload->is_putting = false;
    timer_stop(&upload->timer);
    return !upload->is_packing && !upload->is_putting;
}

void upload_clear(struct upload *upload) {
    body_done(&upload->body);
}

void upload_done(struct upload *upload) {
    ASSERT(!upload->is_packing && !upload->is_putting);
    upload->bucket->ops->free(upload->bucket);
    body_done(&upload->body);
}
