/*
 * The program: a configuration made into running parts, in order, and taken down in the reverse
 * order. The only folder that sees every part. All functions are main's, which owns `struct app`.
 *
 *     facts, log thread -> streams -> lanes (workers, service) -> rules
 *         -> Redis, deliveries, functions, web -> MQTT listeners
 *
 * MQTT listens last: what a device sends finds every part there.
 */
#ifndef APP_APP_H
#define APP_APP_H

#include "app/config.h"
#include "base/buf.h"

struct app;

/* Takes the configuration; it is freed with the app, also when starting fails. */
int app_start(struct config *config, struct app **ret_app, struct err *err);

/* "mqtt=127.0.0.1:1883 web=127.0.0.1:8080": every listener with its real port. */
void app_addresses(const struct app *app, struct buf *out);

/*
 * Reads the file again and applies what can change while running: log, rules, policies, users,
 * certificates, devices. All of it or, when the file does not hold, nothing.
 */
int app_reload(struct app *app, struct err *err);

/* Stops accepting, finishes what was read, commits, flushes, frees. NULL is fine. */
void app_stop(struct app *app);

#endif
