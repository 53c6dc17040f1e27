/*
 * sensor-counter: an AWS Lambda function that works on a Kinesis stream of sensor readings and
 * keeps the live state in Redis: the last reading, how many there were, and a message to whoever
 * listens.
 *
 * settings.h tells what it reads from its environment, counter.c how it counts each record once.
 * A record that cannot be read is logged and left out, since no retry would change it; if Redis
 * does not answer, the whole batch fails and is delivered again.
 */
#include <lambda.h>
#include <signal.h>
#include <stdio.h>

#include "batch.h"
#include "counter.h"
#include "settings.h"

#define TIMEOUT_MS_MAX 60000
#define ANSWER_MS      200 /* kept back from the deadline, to report what happened */

struct function {
    struct settings settings;
    struct counter counter;
    struct batch batch;
};

static int init(struct lambda_result *result, void *data) {
    struct function *function = data;
    const char *problem = settings_read(&function->settings);
    if (problem)
        return lambda_fail(result, "Function.BadSetting", "%s", problem);
    counter_init(&function->counter, &function->settings);
    return 0;
}

static int64_t timeout_of(const struct lambda_event *event) {
    int64_t left_ms = lambda_remaining_ms(event) - ANSWER_MS;
    return left_ms > TIMEOUT_MS_MAX ? TIMEOUT_MS_MAX : left_ms < ANSWER_MS ? ANSWER_MS : left_ms;
}

static void log_batch(const struct lambda_event *event, size_t processed, size_t repeated,
                      size_t failed, const char *problem) {
    printf("%s batch of %zu records: %zu processed, %zu repeated, %zu failed%s%s\n",
           event->request_id, processed + repeated + failed, processed, repeated, failed,
           problem ? ": " : "", problem ? problem : "");
}

static int handle(const struct lambda_event *event, struct lambda_result *result, void *data) {
    struct function *function = data;
    struct batch *batch = &function->batch;
    struct counter *counter = &function->counter;
    size_t new_count = 0;
    const char *problem = batch_read(batch, event->body, event->body_size);
    if (problem) {
        log_batch(event, 0, 0, batch->record_count + batch->bad_count, problem);
        return lambda_fail(result, "Function.BadEvent", "%s", problem);
    }
    if (batch->record_count > 0 &&
        counter_count(counter, batch, timeout_of(event), &new_count) != 0) {
        log_batch(event, 0, 0, batch->record_count + batch->bad_count, counter->problem);
        return lambda_fail(result, "Function.RedisFailed", "%s", counter->problem);
    }
    size_t repeated = batch->record_count - new_count;
    log_batch(event, new_count, repeated, batch->bad_count,
              batch->bad_count ? "a record lacks its data, key or numbers" : NULL);
    lambda_respond_format(result, "{\"processed\":%zu,\"repeated\":%zu,\"failed\":%zu}", new_count,
                          repeated, batch->bad_count);
    return 0;
}

int main(void) {
    static struct function function;
    /* hiredis writes to sockets whose peer may be gone: that is an error to handle, not an end. */
    signal(SIGPIPE, SIG_IGN);
    int exit_code = lambda_run(init, handle, &function);
    counter_done(&function.counter);
    batch_done(&function.batch);
    return exit_code;
}
