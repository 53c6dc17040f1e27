#include "sense/sense.h"

#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "flow/topic.h"
#include "sense/client.h"
#include "sense/sensors.h"

struct sense {
    const struct sense_config *config;
    struct err *err;
    struct loop *loop;
    struct sense_client *client;
    struct sensors *sensors;
    struct timer timer;
    uv_signal_t signals[2];
    struct buf topic;
    uint64_t rounds;
    bool ending;
    int result;
};

/* What a URL holds; the views look into its text. */
struct url {
    bool tls;
    struct str user, password, address;
};

static int parse_url(const char *text, struct url *ret_url, struct err *err) {
    struct url url = {.tls = str_starts(str_of(text), STR("mqtts://"))};
    if (!url.tls && !str_starts(str_of(text), STR("mqtt://")))
        return err_set(err, ERR_INVALID, "%s: mqtt://HOST:PORT or mqtts://HOST:PORT is wanted",
                       text);
    struct str rest = str_skip(str_of(text), url.tls ? 8 : 7);
    size_t at = str_find(rest, '@');
    if (at < rest.len) {
        url.user = str_cut((struct str){rest.at, at}, ':', &url.password);
        rest = str_skip(rest, at + 1);
    }
    url.address = rest;
    *ret_url = url;
    return 0;
}

static void on_closed(void *data) {
    struct sense *sense = data;
    loop_stop(sense->loop);
}

static void end(struct sense *sense, int result) {
    if (sense->ending)
        return;
    sense->ending = true;
    sense->result = result;
    for (size_t i = 0; i < COUNT_OF(sense->signals); i++)
        uv_close((uv_handle_t *)&sense->signals[i], NULL);
    timer_close(&sense->timer, NULL);
    sense_client_close(sense->client, on_closed, sense);
}

static void on_signal(uv_signal_t *handle, int number) {
    end(handle->data, 0);
}

static void on_fatal(void *data, const char *why) {
    struct sense *sense = data;
    err_set(sense->err, ERR_REFUSED, "%s refused the connection: %s", sense->config->url, why);
    end(sense, ERR_REFUSED);
}

static void on_reading(void *data, struct str name, struct str json) {
    struct sense *sense = data;
    buf_clear(&sense->topic);
    buf_printf(&sense->topic, "%s/%.*s", sense->config->prefix, STR_ARG(name));
    sense_client_publish(sense->client, buf_str(&sense->topic), json);
}

static void on_round(struct timer *timer) {
    struct sense *sense = CONTAINER_OF(timer, struct sense, timer);
    uint64_t wanted = (uint64_t)sense->config->round_count;
    bool enough = wanted && sense->rounds >= wanted;
    if (enough && sense_client_inflight(sense->client) == 0) {
        end(sense, 0);
        return;
    }
    uint64_t before =
        sense_client_acknowledged(sense->client) + sense_client_inflight(sense->client);
    if (!enough)
        sensors_read(sense->sensors, clock_wall_ms(), on_reading, sense);
    uint64_t after =
        sense_client_acknowledged(sense->client) + sense_client_inflight(sense->client);
    sense->rounds += after > before;
}

static void run(struct sense *sense, const struct sense_client_config *config) {
    static const int numbers[] = {SIGTERM, SIGINT};
    sense->loop = loop_new();
    sense->client = sense_client_new(sense->loop, config);
    sense->sensors = sensors_new("");
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uv_signal_init(loop_uv(sense->loop), &sense->signals[i]);
        sense->signals[i].data = sense;
        uv_signal_start(&sense->signals[i], on_signal, numbers[i]);
    }
    uint64_t interval_ms = (uint64_t)sense->config->interval_ms;
    timer_start(sense->loop, &sense->timer, interval_ms < 200 ? interval_ms : 200, interval_ms,
                on_round);
    loop_run(sense->loop);
    loop_free(sense->loop);
    sensors_free(sense->sensors);
    buf_done(&sense->topic);
}

int sense_run(const struct sense_config *config, struct err *err) {
    struct url url = {0};
    struct sense sense = {.config = config, .err = err};
    int code = parse_url(config->url, &url, err);
    if (code)
        return code;
    if (!topic_name_valid(str_of(config->prefix)))
        return err_set(err, ERR_INVALID, "\"%s\" is no topic to publish under", config->prefix);
    char *address = str_dup(url.address), *user = str_dup(url.user),
         *password = str_dup(url.password);
    char *host = str_dup((struct str){url.address.at, str_find(url.address, ':')});
    struct sense_client_config client = {.host = host,
                                         .client_id = config->client_id,
                                         .user = url.user.len ? user : NULL,
                                         .password = url.password.len ? password : NULL,
                                         .on_fatal = on_fatal,
                                         .data = &sense};
    code = tcp_address(address, &client.address, err);
    if (!code && url.tls)
        code = tls_client_context(config->ca_path, NULL, NULL, &client.tls, err);
    if (!code) {
        run(&sense, &client);
        code = sense.result;
    }
    tls_context_free(client.tls);
    free(address);
    free(user);
    free(password);
    free(host);
    return code;
}
